//! The option for the operator's Palette API key.

use std::path::PathBuf;

use clap::Args;
use postern_contract::gateway::{GatewayFile, Obtain};
use postern_contract::palette::tenant::Found;

use crate::host;
use crate::palette::{Obtained, Operator, PaletteError};
use crate::report::Report;

/// The operator's Palette API key.
#[derive(Debug, Args)]
pub(super) struct Palette {
    /// File with your Palette API key [default: the variable SPECTROCLOUD_APIKEY]
    #[arg(long, value_name = "FILE")]
    palette_api_key_file: Option<PathBuf>,
}

impl Palette {
    /// The operator, if a key is given.
    pub(super) fn operator(&self, file: &GatewayFile) -> Result<Option<Operator>, PaletteError> {
        let Some(key) = host::palette::key(self.palette_api_key_file.as_deref())? else {
            return Ok(None);
        };
        let endpoint = &file.gateway.endpoint;
        let own = endpoint.as_str().trim_start_matches("https://");
        match host::palette::host() {
            Some(host) if host != own.trim_end_matches('/') => Err(PaletteError::OtherHost {
                host,
                endpoint: endpoint.clone(),
            }),
            _ => Operator::new(file, &key).map(Some),
        }
    }

    /// Obtains what the file leaves to Palette, with the operator's key.
    pub(super) async fn obtain(
        operator: Option<&Operator>,
        file: &mut GatewayFile,
        report: &Report,
    ) -> Result<(), PaletteError> {
        let Some(wanted) = file.obtain else {
            return Ok(());
        };
        let operator = operator.ok_or(PaletteError::NoKey(match wanted {
            Obtain::Code => "the pairing code",
            Obtain::Manifests => "the manifests",
        }))?;
        note(&operator.obtain(file).await?, &file.gateway.name, report);
        Ok(())
    }
}

/// Notes what was obtained.
fn note(obtained: &Obtained, name: &str, report: &Report) {
    match obtained {
        Obtained::Nothing => {}
        Obtained::Code => report.note("Palette issued a pairing code, valid for 24 hours"),
        Obtained::Manifests { uid, found } => report.note(match found {
            Found::Known => {
                format!("Palette already has the gateway {name} as {uid}: it is used again")
            }
            Found::Created => format!("Palette created the gateway {name} as {uid}"),
        }),
    }
}
