//! A machine under test, and the world around it.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fs_err as fs;
use jiff::{SignedDuration, Timestamp};
use postern_contract::host::Command;
use postern_contract::host::files::write_atomic;
use postern_contract::host::http::Client;
use postern_sim::clock::Clock;
use postern_sim::events::{Event as Seen, EventLog};
use postern_sim::palette::{Event, Palette as Sim, PaletteConfig, Route};
use postern_sim::proxy::{Proxy, ProxyConfig};
use postern_sim::tls::Authority;
use serde_json::json;

use super::stand_ins::{
    Cut, TestCluster, TestKeeper, TestNetwork, TestPace, TestPods, TestServices,
};
use super::*;
use crate::host::world::{Root, SyncFileSystem};
use crate::journal::JournalFile;
use crate::life::cloud_init::DISABLED;
use crate::report::model;

/// Password of the proxy in tests that have one.
pub const PASSWORD: &str = "pr0xy-pass";

/// How long an answer may take that comes: never mistaken for none, however busy
/// this computer is.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// The same where a test waits for an answer that never comes.
pub const SHORT_TIMEOUT: Duration = Duration::from_secs(1);
/// After this nothing more happens: the test shows what did.
pub const HANG_TIMEOUT: Duration = Duration::from_secs(200);

/// A machine that MAAS has just deployed, and the world around it.
pub struct Bench {
    dir: tempfile::TempDir,
    pub sim: Arc<Sim>,
    pub log: EventLog,
    pub clock: Clock,
    pub code: String,
    pub uid: String,
    /// Palette, as the gateway file names it.
    endpoint: String,
    /// The proxy, likewise.
    proxy: String,
    /// How to pair, likewise: one mapping of YAML.
    pub pairing: String,
    /// More lines of it.
    pub more: String,
    pub cluster: Arc<TestCluster>,
    pub services: Arc<TestServices>,
    pub pods: Arc<TestPods>,
    console: Rc<RefCell<Vec<u8>>>,
    /// How long an answer may take.
    pub answer_timeout: Duration,
    /// What was synced, in order.
    pub synced: Arc<Mutex<Vec<Synced>>>,
    /// The gateway file that a person writes while a healthy machine syncs its disk.
    pub written_meanwhile: Arc<Mutex<Option<String>>>,
    /// How far the machine's clock is ahead of Palette's.
    pub ahead: Rc<Cell<SignedDuration>>,
    /// How many names will not be found.
    pub deaf: Rc<Cell<u32>>,
}

/// A file system that was synced, and what the machine had noted as done by then.
#[derive(Debug, PartialEq, Eq)]
pub struct Synced {
    pub path: String,
    pub notes: Vec<&'static str>,
}

