//! The loop: do the next step, write down what came of it, or wait for what is missing.
//!
//! [`Life::step`] reads like the list of states. A step that succeeds moves the
//! machine, and the journal is written before anything else happens. A step
//! that stops leaves the machine where it is; `waiting` then waits for the event
//! that can change that, `evidence` asks the cluster, and `record` tells the journal and everyone who looks.

mod evidence;
mod record;
mod survey;
#[cfg(test)]
mod tests;
mod waiting;

use std::convert::Infallible;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use ipnet::IpNet;
use jiff::Timestamp;

use super::configure;
use super::journal::{Found, Journal, Registration};
use super::machine::State;
use super::settings::Settings;
use super::trouble::{On, Stop};
use super::world::World;
use super::{cluster, online, pair, reset, scrub, shared_address};
use crate::contract::paths;
use crate::host::events::Events;
use crate::host::notify::notify;
use crate::k3s::evidence::Jet;
use crate::pairing::{self, PairError, Strategy};
use crate::status::report::Reporter;
use waiting::takes_nothing;

/// Palette allows 10 requests a second per source address: machines that boot
/// together spread their first call over this time.
const SPREAD: Duration = Duration::from_secs(5);
/// Between two looks at `jet` while it settles.
const LOOK: Duration = Duration::from_secs(10);
/// `jet` "crash-loops for 10 to 15 minutes" until authorized (Palette's troubleshooting page).
const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// Between two looks at a healthy gateway.
const HEARTBEAT: Duration = Duration::from_secs(120);

/// What is told while k3s starts.
const STARTING: &str = "k3s has not said yet that it is up: `journalctl -u k3s` tells what it does";

