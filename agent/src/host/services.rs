//! systemd, as the agent uses it.

use postern_contract::host::{Command, CommandError};

/// The service manager. A trait, so that a test needs no systemd.
pub trait Services: Send + Sync {
    /// Reads unit files and their environment files afresh.
    ///
    /// # Errors
    /// If `systemctl` fails.
    fn reload(&self) -> Result<(), CommandError>;

    /// Starts a unit and returns when it says that it is ready
    /// (`Type=notify`); returns at once if it is up already.
    ///
    /// # Errors
    /// If the unit does not come up.
    fn start(&self, unit: &str) -> Result<(), CommandError>;

    /// Like [`Services::start`], with the unit stopped before.
    ///
    /// # Errors
    /// If the unit does not come up again.
    fn restart(&self, unit: &str) -> Result<(), CommandError>;

    /// Stops a unit and returns when it is down.
    ///
    /// # Errors
    /// If it cannot be stopped.
    fn stop(&self, unit: &str) -> Result<(), CommandError>;

    /// Whether the unit is up or on its way there.
    ///
    /// # Errors
    /// If `systemctl` cannot be run.
    fn is_active(&self, unit: &str) -> Result<bool, CommandError>;
}

/// The running systemd.
#[derive(Clone, Copy, Debug, Default)]
pub struct Systemd;

impl Services for Systemd {
    fn reload(&self) -> Result<(), CommandError> {
        systemctl(&["daemon-reload"])
    }

    fn start(&self, unit: &str) -> Result<(), CommandError> {
        systemctl(&["start", unit])
    }

    fn restart(&self, unit: &str) -> Result<(), CommandError> {
        systemctl(&["restart", unit])
    }

    fn stop(&self, unit: &str) -> Result<(), CommandError> {
        systemctl(&["stop", unit])
    }

    fn is_active(&self, unit: &str) -> Result<bool, CommandError> {
        let output = Command::new("systemctl")
            .args(["is-active", unit])
            .run_unchecked()?;
        let state = String::from_utf8_lossy(&output.stdout);
        Ok(matches!(
            state.trim(),
            "active" | "activating" | "reloading"
        ))
    }
}

fn systemctl(args: &[&str]) -> Result<(), CommandError> {
    Command::new("systemctl").args(args).run().map(|_| ())
}
