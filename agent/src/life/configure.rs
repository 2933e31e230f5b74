//! `unconfigured → configured`: the plan, and every file that follows from it.

use std::io;
use std::rc::Rc;

use ipnet::IpNet;
use postern_contract::gateway::masked;

use super::machine::{Life, Plan};
use crate::host::consumers;
use crate::journal::Registration;
use crate::journal::condition::{StepError, WaitingFor};
use crate::pairing::{self, GatewayMatch, Strategy};
use crate::report::model::Image;
use crate::site::configure::{self, Wanted};
use crate::site::drift;
use crate::site::settings::{self, Settings};

impl Life<'_> {
    /// `unconfigured → configured`
    pub(super) async fn configure(&mut self) -> Result<(), StepError> {
        self.read = self.digest();
        let mut wanted = configure::wanted(self.world)?;
        let drifted = self.keep_fixed_settings(&mut wanted)?;
        self.show(&wanted);
        let addresses = self.world.network.addresses()?;
        if wanted.pairing.is_some() {
            // The gateway file, host keys and users, before a note that builds on them.
            self.world.sync().await?;
        }
        self.write(&wanted.settings, &addresses).await?;
        let strategy = wanted.pairing.as_ref().map(pairing::strategy);
        let new = strategy.is_some();
        let strategy = strategy.and_then(|strategy| self.take_strategy(strategy));
        self.plan = Some(Plan {
            settings: wanted.settings,
            deferred: drifted || new && strategy.is_none(),
            strategy,
            addresses,
        });
        self.report_to_maas()?;
        self.enter(self.journal.state.configured()?)
    }

    /// What a registered machine is stays as it was, whatever the gateway file
    /// says; so does one that may be registered. Returns whether that may change
    /// later.
    fn keep_fixed_settings(&mut self, wanted: &mut Wanted) -> io::Result<bool> {
        let settled = self.journal.registration.is_settled();
        if !settled && !self.is_open() {
            return Ok(false);
        }
        let Some(kept) = settings::load(&self.world.root)? else {
            return Ok(false);
        };
        let warnings = drift::restore(&kept, &mut wanted.settings);
        let deferred = !settled && !warnings.is_empty();
        wanted.warnings.extend(warnings);
        Ok(deferred)
    }

    /// Learns what must be hidden and what may be shown.
    fn show(&mut self, wanted: &Wanted) {
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
    /// starts another pairing, unless this machine is paired already. `None` if it
    /// may be: then the new way waits.
    fn take_strategy(&mut self, strategy: Rc<dyn Strategy>) -> Option<Rc<dyn Strategy>> {
        self.reporter.mask.learn(strategy.secrets());
        self.reporter.status.pairing = Some(strategy.summary());
        let fingerprint = strategy.fingerprint();
        match &self.journal.pairing_code_sha256 {
            Some(known) if *known == fingerprint => return Some(strategy),
            Some(_) if self.journal.registration.is_settled() => {
                match strategy.match_gateway(self.journal.overlord_uid.as_deref()) {
                    GatewayMatch::Same => self.journal.pairing_code_sha256 = Some(fingerprint),
                    // Written down once they are in the cluster.
                    GatewayMatch::Refreshed => {}
                    GatewayMatch::Other => self.reporter.warn(
                        "this machine is registered already: the new way to pair is not used; `postern-agent reset --pair-again FILE` pairs it again and makes its cluster again",
                    ),
                }
                return Some(strategy);
            }
            Some(_) if self.is_open() => return None,
            Some(_) => self.forget_pairing(),
            None => {}
        }
        self.journal.pairing_code_sha256 = Some(fingerprint);
        Some(strategy)
    }

    /// Nothing of an earlier pairing counts.
    pub(super) fn forget_pairing(&mut self) {
        let journal = &mut self.journal;
        journal.registration = Registration::NotAsked;
        journal.manifest_sha256 = None;
        journal.applied = None;
        journal.overlord_uid = None;
    }

    /// Writes every file for these settings and has everyone read again what changed.
    pub(super) async fn write(
        &self,
        settings: &Settings,
        addresses: &[IpNet],
    ) -> Result<(), StepError> {
        configure::write(self.world, settings, addresses)?;
        let root = self.world.root.clone();
        let renewed = self
            .world
            .query(move |services, _| consumers::renew(&root, services))
            .await;
        renewed.map_err(|e| StepError::wait(WaitingFor::Cluster, e.to_string()))
    }
}