/// One machine, alive.
pub struct Life<'w> {
    world: &'w World,
    journal: Journal,
    reporter: Reporter,
    folder: Events,
    /// SHA-256 of the gateway file that was read last; `None` if there was none.
    read: Option<[u8; 32]>,
    settings: Option<Settings>,
    strategy: Option<Rc<dyn Strategy>>,
    addresses: Vec<IpNet>,
    /// k3s must be restarted to see its files.
    k3s_changed: bool,
    /// When `jet` was seen up first, in an unbroken row of looks.
    jet_up: Option<Timestamp>,
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
            folder: Events::in_folder(folder)?,
            read: None,
            settings: None,
            strategy: None,
            addresses: Vec::new(),
            k3s_changed: false,
            jet_up: None,
        };
        match world.keeper.load()? {
            Found::Nothing => {}
            Found::Good(journal) => life.journal = journal.begun(&world.boot_id, now),
            Found::Broken { aside, why } => {
                // Palette may have been asked already; only the cluster knows.
                life.journal.registration = Registration::Asked { at: now };
                let told = format!(
                    "the journal was unreadable ({why}), it is now {}",
                    aside.display()
                );
                life.journal.note(now, &told);
                life.reporter.warn(&told);
            }
        }
        if let Some(told) = was_reset {
            life.journal.note(now, &told);
            life.reporter.warn(&told);
        }
        Ok(life)
    }

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
                Err(error) if takes_nothing(&error) => self.wait_for_room(error).await?,
                other => other?,
            }
            turned = self.turn().await;
        }
    }

    /// One step, or one wait for what it lacks.
    async fn turn(&mut self) -> io::Result<()> {
        match self.step().await {
            Ok(()) => self.publish(None),
            Err(Stop::Broken(error)) => Err(error),
            Err(Stop::Illegal(error)) => Err(io::Error::other(error)),
            Err(Stop::Wait { on, detail }) => self.wait(on, detail).await,
            Err(Stop::Block {
                reason,
                detail,
                remedy,
            }) => self.block(reason, detail, remedy).await,
        }
    }

    async fn step(&mut self) -> Result<(), Stop> {
        match self.journal.state {
            State::Unconfigured => self.configure().await,
            State::Configured => self.go_online().await,
            State::Online => self.start_cluster().await,
            State::ClusterReady => self.check_the_way().await,
            State::PreflightOk => self.apply().await,
            State::ManifestsApplied => self.register().await,
            State::Registered => self.become_healthy().await,
            State::Healthy => self.stay_healthy().await,
        }
    }

    /// `unconfigured → configured`
    async fn configure(&mut self) -> Result<(), Stop> {
        self.read = self.digest();
        let mut wanted = configure::wanted(self.world)?;
        self.hold(&mut wanted)?;
        self.learn(&wanted);
        self.addresses = self.world.network.addresses()?;
        self.write(&wanted.settings).await?;
        self.strategy = wanted.pairing.as_ref().map(pairing::strategy);
        self.settings = Some(wanted.settings);
        self.take_strategy();
        self.tell_maas()?;
        self.enter(self.journal.state.configured()?)
    }

    /// `configured → online`
    async fn go_online(&mut self) -> Result<(), Stop> {
        let settings = self.settings()?;
        let addresses = online::online(self.world, &settings)?;
        if addresses != self.addresses {
            // The exceptions to the proxy hold the machine's own networks.
            self.addresses = addresses;
            self.write(&settings).await?;
        }
        shared_address::share(self.world, &settings, &self.addresses).await?;
        self.enter(self.journal.state.online()?)
    }

    /// `online → cluster-ready`
    async fn start_cluster(&mut self) -> Result<(), Stop> {
        // systemd gives k3s all the time it wants; a person is told meanwhile, and
        // another gateway file ends the wait.
        let ready = cluster::cluster_ready(self.world, self.k3s_changed);
        let mut ready = std::pin::pin!(ready);
        let mut quiet = true;
        loop {
            let still = async {
                if std::mem::take(&mut quiet) {
                    return self.until(LOOK).await;
                }
                self.wait(On::Cluster, STARTING.to_owned()).await
            };
            tokio::select! {
                biased;
                done = &mut ready => {
                    done?;
                    break;
                }
                waited = still => waited?,
            }
            if self.journal.state != State::Online {
                return Ok(());
            }
        }
        self.k3s_changed = false;
        self.enter(self.journal.state.cluster_ready()?)
    }

    /// `cluster-ready → preflight-ok`, or `→ registered` if that is proven.
    async fn check_the_way(&mut self) -> Result<(), Stop> {
        self.remember().await?;
        if self.journal.registration.is_settled() {
            return self.enter(self.journal.state.registered_before()?);
        }
        if self.settings()?.part.joins() {
            return self.follow_the_first().await;
        }
        if self.strategy.is_none() {
            // Proof may still come; a gateway file comes by itself.
            let on = match self.journal.registration {
                Registration::Asked { .. } => On::Evidence,
                _ => On::GatewayFile,
            };
            let detail =
                "pairing is not finished, and the gateway file with its pairing code is gone";
            return Err(Stop::wait(on, detail));
        }
        let first = self.tries() == 0;
        if !self.a_pod_is_there().await? {
            return Ok(());
        }
        if first {
            let pace = &self.world.pace;
            pace.sleep(pace.jitter(SPREAD)).await;
        }
        self.survey().await
    }

    /// `cluster-ready → registered` on a machine that joined: the first one pairs.
    async fn follow_the_first(&mut self) -> Result<(), Stop> {
        let jet = self.look().await?;
        if !jet.is_stable(self.world.pace.now(), self.jet_up) {
            return Err(Stop::wait(On::FirstNode, told(&jet)));
        }
        self.journal.overlord_uid = pair::overlord_uid(self.world).await?;
        self.settle()?;
        self.enter(self.journal.state.registered_before()?)
    }

    /// `preflight-ok → manifests-applied`
    async fn apply(&mut self) -> Result<(), Stop> {
        let must_call = self.must_call()?;
        let enough = |uid: &Option<String>| uid.is_some() || !must_call;
        if self.journal.applied.is_some() && enough(&self.journal.overlord_uid) {
            return self.enter(self.journal.state.manifests_applied()?);
        }
        let (settings, palette) = self.palette()?;
        let strategy = self.strategy()?;
        let known = self.journal.manifest_sha256.as_deref();
        let (manifest, uid) =
            pair::manifest(self.world, &palette, (&*strategy, &settings.name), known).await?;
        self.reporter.mask.learn(manifest.secrets());
        if known != Some(manifest.sha256.as_str()) {
            self.journal.manifest_sha256 = Some(manifest.sha256.clone());
            self.journal.overlord_uid = uid.clone();
            self.save()?;
        }
        pair::apply(self.world, &manifest).await?;
        let uid = match uid.or_else(|| self.journal.overlord_uid.clone()) {
            Some(uid) => Some(uid),
            None => pair::overlord_uid(self.world).await?,
        };
        if !enough(&uid) {
            let detail = "neither the manifest nor the cluster holds jet-system/overlord-config";
            return Err(Stop::wait(On::OverlordUid, detail));
        }
        self.journal.applied = Some(self.world.pace.now());
        self.journal.overlord_uid = uid;
        self.enter(self.journal.state.manifests_applied()?)
    }

    /// Whether registering takes a call of this machine.
    fn must_call(&self) -> Result<bool, Stop> {
        let strategy = self.strategy()?;
        let registration = strategy.registration();
        Ok(matches!(registration, pairing::Registration::Call(_)))
    }

    /// `manifests-applied → registered`: the one act that is never repeated blindly.
    async fn register(&mut self) -> Result<(), Stop> {
        if let Registration::Asked { .. } = self.journal.registration {
            self.look_for_proof().await?;
        }
        if self.journal.registration.is_settled() {
            return self.enter(self.journal.state.registered()?);
        }
        let strategy = self.strategy()?;
        let pairing::Registration::Call(call) = strategy.registration() else {
            return self.wait_for_the_agents().await;
        };
        let (_, palette) = self.palette()?;
        let Some(uid) = self.journal.overlord_uid.clone() else {
            return Err(Stop::wait(
                On::OverlordUid,
                "the gateway's uid is not known",
            ));
        };
        let at = self.world.pace.now();
        let before = std::mem::replace(&mut self.journal.registration, Registration::Asked { at });
        if let Err(error) = self.save() {
            // What could not be written down was not done.
            self.journal.registration = before;
            return Err(error.into());
        }
        match call.register(&palette, &uid).await {
            Ok(done) => {
                self.journal.registration = Registration::Done {
                    at: done.at,
                    audit_uid: done.audit_uid,
                };
                self.enter(self.journal.state.registered()?)
            }
            // Palette may have acted: `Asked` stays, and proof is looked for first.
            Err(error @ (PairError::Ambiguous(_) | PairError::Unknown { .. })) => {
                Err(pair::stop(error))
            }
            Err(error) => {
                self.journal.registration = Registration::NotAsked;
                self.save()?;
                Err(pair::stop(error))
            }
        }
    }

    /// `registered → healthy`
    async fn become_healthy(&mut self) -> Result<(), Stop> {
        let jet = self.look().await?;
        if jet.is_stable(self.world.pace.now(), self.jet_up) {
            return self.enter(self.journal.state.healthy()?);
        }
        Err(self.not_yet(&jet))
    }

    /// `jet` may take long; after the documented time a person should look.
    fn not_yet(&self, jet: &Jet) -> Stop {
        let late = if self.waited() > PATIENCE {
            "; this is longer than Palette documents: look at the gateway in Palette's console and at `k3s kubectl -n jet-system logs deployment/jet`"
        } else {
            ""
        };
        Stop::wait(On::Jet, format!("{}{late}", told(jet)))
    }

    /// `healthy`: cleans up once, then looks now and then.
    async fn stay_healthy(&mut self) -> Result<(), Stop> {
        if self.journal.scrubbed.is_none() || self.strategy.is_some() {
            self.tell_the_rest().await;
            scrub::scrub(self.world)?;
            self.read = None;
            self.strategy = None;
            self.journal.scrubbed = Some(self.world.pace.now());
            self.journal
                .note(self.world.pace.now(), "no secret is left on this disk");
            self.save()?;
            return Ok(());
        }
        let rest = HEARTBEAT + self.world.pace.jitter(HEARTBEAT / 2);
        self.until(rest).await?;
        if self.journal.state != State::Healthy {
            return Ok(());
        }
        match self.look().await? {
            Jet::Up(_) => Ok(()),
            Jet::Down(_) | Jet::Absent => self.enter(self.journal.state.unhealthy()?),
        }
    }
}

/// What `jet` shows, in words.
fn told(jet: &Jet) -> String {
    match jet {
        Jet::Absent => "there is no deployment jet-system/jet yet".to_owned(),
        Jet::Down(why) => format!("deployment jet is not available yet: {why}"),
        Jet::Up(_) => "deployment jet is available, for how long is to be seen".to_owned(),
    }
}
