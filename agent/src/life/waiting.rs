//! Waiting: for the event that can change why a step stopped.
//!
//! A gateway file that changes ends every wait and starts the machine over.

use std::io;
use std::time::Duration;

use postern_contract::host::pace::backoff;
use postern_contract::paths;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{LOOK, Life};
use crate::host::events::Events;
use crate::host::world::World;
use crate::journal::condition::{Blocked, On, Reason, Trouble, Waiting};

/// Longest wait between two tries of a step.
const MOST: Duration = Duration::from_secs(60);
/// Before an answer nobody documents is asked for again.
const SLOW: Duration = Duration::from_secs(600);

/// What to do about a disk that takes nothing.
const ROOM: &str = "make room under /var (`journalctl --vacuum-size=100M`, `k3s crictl rmi --prune`), or replace a disk that became read-only";

/// Whether the disk is full or read-only: a start of the agent does not mend that.
pub(super) fn takes_nothing(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    matches!(
        error.kind(),
        StorageFull | QuotaExceeded | ReadOnlyFilesystem
    )
}

/// What ended a wait.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Woken {
    /// The thing waited for may be there.
    Again,
    /// There is another gateway file.
    GatewayFile,
}

impl Life<'_> {
    pub(super) async fn wait(&mut self, on: On, detail: String) -> io::Result<()> {
        let tries = self.journal.failed();
        let since = match &self.reporter.status.trouble {
            Some(Trouble::Waiting(before)) if before.on == on => before.since,
            _ => self.world.pace.now(),
        };
        let waiting = Waiting { on, since, detail };
        self.publish(Some(Trouble::Waiting(waiting)))?;
        let pace = &self.world.pace;
        match on {
            On::RequestLimit => {
                self.refused = self.refused.saturating_add(1);
                let turns = self.turns();
                let spread = turns.again(self.refused);
                self.until(turns.least() + pace.jitter(spread)).await
            }
            On::PaletteView => {
                let rest = self.turns().between(LOOK);
                self.until(rest + pace.jitter(rest / 2)).await
            }
            On::GatewayFile => self.sleep(None, false).await,
            On::Network => self.sleep(Some(MOST), true).await,
            // A pod that gets its network changes the machine's.
            On::PodNetwork => self.sleep(Some(LOOK), true).await,
            On::Jet | On::Evidence | On::FirstNode => {
                self.until(LOOK + pace.jitter(LOOK / 5)).await
            }
            _ => self.until(backoff(&**pace, tries, MOST)).await,
        }
    }

    pub(super) async fn block(
        &mut self,
        reason: Reason,
        detail: String,
        remedy: String,
    ) -> io::Result<()> {
        let since = match &self.reporter.status.trouble {
            Some(Trouble::Blocked(before)) if before.reason == reason => before.since,
            _ => self.world.pace.now(),
        };
        let blocked = Blocked {
            reason,
            since,
            detail,
            remedy,
        };
        self.publish(Some(Trouble::Blocked(blocked)))?;
        match reason {
            Reason::UnknownAnswer => self.until(SLOW).await,
            Reason::Overlap | Reason::VirtualAddress => self.sleep(None, true).await,
            // A "no" stays a "no", and a gateway that is gone is gone, until the gateway file is another.
            _ => self.sleep(None, false).await,
        }
    }

    /// The disk takes nothing. What is known may be ahead of what is written, so
    /// nothing else is done until the journal is on it again.
    pub(super) async fn wait_for_room(&mut self, error: io::Error) -> io::Result<()> {
        let mut last = error;
        loop {
            let tries = self.journal.failed();
            let since = match &self.reporter.status.trouble {
                Some(Trouble::Waiting(before)) if before.on == On::Disk => before.since,
                _ => self.world.pace.now(),
            };
            let detail = format!("{last}; {ROOM}");
            let on = On::Disk;
            self.publish(Some(Trouble::Waiting(Waiting { on, since, detail })))?;
            let pace = &self.world.pace;
            pace.sleep(backoff(&**pace, tries, MOST)).await;
            match self.save() {
                Err(error) if takes_nothing(&error) => last = error,
                other => return other,
            }
        }
    }

    /// Waits for some time.
    pub(super) async fn until(&mut self, time: Duration) -> io::Result<()> {
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
            () = timer => Woken::Again,
            changed = change => {
                changed?;
                Woken::Again
            }
            other = another(&self.folder, self.read, world) => {
                other?;
                Woken::GatewayFile
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
}

/// Ends when the gateway file is not the one that was read.
async fn another(folder: &Events, read: Option<[u8; 32]>, world: &World) -> io::Result<()> {
    loop {
        // Asked first: it may have changed before anybody listened.
        if digest(world).is_some_and(|now| Some(now) != read) {
            return Ok(());
        }
        folder.next().await?;
    }
}

fn digest(world: &World) -> Option<[u8; 32]> {
    let text = fs_err::read(world.root.at(paths::GATEWAY_FILE)).ok()?;
    Some(Sha256::digest(Zeroizing::new(text)).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_known_by_the_kernels_own_error() {
        let full = fs_err::write("/dev/full", "x").unwrap_err();
        assert!(takes_nothing(&full), "{full}");
        let absent = fs_err::read("/dev/full/x").unwrap_err();
        assert!(!takes_nothing(&absent), "{absent}");
    }
}
