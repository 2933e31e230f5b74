//! A thousand machines behind one address: the whole agent of each, with its own
//! disk and cluster, against the stand-in's request limit, in the runtime's
//! paused clock. Between them and Palette is no network, so that time passes
//! only where somebody waits; each request takes a little of it.
//!
//! What 1,000 gateways cost of Palette's busiest resource, at 10 requests a second:
//! with pairing codes 1,000 requests, 100 s; with API keys (POST selfHosted, jet,
//! ally) 3,000 requests, 300 s.

mod nat;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use postern_sim::clock::Clock;
use postern_sim::events::{Event as Seen, EventLog};
use postern_sim::palette::{Event, Palette as Sim, PaletteConfig, Stage};
use postern_sim::tls::Authority;
use serde_json::json;

use super::bench::kernel;
use super::stand_ins::{TestCluster, TestNetwork, TestPods};
use super::*;
use crate::host::events::Events;
use crate::host::world::{Root, World};
use crate::journal::JournalFile;
use nat::{FleetPace, Nat};
use postern_contract::host::files::write_atomic;
use postern_contract::host::http::Client;

/// How many machines there are.
const FLEET: usize = 1000;
/// The key that the stand-in accepts.
const KEY: &str = "stand-in-tenant-admin-key";
/// The machines of a site become ready over this time: MAAS writes their disks at
/// once, k3s takes about as long on each.
const READY: Duration = Duration::from_secs(5);
/// What a fleet knows of itself, and how it pairs.
#[derive(Clone, Copy, Debug)]
struct Site {
    machines: usize,
    keys: bool,
    knows_its_size: bool,
}

/// What it took.
#[derive(Debug)]
struct Took {
    /// Until the last machine was registered.
    registered: Duration,
    /// Until the last one was healthy.
    healthy: Duration,
    requests: usize,
    refused: usize,
    /// Most refusals within one second.
    storm: usize,
}

struct Ends {
    registered: Cell<Option<Timestamp>>,
    healthy: Cell<Option<Timestamp>>,
}

/// A journal that is kept on a disk in memory and notes when the machine came where.
struct FleetKeeper {
    file: JournalFile,
    ends: Rc<Ends>,
    clock: Clock,
    done: Rc<tokio::sync::Notify>,
}

impl crate::journal::JournalStore for FleetKeeper {
    fn load(&self) -> io::Result<Found> {
        self.file.load()
    }
    fn peek(&self) -> io::Result<Found> {
        self.file.peek()
    }
    fn save(&self, journal: &Journal) -> io::Result<()> {
        self.file.save(journal)?;
        let now = self.clock.now();
        if journal.registration.is_settled() && self.ends.registered.get().is_none() {
            self.ends.registered.set(Some(now));
        }
        if clean(journal) && self.ends.healthy.get().is_none() {
            self.ends.healthy.set(Some(now));
            self.done.notify_one();
        }
        Ok(())
    }
}

/// A site, its NAT and the Palette behind it.
struct Fleet {
    site: Site,
    sim: Arc<Sim>,
    log: EventLog,
    clock: Clock,
    client: Client,
    disks: tempfile::TempDir,
}

impl Fleet {
    async fn new(site: Site) -> Self {
        let clock = Clock::of_runtime(Timestamp::now());
        let log = EventLog::new(clock.clone());
        let authority = Authority::generate("Rehearsal CA", clock.now()).unwrap();
        let body: String = authority
            .pem()
            .lines()
            .filter(|l| !l.starts_with('-'))
            .collect();
        let mut config = PaletteConfig::new("palette.example", authority, log.clone());
        config.clock = clock.clone();
        let sim = Arc::new(Sim::start(config).await.unwrap());
        let nat = Nat {
            sim: Arc::clone(&sim),
            certificate: STANDARD.decode(body).unwrap(),
        };
        // A thousand disks that are written through take their time elsewhere.
        let memory = std::path::Path::new("/dev/shm");
        let disks = match memory.is_dir() {
            true => tempfile::tempdir_in(memory),
            false => tempfile::tempdir(),
        };
        Self {
            site,
            sim,
            log,
            clock,
            client: Client::with_transport(Arc::new(nat)),
            disks: disks.unwrap(),
        }
    }

