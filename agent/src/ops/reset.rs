//! `postern-agent reset`: writes down that a person wants this machine to forget its
//! pairing and its cluster ([`crate::life::reset`] does it), and what it pairs with
//! next.

use std::io;

use postern_contract::gateway::{GatewayFile, LiteralOnly};
use postern_contract::host::files::{erase, write_atomic};
use postern_contract::paths;
use secrecy::{ExposeSecret, SecretString};

use crate::host::world::World;
use crate::life::reset::{ACTIONS, NEXT_GATEWAY_FILE, REQUEST, ResetRequest};

/// What the command line shows before it asks for confirmation.
pub fn describe(next: bool) -> String {
    let then = if next {
        "Then it pairs with the gateway file that you gave.\n".to_owned()
    } else {
        let file = paths::GATEWAY_FILE;
        format!(
            "A gateway file at {file} stays\nand is used at once; without one the machine waits for one.\n"
        )
    };
    let actions: Vec<_> = ACTIONS
        .iter()
        .map(|action| format!("  - {action}\n"))
        .collect();
    format!(
        "This machine restarts. Before k3s starts again, the agent will\n{}\
         Palette keeps the gateway unless you give --remove-from-palette. {then}",
        actions.concat(),
    )
}

/// A gateway file that a machine can pair with.
pub struct NextGatewayFile(SecretString);

impl NextGatewayFile {
    /// Checks `text`, which `name` names in problems.
    ///
    /// # Errors
    /// Every problem in it, for a person.
    pub fn checked(world: &World, name: &str, text: SecretString) -> Result<Self, String> {
        let now = world.pace.now();
        let file = GatewayFile::parse(name, text.expose_secret(), now, &LiteralOnly);
        let file = file.map_err(|problems| problems.to_string())?;
        let joins = file.gateway.cluster.part().is_some_and(|part| part.joins());
        match file.gateway.pairing.is_some() || joins {
            true => Ok(Self(text)),
            false => Err(format!(
                "{name} does not say how to pair\n  help: add `palette.pairing`, or make the file with `postern user-data`"
            )),
        }
    }
}

/// Writes down that a reset is wanted, and what the machine pairs with then; the
/// next boot does it.
///
/// # Errors
/// Any I/O error; then nothing is wanted.
pub fn request(world: &World, next: Option<&NextGatewayFile>) -> io::Result<()> {
    let place = world.root.at(NEXT_GATEWAY_FILE);
    match next {
        Some(NextGatewayFile(text)) => {
            write_atomic(&place, text.expose_secret().as_bytes(), 0o600)?
        }
        // One of an earlier wish is not meant.
        None => erase(&place)?,
    }
    let mut text = serde_json::to_vec_pretty(&ResetRequest::now(world))?;
    text.push(b'\n');
    write_atomic(&world.root.at(REQUEST), &text, 0o600)
}
