//! The life of a booted machine, from the gateway file to a healthy gateway: do the
//! next step, write down what came of it, or wait for what is missing.
//!
//! [`Life::step`] reads like the list of states. A step that succeeds moves the
//! machine, and the journal is written before anything else happens. A step
//! that stops leaves the machine where it is; `waiting` then waits for the event
//! that can change that, `evidence` asks the cluster, and `record` tells the journal and everyone who looks.
//! `register` has the steps that tell Palette, `watch` those after it. No secret
//! stays ([`scrub`]) or is shown ([`hidden`]); [`cloud_init`] is kept off beside all
//! this.
//!
//! # Later boots
//! The pairing code is needed once. [`configure`] therefore keeps everything
//! else the gateway file said in `/var/lib/postern/settings.json` (0600), and
//! [`scrub`] removes the gateway file, cloud-init's copies of it and MAAS'
//! credentials; [`cloud_init`] runs once only. A later boot configures itself from
//! the kept settings, starts k3s and believes the journal: neither MAAS nor
//! Palette is asked. A new gateway file always wins over the kept settings.

pub mod cloud_init;
mod evidence;
pub mod hidden;
mod record;
mod register;
pub mod scrub;
mod survey;
#[cfg(test)]
mod tests;
mod waiting;
mod watch;

use std::convert::Infallible;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use ipnet::IpNet;
use jiff::Timestamp;
use postern_contract::paths;
use postern_contract::state::State;

use crate::cluster::evidence::Jet;
use crate::cluster::{ready, shared_address};
use crate::host::events::Events;
use crate::host::notify::notify;
use crate::host::world::World;
use crate::journal::condition::{On, Stop};
use crate::journal::{Found, Journal, Registration};
use crate::ops::reset;
use crate::pairing::pair;
use crate::pairing::{self, Strategy};
use crate::preflight::online;
use crate::report::reporter::Reporter;
use crate::site::configure;
use crate::site::settings::Settings;
use waiting::takes_nothing;

/// Between two looks at `jet` while it settles.
const LOOK: Duration = Duration::from_secs(10);
/// `jet` "crash-loops for 10 to 15 minutes" until authorized (Palette's troubleshooting page).
const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// What is told when the first word of Palette is that there are too many.
const CROWDED: &str = "Palette takes 10 requests a second from one address, and more come from this one; this machine waits for its turn";

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
    /// When Palette may be asked first: machines that boot together take turns.
    turn: Option<Timestamp>,
    /// Refusals in a row because too many requests come from this address.
    refused: u32,
    /// The gateway file says something that waits until it is known whether an
    /// unanswered registration went through.
    held: bool,
    /// The gateway file brought other manifests for the same gateway.
    stale: bool,
    /// When Palette is called next, only to hear whether it is there.
    call: Option<Timestamp>,
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
            settings: None,
            strategy: None,
            addresses: Vec::new(),
            k3s_changed: false,
            jet_up: None,
            turn: None,
            refused: 0,
            held: false,
            stale: false,
            call: None,
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
        // k3s starts meanwhile, so a turn costs little.
        self.draw_turn(&settings);
        self.enter(self.journal.state.online()?)
    }

    /// `online → cluster-ready`
    async fn start_cluster(&mut self) -> Result<(), Stop> {
        // systemd gives k3s all the time it wants; a person is told meanwhile, and
        // another gateway file ends the wait.
        let ready = ready::cluster_ready(self.world, self.k3s_changed);
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
            if std::mem::take(&mut self.held) {
                // What waited for this can be judged now.
                return Ok(self.start_over()?);
            }
            return self.enter(self.journal.state.registered_before()?);
        }
        if self.settings()?.part.joins() {
            return self.follow_the_first().await;
        }
        if self.strategy.is_none() {
            return self.wait_for_proof();
        }
        // Drawn again for every new try of this way, and past by then.
        if !self.take_turn().await? || !self.a_pod_is_there().await? {
            return Ok(());
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
}

/// What `jet` shows, in words.
fn told(jet: &Jet) -> String {
    match jet {
        Jet::Absent => "there is no deployment jet-system/jet yet".to_owned(),
        Jet::Down(why) => format!("deployment jet is not available yet: {why}"),
        Jet::Up(_) => "deployment jet is available, for how long is to be seen".to_owned(),
    }
}
