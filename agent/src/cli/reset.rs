//! `postern-agent reset`: explain, ask for confirmation, then remove the gateway from
//! Palette and its agents from the cluster, and record the reset for the next boot.
//! Each may be done again.

use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
use postern_contract::host::Command;
use secrecy::SecretString;
use zeroize::Zeroizing;

use super::runtime::runtime;
use crate::host::world::World;
use crate::ops::remove::{self, Gateway, Removal};
use crate::ops::reset::{self, NextGatewayFile};

/// What to reset.
pub(super) struct ResetOptions {
    pub yes: bool,
    pub pair_again: Option<PathBuf>,
    pub remove_from_palette: bool,
    pub remove_agents: bool,
}

/// Runs it.
pub(super) fn reset(options: &ResetOptions) -> anyhow::Result<()> {
    let world = World::real().context("inspecting this machine")?;
    let stdin = options.pair_again.as_deref() == Some(Path::new("-"));
    ensure!(
        !(stdin && options.remove_from_palette),
        "standard input cannot be both the gateway file and the API key\n  help: give the gateway file by its name"
    );
    let next = options.pair_again.as_deref();
    let next = next.map(|file| read_next(&world, file)).transpose()?;
    let gateway = match options.remove_from_palette {
        true => Some(Gateway::of_this_machine(&world)?),
        false => None,
    };
    let mut plan = String::new();
    if let Some(Gateway { name, uid, .. }) = &gateway {
        plan = format!("Palette deletes the gateway {name}, uid {uid}.\n");
    }
    if options.remove_agents {
        plan += "The namespaces of Palette's agents are removed from the cluster.\n";
    }
    write!(io::stderr(), "{plan}{}", reset::describe(next.is_some()))?;
    if !options.yes {
        confirm(&world.host_name)?;
    }
    runtime()?.block_on(async {
        if let Some(gateway) = &gateway {
            let key = key(&world, gateway)?;
            let message = match gateway.remove(&world, &key).await? {
                Removal::Done => "Palette deleted the gateway",
                Removal::AlreadyGone => "Palette no longer lists this gateway",
            };
            writeln!(io::stderr(), "{message}")?;
        }
        if options.remove_agents {
            remove::remove_agents(&world).await?;
        }
        anyhow::Ok(())
    })?;
    reset::request(&world, next.as_ref()).context("recording the reset request")?;
    Command::new("systemctl")
        .arg("reboot")
        .run()
        .context("restarting the machine; the reset is done when it starts again")?;
    Ok(())
}

fn read_next(world: &World, file: &Path) -> anyhow::Result<NextGatewayFile> {
    let stdin = file == Path::new("-");
    let text = match stdin {
        true => {
            let mut text = String::new();
            io::stdin().read_to_string(&mut text)?;
            text
        }
        false => fs_err::read_to_string(file)?,
    };
    let name = if stdin {
        "standard input".to_owned()
    } else {
        file.display().to_string()
    };
    NextGatewayFile::checked(world, &name, SecretString::from(text)).map_err(anyhow::Error::msg)
}

fn confirm(name: &str) -> anyhow::Result<()> {
    ensure!(
        io::stdin().is_terminal(),
        "confirmation needs a terminal: nothing was done\n  help: run `postern-agent reset --yes`"
    );
    write!(io::stderr(), "Type the machine's name, {name}, to go on: ")?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    ensure!(answer.trim() == name, "nothing was done");
    Ok(())
}

/// The key of the gateway file, or a line of standard input.
fn key(world: &World, gateway: &Gateway) -> anyhow::Result<SecretString> {
    if let Some(key) = remove::key_in_gateway_file(world) {
        return Ok(key);
    }
    let line = if io::stdin().is_terminal() {
        write!(io::stderr(), "API key of a tenant administrator: ")?;
        let line = read_hidden_line()?;
        writeln!(io::stderr())?;
        line
    } else {
        first_line(&mut io::stdin().lock())?
    };
    match line.trim() {
        "" => bail!(
            "no API key was given, nothing was done\n  help: {}",
            gateway.manual_steps()
        ),
        key => Ok(key.to_owned().into()),
    }
}

fn first_line(input: &mut dyn io::BufRead) -> io::Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::new());
    input.read_line(&mut line)?;
    Ok(line)
}

/// A line that the terminal does not echo.
fn read_hidden_line() -> anyhow::Result<Zeroizing<String>> {
    let stdin = io::stdin();
    let before = tcgetattr(&stdin).context("reading the terminal's settings")?;
    let mut quiet = before.clone();
    quiet.local_flags.remove(LocalFlags::ECHO);
    tcsetattr(&stdin, SetArg::TCSAFLUSH, &quiet).context("turning off the terminal's echo")?;
    let line = first_line(&mut stdin.lock());
    tcsetattr(&stdin, SetArg::TCSAFLUSH, &before).context("restoring the terminal")?;
    Ok(line?)
}
