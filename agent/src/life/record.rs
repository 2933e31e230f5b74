//! Writing down what happened, and telling everyone who looks.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use ipnet::IpNet;
use postern_contract::gateway::masked;
use postern_contract::host::CommandError;
use postern_contract::host::http::{Outbound, Versions};
use postern_contract::palette::client::Palette;
use postern_contract::paths;
use postern_contract::state::State;

use super::Life;
use crate::host::notify::notify;
use crate::host::services::Services;
use crate::journal::Registration;
use crate::journal::condition::{On, Stop, Trouble};
use crate::pairing::pair;
use crate::pairing::{Anew, Strategy};
use crate::report::maas::{Teller, Webhook};
use crate::report::model::Image;
use crate::site::configure::{self, Wanted, Written};
use crate::site::drift;
use crate::site::settings::{self, Settings};

/// How long MAAS may take to hear what it was not told yet.
const HEARING: Duration = Duration::from_secs(10);

impl Life<'_> {
    /// Moves to `state`: the journal first, everybody else after.
    pub(super) fn enter(&mut self, state: State) -> Result<(), Stop> {
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
    pub(super) fn publish(&mut self, trouble: Option<Trouble>) -> io::Result<()> {
        let now = self.world.pace.now();
        let status = &mut self.reporter.status;
        status.state = self.journal.state;
        status.since = self.journal.since;
        status.boot = self.journal.boots;
        status.trouble = trouble;
        status.overlord_uid.clone_from(&self.journal.overlord_uid);
        status.contact.clone_from(&self.journal.contact);
        status.scrubbed = self.journal.scrubbed.is_some();
        status.attempts.clone_from(&self.journal.attempts);
        status.addresses = self.addresses.iter().map(IpNet::to_string).collect();
        self.reporter.publish(now)?;
        notify(&format!("STATUS={}", self.journal.state))
    }

    /// Begins to tell MAAS, if it can be told. It is reached without a proxy,
    /// as cloud-init reaches it.
    pub(super) fn tell_maas(&mut self) -> Result<(), Stop> {
        if self.reporter.maas.is_some() {
            return Ok(());
        }
        let Some(webhook) = Webhook::find(&self.world.root)? else {
            return Ok(());
        };
        let outbound = Outbound {
            bundle: self.world.root.at(paths::CA_BUNDLE),
            extra: self.settings()?.certificates,
            ..Outbound::default()
        };
        // Without a client MAAS hears nothing; what is wrong is told when
        // Palette is to be reached.
        let client = (self.world.client)(&outbound, Versions::Best).ok();
        self.reporter.maas = client.map(|client| Teller::begin(webhook, client));
        Ok(())
    }

    /// Lets MAAS hear the last word before its key is erased; not for long.
    pub(super) async fn tell_the_rest(&self) {
        if let Some(maas) = &self.reporter.maas {
            tokio::select! {
                () = maas.told() => {}
                () = self.world.pace.sleep(HEARING) => {}
            }
        }
    }

    /// What a registered machine is stays as it was, whatever the gateway file
    /// says; so does one that may be registered.
    pub(super) fn hold(&mut self, wanted: &mut Wanted) -> io::Result<()> {
        let settled = self.journal.registration.is_settled();
        self.held = false;
        if (settled || self.is_open())
            && let Some(kept) = settings::load(&self.world.root)?
        {
            let told = drift::hold(&kept, &mut wanted.settings);
            self.held = !settled && !told.is_empty();
            wanted.warnings.extend(told);
        }
        Ok(())
    }

    /// Learns what must be hidden and what may be shown.
    pub(super) fn learn(&mut self, wanted: &Wanted) {
        let settings = &wanted.settings;
        self.reporter.mask.learn(settings.secrets());
        for warning in &wanted.warnings {
            self.reporter.warn(warning);
        }
        let status = &mut self.reporter.status;
        status.gateway = Some(settings.name.clone());
        status.endpoint = Some(settings.endpoint.to_string());
        status.node = Some(settings.node_name.clone());
        status.proxy = settings.proxy.as_ref().map(|p| masked(&p.https));
        status.image = Some(Image {
            name: wanted.image.name.clone(),
            version: wanted.image.version.clone(),
            k3s_version: wanted.image.k3s_version.clone(),
        });
    }

    /// Compares the gateway file's pairing with the journal's: another code
    /// starts another pairing, unless this machine is paired already or may be.
    pub(super) fn take_strategy(&mut self) {
        let Some(strategy) = self.strategy.clone() else {
            return;
        };
        self.reporter.mask.learn(strategy.secrets());
        self.reporter.status.pairing = Some(strategy.card());
        let print = strategy.fingerprint();
        match &self.journal.pairing_code_sha256 {
            Some(known) if *known == print => return,
            Some(_) if self.journal.registration.is_settled() => {
                return self.compare(&*strategy, print);
            }
            Some(_) if self.is_open() => {
                self.held = true;
                self.strategy = None;
                return;
            }
            Some(_) => {
                let journal = &mut self.journal;
                journal.registration = Registration::NotAsked;
                journal.manifest_sha256 = None;
                journal.applied = None;
                journal.overlord_uid = None;
            }
            None => {}
        }
        self.journal.pairing_code_sha256 = Some(print);
    }

    /// A registered machine is told how to pair once more.
    fn compare(&mut self, strategy: &dyn Strategy, print: String) {
        match strategy.anew(self.journal.overlord_uid.as_deref()) {
            Anew::Same => self.journal.pairing_code_sha256 = Some(print),
            // Written down once they are in the cluster.
            Anew::Refreshed => self.stale = true,
            Anew::Other => self.reporter.warn(
                "this machine is registered already: the new way to pair is not used; `postern-agent reset --pair-again FILE` pairs it anew and makes its cluster anew",
            ),
        }
    }

    /// Writes every file for these settings and tells systemd if it must know.
    pub(super) async fn write(&mut self, settings: &Settings) -> Result<(), Stop> {
        let written = configure::write(self.world, settings, &self.addresses)?;
        self.k3s_changed |= written.k3s;
        let told = self
            .world
            .ask(move |services, _| tell(services, written))
            .await;
        told.map_err(|e| Stop::wait(On::Cluster, e.to_string()))
    }

    pub(super) fn settings(&self) -> Result<Settings, Stop> {
        let missing = || Stop::Broken(io::Error::other("no settings after they were read"));
        self.settings.clone().ok_or_else(missing)
    }

    pub(super) fn strategy(&self) -> Result<Rc<dyn Strategy>, Stop> {
        let missing = || Stop::wait(On::GatewayFile, "what the gateway pairs with is gone");
        self.strategy.clone().ok_or_else(missing)
    }

    pub(super) fn palette(&self) -> Result<(Settings, Palette), Stop> {
        let settings = self.settings()?;
        let outbound = pair::outbound(&self.world.root, &settings, &self.addresses)?;
        let palette = pair::palette(
            &*self.world.client,
            &outbound,
            &settings.endpoint,
            &self.world.pace,
        )?;
        Ok((settings, palette))
    }

    /// How long the machine is in this state.
    pub(super) fn waited(&self) -> Duration {
        let waited = self.world.pace.now().duration_since(self.journal.since);
        Duration::try_from(waited).unwrap_or_default()
    }
}

/// Has everyone read again what changed for them.
fn tell(services: &dyn Services, written: Written) -> Result<(), CommandError> {
    if written.systemd || written.k3s {
        services.reload()?;
    }
    let daemons = [
        (written.dns, "systemd-resolved.service"),
        (written.ntp, "systemd-timesyncd.service"),
    ];
    for (changed, unit) in daemons {
        if changed && services.is_active(unit)? {
            services.restart(unit)?;
        }
    }
    Ok(())
}
