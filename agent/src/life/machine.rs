//! One machine: what every step has in common.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use ipnet::IpNet;
use postern_contract::host::http::{HttpVersions, Outbound};
use postern_contract::palette::client::Palette;
use postern_contract::paths;
use postern_contract::state::State;

use super::reset;
use crate::cluster::evidence::Up;
use crate::host::events::Events;
use crate::host::notify::notify;
use crate::host::world::World;
use crate::journal::condition::{Condition, StepError, WaitingFor};
use crate::journal::{Found, Journal, Registration};
use crate::pairing::Strategy;
use crate::report::maas::{MaasNotifier, Webhook};
use crate::report::reporter::Reporter;
use crate::site::reach;
use crate::site::settings::Settings;

/// `jet` "crash-loops for 10 to 15 minutes" until authorized (Palette's troubleshooting page).
pub(super) const JET_TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// How long reports to MAAS that are still queued may take.
const MAAS_REPORT_TIMEOUT: Duration = Duration::from_secs(10);

/// One machine, alive. What it did is in the journal, what it shall be in the plan;
/// everything else that a step needs is that step's own.
pub struct Life<'w> {
    pub(super) world: &'w World,
    pub(super) journal: Journal,
    pub(super) reporter: Reporter,
    pub(super) folder: Events,
    /// SHA-256 of the gateway file that was read last; `None` if there was none.
    pub(super) read: Option<[u8; 32]>,
    pub(super) plan: Option<Plan>,
    /// Since when Palette's agent is up, as long as it is looked at.
    pub(super) up: Option<Up>,
}

/// What the step `configured` makes of the gateway file: nothing in it outlives that
/// file and this process, because the next start makes it again.
pub(super) struct Plan {
    /// For every consumer.
    pub settings: Settings,
    /// How to pair, while there is a gateway file that says so.
    pub strategy: Option<Rc<dyn Strategy>>,
    /// The machine's addresses: the exceptions to the proxy hold their networks.
    pub addresses: Vec<IpNet>,
    /// The gateway file says something that waits until it is known whether an
    /// unanswered registration went through.
    pub deferred: bool,
}

impl<'w> Life<'w> {
    /// Picks up where the journal ends.
    ///
    /// # Errors
    /// If the journal cannot be read, or `/etc/postern` not watched.
    pub fn begin(world: &'w World, reporter: Reporter) -> io::Result<Self> {
        let now = world.pace.now();
        let was_reset = reset::resume(world)?;
        let folder = world.root.at(paths::GATEWAY_FILE);
        let folder = folder.parent().unwrap_or(&world.root.0);
        fs_err::create_dir_all(folder)?;
        let mut life = Self {
            world,
            journal: Journal::new(&world.boot_id, now),
            reporter,
            folder: (world.watch)(folder)?,
            read: None,
            plan: None,
            up: None,
        };
        match world.keeper.load()? {
            Found::Nothing => {}
            Found::Good(journal) => life.journal = journal.begun(&world.boot_id, now),
            Found::Broken { aside, why } => {
                // Palette may have been asked already; only the cluster knows.
                life.journal.registration = Registration::Asked { at: now };
                let message = format!(
                    "the journal was unreadable ({why}), it is now {}",
                    aside.display()
                );
                life.journal.note(now, &message);
                life.reporter.warn(&message);
            }
        }
        if let Some(message) = was_reset {
            life.journal.note(now, &message);
            life.reporter.warn(&message);
        }
        Ok(life)
    }
}

impl Life<'_> {
    pub(super) fn plan(&self) -> Result<&Plan, StepError> {
        let missing = || StepError::Broken(io::Error::other("no settings after they were read"));
        self.plan.as_ref().ok_or_else(missing)
    }

    pub(super) fn strategy(&self) -> Result<Rc<dyn Strategy>, StepError> {
        let missing = || {
            StepError::wait(
                WaitingFor::GatewayFile,
                "what the gateway pairs with is gone",
            )
        };
        self.plan()?.strategy.clone().ok_or_else(missing)
    }

    /// Palette, as this machine reaches it.
    pub(super) fn palette(&self) -> Result<Palette, StepError> {
        let (world, plan) = (self.world, self.plan()?);
        let outbound = reach::outbound(&world.root, &plan.settings, &plan.addresses)?;
        reach::palette(
            &*world.client,
            &outbound,
            &plan.settings.endpoint,
            &world.pace,
        )
    }

    /// How long the machine is in this state.
    pub(super) fn waited(&self) -> Duration {
        let waited = self.world.pace.now().duration_since(self.journal.since);
        Duration::try_from(waited).unwrap_or_default()
    }

    /// Whether proof of an unanswered registration may still come.
    pub(super) fn is_open(&self) -> bool {
        let now = self.world.pace.now();
        self.journal.registration.is_open(now, JET_TIMEOUT)
    }

    /// Moves to `state`: the journal first, everybody else after.
    pub(super) fn enter(&mut self, state: State) -> Result<(), StepError> {
        self.journal.enter(state, self.world.pace.now());
        Ok(self.save()?)
    }

    /// Back to the first state, because there is another gateway file.
    pub(super) fn start_over(&mut self) -> io::Result<()> {
        let now = self.world.pace.now();
        self.journal.note(now, "the gateway file changed");
        self.journal = self.journal.clone().begun(&self.world.boot_id, now);
        self.save()?;
        self.publish(None)
    }

    pub(super) fn save(&self) -> io::Result<()> {
        self.world.keeper.save(&self.journal)
    }

    /// Shows where the machine is, and why it does not move.
    pub(super) fn publish(&mut self, condition: Option<Condition>) -> io::Result<()> {
        let now = self.world.pace.now();
        let status = &mut self.reporter.status;
        status.state = self.journal.state;
        status.since = self.journal.since;
        status.boot = self.journal.boots;
        status.condition = condition;
        status.overlord_uid.clone_from(&self.journal.overlord_uid);
        status.contact.clone_from(&self.journal.contact);
        status.scrubbed = self.journal.scrubbed.is_some();
        status.attempts.clone_from(&self.journal.attempts);
        if let Some(plan) = &self.plan {
            status.addresses = plan.addresses.iter().map(IpNet::to_string).collect();
        }
        self.reporter.publish(now)?;
        notify(&format!("STATUS={}", self.journal.state))
    }

    /// Begins to report to MAAS, if its address and key are there. It is reached without a proxy,
    /// as cloud-init reaches it.
    pub(super) fn report_to_maas(&mut self) -> Result<(), StepError> {
        if self.reporter.maas.is_some() {
            return Ok(());
        }
        let Some(webhook) = Webhook::find(&self.world.root)? else {
            return Ok(());
        };
        let outbound = Outbound {
            bundle: self.world.root.at(paths::CA_BUNDLE),
            extra: self.plan()?.settings.certificates.clone(),
            ..Outbound::default()
        };
        // Without a client nothing is reported to MAAS; what is wrong is shown when
        // Palette is to be reached.
        let client = (self.world.client)(&outbound, HttpVersions::Best).ok();
        self.reporter.maas = client.map(|client| MaasNotifier::begin(webhook, client));
        Ok(())
    }

    /// Lets MAAS hear the last word before its key is erased; not for long.
    pub(super) async fn flush_maas_reports(&self) {
        if let Some(maas) = &self.reporter.maas {
            tokio::select! {
                () = maas.flushed() => {}
                () = self.world.pace.sleep(MAAS_REPORT_TIMEOUT) => {}
            }
        }
    }
}
