//! `postern-agent reset`: told, asked, done in this order: Palette, the cluster's
//! agents, the note for the next boot. Each may be done again.

use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
use postern_contract::host::Command;
use secrecy::SecretString;
use zeroize::Zeroizing;

use super::runtime::runtime;
use crate::host::world::World;
use crate::ops::remove::{self, Gateway, Removed};
use crate::ops::reset::{self, Next};

/// What a person wants.
pub(super) struct Wish {
    pub yes: bool,
    pub pair_again: Option<PathBuf>,
    pub remove_from_palette: bool,
    pub remove_agents: bool,
}

/// Does it.
pub(super) fn forget(wish: &Wish) -> anyhow::Result<()> {
    let world = World::real().context("looking at this machine")?;
    let stdin = wish.pair_again.as_deref() == Some(Path::new("-"));
    ensure!(
        !(stdin && wish.remove_from_palette),
        "standard input cannot be both the gateway file and the API key\n  help: give the gateway file by its name"
    );
    let next = wish.pair_again.as_deref();
    let next = next.map(|file| read_next(&world, file)).transpose()?;
    let gateway = match wish.remove_from_palette {
        true => Some(Gateway::here(&world)?),
        false => None,
    };
    let mut told = String::new();
    if let Some(Gateway { name, uid, .. }) = &gateway {
        told = format!("Palette deletes the gateway {name}, uid {uid}.\n");
    }
    if wish.remove_agents {
        told += "The namespaces of Palette's agents are removed from the cluster.\n";
    }
    write!(io::stderr(), "{told}{}", reset::told(next.is_some()))?;
    if !wish.yes {
        ask(&world.host_name)?;
    }
    runtime()?.block_on(async {
        if let Some(gateway) = &gateway {
            let key = key(&world, gateway)?;
            let told = match gateway.remove(&world, &key).await? {
                Removed::Now => "Palette deleted the gateway",
                Removed::Before => "Palette has this gateway no more",
            };
            writeln!(io::stderr(), "{told}")?;
        }
        if wish.remove_agents {
            remove::remove_agents(&world).await?;
        }
        anyhow::Ok(())
    })?;
    reset::ask(&world, next.as_ref()).context("writing down that a reset is wanted")?;
    Command::new("systemctl")
        .arg("reboot")
        .run()
        .context("restarting the machine; the reset is done when it starts again")?;
    Ok(())
}

fn read_next(world: &World, file: &Path) -> anyhow::Result<Next> {
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
    Next::checked(world, &name, SecretString::from(text)).map_err(anyhow::Error::msg)
}

fn ask(name: &str) -> anyhow::Result<()> {
    ensure!(
        io::stdin().is_terminal(),
        "nobody is here to ask, nothing was done\n  help: `postern-agent reset --yes`"
    );
    write!(io::stderr(), "Type the machine's name, {name}, to go on: ")?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    ensure!(answer.trim() == name, "nothing was done");
    Ok(())
}

/// The key of the gateway file, or a line of standard input.
fn key(world: &World, gateway: &Gateway) -> anyhow::Result<SecretString> {
    if let Some(key) = remove::key_at_hand(world) {
        return Ok(key);
    }
    let line = if io::stdin().is_terminal() {
        write!(io::stderr(), "API key of a tenant administrator: ")?;
        let line = unseen()?;
        writeln!(io::stderr())?;
        line
    } else {
        first_line(&mut io::stdin().lock())?
    };
    match line.trim() {
        "" => bail!(
            "no API key was given, nothing was done\n  help: {}",
            gateway.by_hand()
        ),
        key => Ok(key.to_owned().into()),
    }
}

fn first_line(input: &mut dyn io::BufRead) -> io::Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::new());
    input.read_line(&mut line)?;
    Ok(line)
}

/// A line that the terminal does not show.
fn unseen() -> anyhow::Result<Zeroizing<String>> {
    let stdin = io::stdin();
    let before = tcgetattr(&stdin).context("asking the terminal")?;
    let mut quiet = before.clone();
    quiet.local_flags.remove(LocalFlags::ECHO);
    tcsetattr(&stdin, SetArg::TCSAFLUSH, &quiet).context("silencing the terminal")?;
    let line = first_line(&mut stdin.lock());
    tcsetattr(&stdin, SetArg::TCSAFLUSH, &before).context("restoring the terminal")?;
    Ok(line?)
}
