//! Who on this machine reads files that follow from its settings, and who has to read
//! them again.
//!
//! A note under `/run` says that a consumer may still use older files. It is there
//! before the first file changes and until the consumer has read them: an agent that
//! is killed in between finds it at its next start. Consumers and notes end with the
//! boot.

use std::io;
use std::path::PathBuf;

use fs_err as fs;
use postern_contract::host::CommandError;
use postern_contract::host::files::write_atomic;
use secrecy::{ExposeSecret, SecretString};

use super::files::{differs, put, take_away};
use super::services::Services;
use super::world::Root;

/// Where the notes are.
const STALE: &str = "/run/postern/stale";

/// Who reads a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consumer {
    /// k3s, when it starts.
    K3s,
    /// keepalived, when it starts.
    Keepalived,
    /// systemd, when it reloads: the environment of what it starts.
    Systemd,
    /// systemd-resolved, when it starts.
    Resolved,
    /// systemd-timesyncd, when it starts.
    Timesyncd,
    /// Whoever reads it reads it every time: shells, apt, sshd.
    EveryTime,
}

/// A file that follows from the settings.
pub struct File {
    /// Who reads it.
    pub consumer: Consumer,
    /// Where it is, absolute.
    pub path: &'static str,
    /// Permission bits.
    pub mode: u32,
    /// What is in it; `None` if there shall be no such file.
    pub text: Option<SecretString>,
}

impl File {
    /// Makes the file what it shall be. Touches nothing if it is that already.
    ///
    /// # Errors
    /// Any I/O error, naming the path.
    pub fn apply(&self, root: &Root) -> io::Result<()> {
        let text = self
            .text
            .as_ref()
            .map(|text| text.expose_secret().as_bytes());
        if !differs(root, self.path, text, self.mode) {
            return Ok(());
        }
        self.consumer.outdate(root)?;
        match text {
            Some(text) => put(root, self.path, text, self.mode),
            None => take_away(root, self.path),
        }
    }
}

impl Consumer {
    /// The unit that runs it, if it is one.
    const fn unit(self) -> Option<&'static str> {
        match self {
            Self::K3s => Some("k3s.service"),
            Self::Keepalived => Some("keepalived.service"),
            Self::Resolved => Some("systemd-resolved.service"),
            Self::Timesyncd => Some("systemd-timesyncd.service"),
            Self::Systemd | Self::EveryTime => None,
        }
    }

    fn note(self, root: &Root) -> Option<PathBuf> {
        let name = match self {
            Self::Systemd => "systemd",
            Self::EveryTime => return None,
            _ => self.unit()?,
        };
        Some(root.at(STALE).join(name))
    }

    /// Whether it may still use older files.
    pub fn is_stale(self, root: &Root) -> bool {
        self.note(root).is_some_and(|note| note.exists())
    }

    fn outdate(self, root: &Root) -> io::Result<()> {
        if self == Self::K3s {
            // Its environment comes through systemd.
            Self::Systemd.outdate(root)?;
        }
        match self.note(root) {
            Some(note) => write_atomic(&note, b"", 0o600),
            None => Ok(()),
        }
    }

    fn is_current(self, root: &Root) -> Result<(), CommandError> {
        let Some(note) = self.note(root).filter(|note| note.exists()) else {
            return Ok(());
        };
        fs::remove_file(&note).map_err(|error| CommandError::Io {
            line: format!("rm {}", note.display()),
            error,
        })
    }

    /// Starts it, or restarts it if it runs with older files.
    ///
    /// # Errors
    /// If it does not come up.
    pub fn start(self, root: &Root, services: &dyn Services) -> Result<(), CommandError> {
        let Some(unit) = self.unit() else {
            return Ok(());
        };
        if self.is_stale(root) && services.is_active(unit)? {
            services.restart(unit)?;
        } else {
            services.start(unit)?;
        }
        self.is_current(root)
    }

    /// Stops it.
    ///
    /// # Errors
    /// If it cannot be stopped.
    pub fn stop(self, services: &dyn Services) -> Result<(), CommandError> {
        self.unit().map_or(Ok(()), |unit| services.stop(unit))
    }

    /// Restarts it if it runs with older files.
    fn renew(self, root: &Root, services: &dyn Services) -> Result<(), CommandError> {
        if let Some(unit) = self.unit().filter(|_| self.is_stale(root))
            && services.is_active(unit)?
        {
            services.restart(unit)?;
        }
        self.is_current(root)
    }
}

/// Has everyone but k3s and keepalived, which are steps of their own, read again what
/// changed for them.
///
/// # Errors
/// If one cannot.
pub fn renew(root: &Root, services: &dyn Services) -> Result<(), CommandError> {
    if Consumer::Systemd.is_stale(root) {
        services.reload()?;
        Consumer::Systemd.is_current(root)?;
    }
    Consumer::Resolved.renew(root, services)?;
    Consumer::Timesyncd.renew(root, services)
}