    /// What MAAS leaves on machine `number`; its root, and its gateway's uid if
    /// that is known by now.
    fn deploy(&self, number: usize) -> (Root, String) {
        let root = Root(self.disks.path().join(number.to_string()));
        let put =
            |path: &str, text: &str| write_atomic(&root.at(path), text.as_bytes(), 0o600).unwrap();
        let facts =
            json!({"schema": 1, "name": "demo", "version": "1", "k3s-version": "v1.31.8+k3s1"});
        put(paths::IMAGE_FACTS, &facts.to_string());
        let made = self.clock.now() - SignedDuration::from_hours(1);
        let file = fs::File::open(root.at(paths::IMAGE_FACTS)).unwrap();
        file.set_modified(made.into()).unwrap();
        put(paths::CA_BUNDLE, "");
        kernel(put);
        let (pairing, uid) = match self.site.keys {
            true => (format!("{{api-key: {KEY}}}"), String::new()),
            false => {
                let (code, uid) = self.sim.issue_code();
                (format!("{{pairing-code: {code}}}"), uid)
            }
        };
        let fleet = match self.site.knows_its_size {
            true => format!("\n  fleet: {}", self.site.machines),
            false => String::new(),
        };
        put(
            paths::GATEWAY_FILE,
            &format!(
                "apiVersion: postern/v1\nname: edge-{number}\npalette:\n  endpoint: https://palette.example\n  pairing: {pairing}{fleet}\n"
            ),
        );
        (root, uid)
    }

    /// Machine `number` as its agent finds it.
    fn world(&self, number: usize, ends: &Rc<Ends>, done: &Rc<tokio::sync::Notify>) -> World {
        let (root, uid) = self.deploy(number);
        let client = self.client.clone();
        let pace = FleetPace {
            clock: self.clock.clone(),
            state: Cell::new(u64::try_from(number).unwrap() << 32),
        };
        World {
            keeper: Rc::new(FleetKeeper {
                file: JournalFile(root.at(paths::JOURNAL)),
                ends: Rc::clone(ends),
                clock: self.clock.clone(),
                done: Rc::clone(done),
            }),
            root,
            services: Arc::new(super::stand_ins::TestServices::default()),
            cluster: Arc::new(TestCluster {
                objects: Mutex::default(),
                lines: Mutex::default(),
                palette: Arc::clone(&self.sim),
                uid,
                agents_register: AtomicBool::new(self.site.keys),
                crashing: AtomicBool::new(false),
                restarts: AtomicU32::new(0),
                sleepy: Mutex::new(false),
                down: Mutex::new(0..0),
            }),
            // What a visitor asks goes to a resource of its own (`Origin::Pod`).
            pods: Arc::<TestPods>::default(),
            network: Rc::new(TestNetwork {
                deaf: Rc::default(),
            }),
            pace: Rc::new(pace),
            proxy_timeout: Duration::from_secs(1),
            client: Rc::new(move |_, _| Ok(client.clone())),
            // The kernel watches 128 folders for one user.
            watch: |_| Ok(Events::never()),
            remount: |_, _| Ok(()),
            sync_file_system: Arc::new(|_| Ok(())),
            boot_id: "boot-1".to_owned(),
            host_name: format!("gateway-{number}"),
        }
    }