#[derive(Clone)]
struct Lines(Rc<RefCell<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Bench {
    /// Palette is reached directly; the proxy that the gateway file names is not there.
    pub async fn new() -> Self {
        Self::at_time(Timestamp::now()).await
    }

    /// The same, in a world where it is `now`.
    pub async fn at_time(now: Timestamp) -> Self {
        let mut bench = Self::with("localhost", now, false).await;
        bench.endpoint = format!("https://localhost:{}", bench.sim.addr().port());
        bench.deploy();
        bench
    }

    /// Palette is behind a proxy that wants a login, and nowhere else.
    pub async fn proxied() -> (Self, Proxy) {
        Self::proxied_to(false).await
    }

    /// The same, and Palette may speak HTTP/2.
    pub async fn proxied_to(http2: bool) -> (Self, Proxy) {
        let mut bench = Self::with("palette.example", Timestamp::now(), http2).await;
        let mut config = ProxyConfig::new(bench.log.clone());
        config.login = Some(("me".to_owned(), PASSWORD.to_owned()));
        let config = config.with_destination("palette.example:443", bench.sim.addr());
        let proxy = Proxy::start(config).await.unwrap();
        bench.endpoint = "https://palette.example".to_owned();
        bench.proxy = format!("http://me:{PASSWORD}@127.0.0.1:{}", proxy.addr().port());
        bench.deploy();
        (bench, proxy)
    }

    async fn with(host: &str, now: Timestamp, http2: bool) -> Self {
        let clock = Clock::stopped(now);
        let log = EventLog::new(clock.clone());
        let authority = Authority::generate("Rehearsal CA", clock.now()).unwrap();
        let mut config = PaletteConfig::new(host, authority, log.clone());
        config.clock = clock.clone();
        config.http2 = http2;
        let sim = Arc::new(Sim::start(config).await.unwrap());
        let (code, uid) = sim.issue_code();
        let pairing = format!("{{pairing-code: {code}}}");
        let cluster = Arc::new(TestCluster {
            objects: Mutex::default(),
            lines: Mutex::default(),
            palette: Arc::clone(&sim),
            uid: uid.clone(),
            agents_register: AtomicBool::new(false),
            crashing: AtomicBool::new(false),
            restarts: AtomicU32::new(0),
            sleepy: Mutex::new(false),
            down: Mutex::new(0..0),
        });
        Self {
            endpoint: String::new(),
            proxy: format!("http://me:{PASSWORD}@127.0.0.1:9"),
            dir: tempfile::tempdir().unwrap(),
            sim,
            log,
            clock,
            code,
            uid,
            cluster,
            pairing,
            more: String::new(),
            services: Arc::default(),
            pods: Arc::default(),
            console: Rc::default(),
            answer_timeout: ANSWER_TIMEOUT,
            synced: Arc::default(),
            written_meanwhile: Arc::default(),
            ahead: Rc::default(),
            deaf: Rc::default(),
        }
    }

    /// What the image, MAAS and cloud-init leave behind.
    pub fn deploy(&self) {
        let image =
            json!({"schema": 1, "name": "demo", "version": "1", "k3s-version": "v1.31.8+k3s1"});
        self.put(paths::IMAGE_FACTS, &image.to_string());
        let old = fs::File::open(self.at(paths::IMAGE_FACTS)).unwrap();
        let made = self.clock.now() - SignedDuration::from_hours(1);
        old.set_modified(made.into()).unwrap();
        self.put(paths::CA_BUNDLE, "");
        kernel(|path, text| self.put(path, text));
        self.put(
            "/etc/cloud/cloud.cfg.d/90_maas_cloud_config.cfg",
            "datasource: {MAAS: {metadata_url: 'http://192.0.2.1:5248/MAAS/metadata/', token_secret: maas-secret}}\n",
        );
        self.put(
            "/etc/cloud/cloud.cfg.d/90_maas_cloud_init_reporting.cfg",
            "reporting: {}\n",
        );
        for path in [
            "/run/postern/seed/etc/cloud/cloud.cfg.d/90_maas_cloud_config.cfg",
            "/run/postern/seed/root/curtin-install-cfg.yaml",
        ] {
            self.put(path, "maas-secret");
        }
        self.put("/run/postern/seed/manifest.json", "{}");
        self.put(
            "/etc/cloud/cloud.cfg.d/90_maas_datasource.cfg",
            "datasource_list: [ MAAS ]\n",
        );
        self.put(
            "/var/lib/cloud/instances/abc/user-data.txt",
            &self.gateway(),
        );
        self.put("/var/lib/cloud/instances/abc/obj.pkl", &self.gateway());
        self.put(paths::GATEWAY_FILE, &self.gateway());
    }

    pub fn gateway(&self) -> String {
        let ca = self.sim.ca().trim_end().replace('\n', "\n    ");
        let (endpoint, proxy) = (&self.endpoint, &self.proxy);
        let (pairing, more) = (&self.pairing, &self.more);
        format!(
            "apiVersion: postern/v1
name: edge-1
palette:
  endpoint: {endpoint}
  pairing: {pairing}
network:
  proxy:
    http: {proxy}
    https: {proxy}
  no-proxy: [localhost]
certificates:
  - |
    {ca}
{more}"
        )
    }

    pub fn at(&self, path: &str) -> std::path::PathBuf {
        Root(self.dir.path().to_owned()).at(path)
    }

    pub fn put(&self, path: &str, text: &str) {
        write_atomic(&self.at(path), text.as_bytes(), 0o600).unwrap();
    }

    /// The machine as this boot finds it.
    pub fn world(&self, boot: usize, cut: Option<Cut>) -> (World, Rc<TestKeeper>) {
        let keeper = Rc::new(TestKeeper {
            file: JournalFile(self.at(paths::JOURNAL)),
            cut,
            writes: Cell::new(0),
            saved: RefCell::default(),
            changed: tokio::sync::Notify::new(),
        });
        let timeout = self.answer_timeout;
        let world = World {
            root: Root(self.dir.path().to_owned()),
            services: self.services.clone(),
            cluster: self.cluster.clone(),
            pods: self.pods.clone(),
            network: Rc::new(TestNetwork {
                deaf: self.deaf.clone(),
            }),
            pace: Rc::new(TestPace {
                clock: self.clock.clone(),
                ahead: self.ahead.clone(),
            }),
            proxy_timeout: timeout,
            keeper: keeper.clone(),
            client: Rc::new(move |outbound, versions| {
                Client::with_timeout(outbound, timeout, versions)
            }),
            watch: Events::in_folder,
            remount: |_, _| Ok(()),
            sync_file_system: self.recorded_sync(),
            boot_id: format!("boot-{boot}"),
            host_name: "gateway-1".to_owned(),
        };
        (world, keeper)
    }

    /// A disk that records when it is synced.
    fn recorded_sync(&self) -> Arc<SyncFileSystem> {
        let root = Root(self.dir.path().to_owned());
        let synced = Arc::clone(&self.synced);
        let file = Arc::clone(&self.written_meanwhile);
        Arc::new(move |path| {
            let journal = fs::read_to_string(root.at(paths::JOURNAL)).unwrap_or_default();
            let journal = serde_json::from_str::<Journal>(&journal).ok();
            if journal.as_ref().is_some_and(|j| j.state == State::Healthy)
                && let Some(text) = file.lock().unwrap().take()
            {
                write_atomic(&root.at(paths::GATEWAY_FILE), text.as_bytes(), 0o600)?;
            }
            let noted = |done: fn(&Journal) -> bool| journal.as_ref().is_some_and(done);
            let notes = [
                ("settings", root.at(SETTINGS).exists()),
                ("applied", noted(|j| j.applied.is_some())),
                ("registered", noted(|j| j.registration.is_settled())),
                ("off", root.at(DISABLED).exists()),
            ];
            let path = path.strip_prefix(&root.0).unwrap().display();
            let notes = notes.iter().filter(|(_, done)| *done);
            synced.lock().unwrap().push(Synced {
                path: format!("/{path}"),
                notes: notes.map(|(note, _)| *note).collect(),
            });
            Ok(())
        })
    }

    /// Lives until `done`, or until the power is cut.
    pub async fn boot(
        &self,
        boot: usize,
        cut: Option<Cut>,
        done: impl Fn(&Journal) -> bool,
    ) -> Result<Journal, io::Error> {
        let (world, keeper) = self.world(boot, cut);
        let now = world.pace.now();
        let lines = Box::new(Lines(self.console.clone()));
        let reporter = Reporter::new(self.at(paths::STATUS), lines, now);
        let mut life = Life::begin(&world, reporter)?;
        let finished = async {
            loop {
                let changed = keeper.changed.notified();
                if let Some(journal) = keeper.saved.borrow().iter().find(|j| done(j)) {
                    return journal.clone();
                }
                changed.await;
            }
        };
        let limited = tokio::time::timeout(HANG_TIMEOUT, async {
            tokio::select! {
                // First, or the machine may have gone past a state that is waited for.
                biased;
                journal = finished => Ok(journal),
                ended = life.live() => Err(ended.unwrap_err()),
            }
        });
        match limited.await {
            Ok(ended) => ended,
            Err(_) => panic!("nothing more happens:\n{}", self.console()),
        }
    }

    pub fn console(&self) -> String {
        String::from_utf8(self.console.borrow().clone()).unwrap()
    }

    /// Ends when the console said this.
    pub async fn says(&self, words: &str) {
        while !self.console().contains(words) {
            tokio::task::yield_now().await;
        }
    }

    pub fn status(&self) -> model::Status {
        model::read(&self.at(paths::STATUS)).unwrap()
    }

    /// How often Palette accepted a request to this route.
    pub fn count(&self, route: Route) -> usize {
        let seen = self.log.recorded();
        let wanted = |seen: &Seen| matches!(seen, Seen::Palette(Event::Answered { route: Some(r), .. }) if *r == route);
        seen.iter().filter(|r| wanted(&r.event)).count()
    }

    /// How often Palette said yes to a registration, heard or not.
    pub fn registered(&self) -> usize {
        let seen = self.log.recorded();
        let yes = |seen: &Seen| {
            matches!(
                seen,
                Seen::Palette(Event::Answered {
                    route: Some(Route::Register),
                    status: 204,
                    ..
                })
            )
        };
        seen.iter().filter(|r| yes(&r.event)).count()
    }

    /// Every file that holds `word`, wherever it is under the root.
    pub fn files_with(&self, word: &str) -> Vec<String> {
        let found = Command::new("grep")
            .args(["-rlF", "--", word])
            .arg(self.dir.path())
            .run_unchecked()
            .unwrap();
        let text = String::from_utf8(found.stdout).unwrap();
        let under = self.dir.path().to_str().unwrap();
        let mut files: Vec<_> = text.lines().map(|l| l.replacen(under, "", 1)).collect();
        files.sort();
        files
    }
}

/// A kernel as the appliance's own files set it.
pub fn kernel(put: impl Fn(&str, &str)) {
    put("/proc/sys/kernel/osrelease", "6.12.1-amd64\n");
    put("/proc/filesystems", "nodev\toverlay\n");
    put("/sys/fs/cgroup/cgroup.controllers", "cpu memory pids\n");
    for module in ["br_netfilter", "nf_conntrack", "nf_tables", "vxlan"] {
        put(&format!("/sys/module/{module}/refcnt"), "1\n");
    }
    let set = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../overlays/appliance/usr/lib/sysctl.d"
    );
    for file in fs::read_dir(set).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        for (name, value) in text.lines().filter_map(|line| line.split_once(" = ")) {
            let path = format!("/proc/sys/{}", name.replace('.', "/"));
            put(&path, value);
        }
    }
}
