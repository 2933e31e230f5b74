//! Waiting: for the event that can change why a step stopped.
//!
//! A gateway file that changes ends every wait and starts the machine over.

use std::io;
use std::time::Duration;

use postern_contract::host::pace::backoff;
use postern_contract::paths;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::machine::Life;
use crate::host::events::Events;
use crate::host::files::takes_nothing;
use crate::host::world::World;
use crate::journal::condition::{Blocked, Condition, Reason, StepError, Waiting, WaitingFor};

/// Between two looks at what is about to come up.
pub(super) const POLL_INTERVAL: Duration = Duration::from_secs(10);
/// Longest wait between two tries of a step.
const MAX_RETRY_DELAY: Duration = Duration::from_secs(60);
/// Before a request is repeated whose answer no document describes.
const UNKNOWN_ANSWER_DELAY: Duration = Duration::from_secs(600);

/// What to do about a disk that takes nothing.
const FULL_DISK_REMEDY: &str = "make room under /var (`journalctl --vacuum-size=100M`, `k3s crictl rmi --prune`), or replace a disk that became read-only";

/// What ended a wait.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Woken {
    /// The thing waited for may be there.
    Again,
    /// There is another gateway file.
    GatewayFile,
}

impl Life<'_> {
    /// Waits for what can change why a step stopped.
    pub(super) async fn wait_or_block(&mut self, stop: StepError) -> io::Result<()> {
        match stop {
            StepError::Broken(error) => Err(error),
            StepError::Illegal(error) => Err(io::Error::other(error)),
            StepError::Wait { on, detail } => self.wait(on, detail).await,
            StepError::Block {
                reason,
                detail,
                remedy,
            } => self.block(reason, detail, remedy).await,
        }
    }

    /// The same within a step that goes on then; false if there is another gateway
    /// file: then the machine starts over.
    pub(super) async fn wait_within(&mut self, stop: StepError) -> Result<bool, StepError> {
        let state = self.journal.state;
        self.wait_or_block(stop).await?;
        Ok(self.journal.state == state)
    }

    /// Shows what the machine waits for, since when it waits for that.
    pub(super) fn publish_waiting(&mut self, on: WaitingFor, detail: String) -> io::Result<()> {
        let since = match &self.reporter.status.condition {
            Some(Condition::Waiting(before)) if before.on == on => before.since,
            _ => self.world.pace.now(),
        };
        self.publish(Some(Condition::Waiting(Waiting { on, since, detail })))
    }

    pub(super) async fn wait(&mut self, on: WaitingFor, detail: String) -> io::Result<()> {
        let tries = self.journal.failed();
        self.publish_waiting(on, detail)?;
        let pace = &self.world.pace;
        match on {
            WaitingFor::RequestLimit => {
                self.journal.refused = self.journal.refused.saturating_add(1);
                self.save()?;
                let turns = self.turns();
                let spread = turns.again(self.journal.refused);
                self.sleep_for(turns.least() + pace.jitter(spread)).await
            }
            WaitingFor::PaletteView => {
                let rest = self.turns().between(POLL_INTERVAL);
                self.sleep_for(rest + pace.jitter(rest / 2)).await
            }
            WaitingFor::GatewayFile => self.sleep(None, false).await,
            WaitingFor::Network => self.sleep(Some(MAX_RETRY_DELAY), true).await,
            // A pod that gets its network changes the machine's.
            WaitingFor::PodNetwork => self.sleep(Some(POLL_INTERVAL), true).await,
            WaitingFor::Jet | WaitingFor::Evidence | WaitingFor::FirstNode => {
                self.sleep_for(POLL_INTERVAL + pace.jitter(POLL_INTERVAL / 5))
                    .await
            }
            _ => {
                self.sleep_for(backoff(&**pace, tries, MAX_RETRY_DELAY))
                    .await
            }
        }
    }

    pub(super) async fn block(
        &mut self,
        reason: Reason,
        detail: String,
        remedy: String,
    ) -> io::Result<()> {
        let since = match &self.reporter.status.condition {
            Some(Condition::Blocked(before)) if before.reason == reason => before.since,
            _ => self.world.pace.now(),
        };
        let blocked = Blocked {
            reason,
            since,
            detail,
            remedy,
        };
        self.publish(Some(Condition::Blocked(blocked)))?;
        match reason {
            Reason::UnknownAnswer => self.sleep_for(UNKNOWN_ANSWER_DELAY).await,
            Reason::Overlap | Reason::VirtualAddress => self.sleep(None, true).await,
            // A "no" stays a "no", and a gateway that is gone is gone, until the gateway file is another.
            _ => self.sleep(None, false).await,
        }
    }

    /// The disk takes nothing. What is known may be ahead of what is written, so
    /// nothing else is done until the journal is on it again.
    pub(super) async fn wait_for_disk(&mut self, error: io::Error) -> io::Result<()> {
        let mut last = error;
        loop {
            let tries = self.journal.failed();
            self.publish_waiting(WaitingFor::Disk, format!("{last}; {FULL_DISK_REMEDY}"))?;
            let pace = &self.world.pace;
            pace.sleep(backoff(&**pace, tries, MAX_RETRY_DELAY)).await;
            match self.save() {
                Err(error) if takes_nothing(&error) => last = error,
                other => return other,
            }
        }
    }

    /// Waits for some time.
    pub(super) async fn sleep_for(&mut self, time: Duration) -> io::Result<()> {
        self.sleep(Some(time), false).await
    }

    async fn sleep(&mut self, time: Option<Duration>, network: bool) -> io::Result<()> {
        let world = self.world;
        let timer = async {
            match time {
                Some(time) => world.pace.sleep(time).await,
                None => std::future::pending().await,
            }
        };
        let change = async {
            if network {
                world.network.changed().await
            } else {
                std::future::pending().await
            }
        };
        let woken = tokio::select! {
            // Another gateway file goes before anything that happens at the same time.
            biased;
            other = gateway_file_changed(&self.folder, self.read, world) => {
                other?;
                Woken::GatewayFile
            }
            () = timer => Woken::Again,
            changed = change => {
                changed?;
                Woken::Again
            }
        };
        match woken {
            Woken::Again => Ok(()),
            Woken::GatewayFile => self.start_over(),
        }
    }

    /// The gateway file's digest, if there is one that can be read.
    pub(super) fn digest(&self) -> Option<[u8; 32]> {
        digest(self.world)
    }

    /// Whether the gateway file is not the one that was read.
    pub(super) fn has_another_file(&self) -> bool {
        is_another(self.read, self.world)
    }
}

/// Ends when the gateway file is not the one that was read.
async fn gateway_file_changed(
    folder: &Events,
    read: Option<[u8; 32]>,
    world: &World,
) -> io::Result<()> {
    loop {
        // Asked first: it may have changed before anybody listened.
        if is_another(read, world) {
            return Ok(());
        }
        folder.next().await?;
    }
}

fn is_another(read: Option<[u8; 32]>, world: &World) -> bool {
    digest(world).is_some_and(|now| Some(now) != read)
}

fn digest(world: &World) -> Option<[u8; 32]> {
    let text = fs_err::read(world.root.at(paths::GATEWAY_FILE)).ok()?;
    Some(Sha256::digest(Zeroizing::new(text)).into())
}
