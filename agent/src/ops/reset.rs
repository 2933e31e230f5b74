//! `postern-agent reset`: writes down that a person wants this machine to forget its
//! pairing and its cluster ([`crate::life::reset`] does it), and what it pairs with
//! next.

use std::io;

use postern_contract::gateway::{GatewayFile, LiteralOnly};
use postern_contract::host::files::{erase, write_atomic};
use postern_contract::paths;
use secrecy::{ExposeSecret, SecretString};

use crate::host::world::World;
use crate::life::reset::{ACTS, ASKED, Asked, NEXT};

/// What a person is told before being asked.
pub fn told(next: bool) -> String {
    let then = if next {
        "Then it pairs with the gateway file that was given.\n".to_owned()
    } else {
        let file = paths::GATEWAY_FILE;
        format!(
            "A gateway file at {file} stays\nand is used at once; without one the machine waits for it.\n"
        )
    };
    let acts: Vec<_> = ACTS.iter().map(|act| format!("  - {act}\n")).collect();
    format!(
        "This machine restarts. Before k3s runs again, the agent will\n{}\
         Palette is told nothing, unless --remove-from-palette says so. {then}",
        acts.concat(),
    )
}

/// A gateway file that a machine can pair with.
pub struct Next(SecretString);

impl Next {
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
            false => Err(format!("{name} does not say how to pair")),
        }
    }
}

/// Writes down that a reset is wanted, and what the machine pairs with then; the
/// next boot does it.
///
/// # Errors
/// Any I/O error; then nothing is wanted.
pub fn ask(world: &World, next: Option<&Next>) -> io::Result<()> {
    let place = world.root.at(NEXT);
    match next {
        Some(Next(text)) => write_atomic(&place, text.expose_secret().as_bytes(), 0o600)?,
        // One of an earlier wish is not meant.
        None => erase(&place)?,
    }
    let mut text = serde_json::to_vec_pretty(&Asked::now(world))?;
    text.push(b'\n');
    write_atomic(&world.root.at(ASKED), &text, 0o600)
}
