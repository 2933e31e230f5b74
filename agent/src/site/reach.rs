//! How this machine reaches Palette under its settings.

use std::rc::Rc;

use ipnet::IpNet;
use postern_contract::host::http::{HttpVersions, MakeClient, Outbound};
use postern_contract::host::pace::Pace;
use postern_contract::palette::client::Palette;
use url::Url;

use super::settings::Settings;
use crate::host::world::Root;
use crate::journal::condition::{Reason, StepError};

/// How our own client reaches the world under these settings.
///
/// # Errors
/// [`StepError::Block`] if the proxy cannot be used.
pub fn outbound(
    root: &Root,
    settings: &Settings,
    subnets: &[IpNet],
) -> Result<Outbound, StepError> {
    settings
        .outbound(root, subnets)
        .map_err(|why| unusable(&why))
}

/// Palette at `endpoint`, reached so.
///
/// # Errors
/// [`StepError::Block`] if this machine's trust or proxy cannot be used.
pub fn palette(
    make: &MakeClient,
    outbound: &Outbound,
    endpoint: &Url,
    pace: &Rc<dyn Pace>,
) -> Result<Palette, StepError> {
    let client = make(outbound, HttpVersions::Best).map_err(|e| unusable(&e.to_string()))?;
    Ok(Palette::new(client, endpoint.clone(), Rc::clone(pace)))
}

fn unusable(why: &str) -> StepError {
    StepError::block(
        Reason::GatewayFile,
        why,
        "check certificates and proxy in the gateway file",
    )
}