    /// Every machine lives until it is healthy and clean.
    async fn pairs(self) -> Took {
        let began = self.clock.now();
        let all = tokio::task::LocalSet::new();
        let mut lives = Vec::new();
        for number in 0..self.site.machines {
            let ends = Rc::new(Ends {
                registered: Cell::default(),
                healthy: Cell::default(),
            });
            let done = Rc::new(tokio::sync::Notify::new());
            let world = self.world(number, &ends, &done);
            let task = all.spawn_local(async move {
                world.pace.sleep(world.pace.jitter(READY)).await;
                let status = world.root.at(paths::STATUS);
                let reporter = Reporter::new(status, Box::new(io::sink()), world.pace.now());
                let mut life = Life::begin(&world, reporter).unwrap();
                tokio::select! {
                    ended = life.live() => panic!("{number}: {ended:?}"),
                    () = done.notified() => {}
                }
            });
            lives.push((task, ends));
        }
        all.await;
        let mut took = self.counted();
        for (task, ends) in lives {
            task.await.unwrap();
            let since = |end: &Cell<Option<Timestamp>>| {
                Duration::try_from(end.get().unwrap().duration_since(began)).unwrap()
            };
            took.registered = took.registered.max(since(&ends.registered));
            took.healthy = took.healthy.max(since(&ends.healthy));
        }
        let states = |stage| self.sim.count(stage);
        assert_eq!(self.sim.gateways(), self.site.machines, "none twice");
        assert_eq!(states(Stage::Healthy), self.site.machines);
        took
    }

    /// What Palette saw.
    fn counted(&self) -> Took {
        let (mut requests, mut refused) = (0, 0);
        let mut seconds = std::collections::BTreeMap::<i64, usize>::new();
        for seen in self.log.recorded() {
            if let Seen::Palette(Event::Answered { status, .. }) = seen.event {
                requests += 1;
                if status == 429 {
                    refused += 1;
                    *seconds.entry(seen.at.as_second()).or_default() += 1;
                }
            }
        }
        Took {
            registered: Duration::ZERO,
            healthy: Duration::ZERO,
            requests,
            refused,
            storm: seconds.into_values().max().unwrap_or(0),
        }
    }
}

/// Has the site pair, and tells what it took in a line that `just bench` shows.
async fn pair(site: Site) -> Took {
    let took = Fleet::new(site).await.pairs().await;
    let by = if site.keys { "API key" } else { "pairing code" };
    let informed = if site.knows_its_size {
        "informed"
    } else {
        "uninformed"
    };
    println!(
        "fleet: {} machines, {by}, {informed}: registered in {:.0} s, healthy in {:.0} s, {} requests, {} refused ({:.1} %), at most {} in a second",
        site.machines,
        took.registered.as_secs_f64(),
        took.healthy.as_secs_f64(),
        took.requests,
        took.refused,
        100.0 * took.refused as f64 / took.requests as f64,
        took.storm
    );
    took
}

#[tokio::test(start_paused = true)]
async fn a_thousand_machines_with_codes_pair_in_the_time_their_requests_take() {
    let site = Site {
        machines: FLEET,
        keys: false,
        knows_its_size: true,
    };
    let took = pair(site).await;
    assert!(took.registered <= Duration::from_secs(110), "{took:?}");
    assert!(took.refused * 100 <= took.requests * 3, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_thousand_machines_with_keys_pair_in_the_time_their_requests_take() {
    let site = Site {
        machines: FLEET,
        keys: true,
        knows_its_size: true,
    };
    let took = pair(site).await;
    // The agents register by themselves, and are watched for 30 s.
    assert!(took.registered <= Duration::from_secs(360), "{took:?}");
    assert!(took.refused * 100 <= took.requests * 3, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_thousand_machines_that_nobody_told_are_refused_about_once_each() {
    let site = Site {
        machines: FLEET,
        keys: false,
        knows_its_size: false,
    };
    let took = pair(site).await;
    assert!(took.registered <= Duration::from_secs(150), "{took:?}");
    assert!(took.refused <= FLEET * 3 / 2, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_few_machines_do_not_wait_for_each_other() {
    let site = Site {
        machines: 40,
        keys: false,
        knows_its_size: false,
    };
    let took = pair(site).await;
    assert_eq!(took.refused, 0, "{took:?}");
    assert!(took.registered <= Duration::from_secs(12), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_thousand_machines_with_keys_that_nobody_told_pair_all_the_same() {
    let site = Site {
        machines: FLEET,
        keys: true,
        knows_its_size: false,
    };
    let took = pair(site).await;
    // Three requests each are a bucket that empties more often: some wait twice.
    assert!(took.registered <= Duration::from_secs(900), "{took:?}");
    assert!(took.refused <= FLEET * 3 / 2, "{took:?}");
}
