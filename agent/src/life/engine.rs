//! The loop, and which step leads out of each state.

use std::convert::Infallible;
use std::io;

use postern_contract::state::State;

use super::machine::Life;
use crate::host::files::takes_nothing;
use crate::host::notify::notify;
use crate::journal::condition::StepError;

impl Life<'_> {
    /// Lives until something is broken that a restart may mend.
    ///
    /// # Errors
    /// I/O errors of this machine's own disk.
    pub async fn live(&mut self) -> io::Result<Infallible> {
        self.publish(None)?;
        // systemd goes on booting while the machine waits for the world.
        notify("READY=1")?;
        let mut turned = self.save();
        loop {
            match turned {
                Err(error) if takes_nothing(&error) => self.wait_for_disk(error).await?,
                other => other?,
            }
            turned = self.turn().await;
        }
    }

    /// One step, or one wait for what it lacks.
    async fn turn(&mut self) -> io::Result<()> {
        match self.step().await {
            Ok(()) => self.publish(None),
            Err(stop) => self.wait_or_block(stop).await,
        }
    }

    async fn step(&mut self) -> Result<(), StepError> {
        match self.journal.state {
            State::Unconfigured => self.configure().await,
            State::Configured => self.go_online().await,
            State::Online => self.start_cluster().await,
            State::ClusterReady => self.check_route().await,
            State::PreflightOk => self.apply().await,
            State::ManifestsApplied => self.register().await,
            State::Registered => self.become_healthy().await,
            State::Healthy => self.stay_healthy().await,
        }
    }
}
