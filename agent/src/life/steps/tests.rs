//! Whole lives, over real TLS against a stand-in for Palette, with the power
//! cut at every write of the journal.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::IpAddr;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fs_err as fs;
use jiff::{SignedDuration, Timestamp};
use postern_sim::clock::Clock;
use postern_sim::events::{Event as Seen, EventLog};
use postern_sim::palette::{Event, Fault, Palette as Sim, PaletteConfig, Route, Stage};
use postern_sim::proxy::{Proxy, ProxyConfig};
use postern_sim::tls::Authority;
use serde_json::{Value, json};

use super::*;
use crate::host::files::write_atomic;
use crate::host::network::Network;
use crate::host::pace::{Later, Pace};
use crate::host::services::Services;
use crate::host::{Command, CommandError};
use crate::k3s::cluster::Cluster;
use crate::life::journal::{JournalFile, Keeper};
use crate::life::settings::SETTINGS;
use crate::life::world::Root;
use crate::status::model;

/// Password of the proxy in tests that have one.
const PASSWORD: &str = "pr0xy-pass";

/// Time that a wait moves at once, shared with the stand-ins.
struct TestPace(Clock);

impl Pace for TestPace {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
    fn sleep(&self, time: Duration) -> Later<'_> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            self.0.advance(SignedDuration::try_from(time).unwrap());
        })
    }
    fn jitter(&self, most: Duration) -> Duration {
        most / 2
    }
}

/// A machine with one address and a default route.
struct TestNetwork;

impl Network for TestNetwork {
    fn addresses(&self) -> io::Result<Vec<IpNet>> {
        Ok(vec!["192.0.2.7/24".parse().unwrap()])
    }
    fn has_default_route(&self) -> io::Result<bool> {
        Ok(true)
    }
    fn changed(&self) -> Later<'_, io::Result<()>> {
        Box::pin(std::future::pending())
    }
    fn resolve(&self, _name: &str) -> Result<Vec<IpAddr>, CommandError> {
        Ok(vec![IpAddr::from([127, 0, 0, 1])])
    }
}

/// A service manager that only writes down what it was asked.
#[derive(Default)]
struct TestServices(Mutex<Vec<String>>);

impl TestServices {
    fn note(&self, what: String) -> Result<(), CommandError> {
        self.0.lock().unwrap().push(what);
        Ok(())
    }
}

impl Services for TestServices {
    fn reload(&self) -> Result<(), CommandError> {
        self.note("reload".to_owned())
    }
    fn start(&self, unit: &str) -> Result<(), CommandError> {
        self.note(format!("start {unit}"))
    }
    fn restart(&self, unit: &str) -> Result<(), CommandError> {
        self.note(format!("restart {unit}"))
    }
    fn is_active(&self, unit: &str) -> Result<bool, CommandError> {
        let started = format!("start {unit}");
        Ok(self.0.lock().unwrap().contains(&started))
    }
}

/// A cluster that keeps what is applied, and in which `jet` is up once Palette
/// knows the gateway.
struct TestCluster {
    objects: Mutex<Vec<Value>>,
    palette: Arc<Sim>,
    uid: String,
    clock: Clock,
}

impl Cluster for TestCluster {
    fn kubectl(&self, args: &[&str], input: &[u8]) -> Result<Vec<u8>, CommandError> {
        match args {
            ["get", "--raw", "/readyz"] => Ok(b"ok".to_vec()),
            ["apply", "-f", "-"] => {
                let text = std::str::from_utf8(input).unwrap();
                let new = text.split("---\n").filter(|t| !t.is_empty());
                let new: Vec<Value> = new.map(|t| serde_json::from_str(t).unwrap()).collect();
                *self.objects.lock().unwrap() = new;
                Ok(Vec::new())
            }
            ["-n", namespace, "get", kind, name, "-o", "json"] => self.get(namespace, kind, name),
            other => panic!("nobody taught this cluster {other:?}"),
        }
    }
}

impl TestCluster {
    fn get(&self, namespace: &str, kind: &str, name: &str) -> Result<Vec<u8>, CommandError> {
        let objects = self.objects.lock().unwrap();
        let found = objects.iter().find(|o| {
            o["kind"].as_str().unwrap().eq_ignore_ascii_case(kind)
                && o["metadata"]["name"] == name
                && o["metadata"]["namespace"] == namespace
        });
        let Some(mut object) = found.cloned() else {
            return Err(CommandError::Failed {
                line: "kubectl get".into(),
                status: ExitStatus::from_raw(256),
                stderr: format!("Error from server (NotFound): \"{name}\" not found"),
            });
        };
        let authorized = self.palette.stage(&self.uid) >= Some(Stage::Running);
        let since = self.clock.now() - SignedDuration::from_mins(1);
        object["status"] = json!({"conditions": [{
            "type": "Available",
            "status": if authorized { "True" } else { "False" },
            "message": "Deployment does not have minimum availability.",
            "lastTransitionTime": since.to_string(),
        }]});
        Ok(object.to_string().into_bytes())
    }
}

/// When the power goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    /// Just before this write of the journal, from 1: what was done is not written down.
    Before(usize),
    /// Just after it.
    After(usize),
    /// Just after it says that the machine came this far.
    At(State),
}

/// A journal that stops working at one write, as a disk does when the power goes.
struct TestKeeper {
    file: JournalFile,
    cut: Option<Cut>,
    writes: Cell<usize>,
    last: RefCell<Option<Journal>>,
    changed: tokio::sync::Notify,
}

impl Keeper for TestKeeper {
    fn load(&self) -> io::Result<Found> {
        self.file.load()
    }
    fn save(&self, journal: &Journal) -> io::Result<()> {
        let write = self.writes.get() + 1;
        self.writes.set(write);
        if self.cut == Some(Cut::Before(write)) {
            return Err(io::Error::other("power cut"));
        }
        self.file.save(journal)?;
        if [Cut::After(write), Cut::At(journal.state)]
            .map(Some)
            .contains(&self.cut)
        {
            return Err(io::Error::other("power cut"));
        }
        *self.last.borrow_mut() = Some(journal.clone());
        self.changed.notify_waiters();
        Ok(())
    }
}

/// A machine that MAAS has just deployed, and the world around it.
struct Bench {
    dir: tempfile::TempDir,
    sim: Arc<Sim>,
    log: EventLog,
    clock: Clock,
    code: String,
    uid: String,
    /// Palette, as the gateway file names it.
    endpoint: String,
    /// The proxy, likewise.
    proxy: String,
    cluster: Arc<TestCluster>,
    services: Arc<TestServices>,
    console: Rc<RefCell<Vec<u8>>>,
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
    async fn new() -> Self {
        let mut bench = Self::with("localhost").await;
        bench.endpoint = format!("https://localhost:{}", bench.sim.addr().port());
        bench.deploy();
        bench
    }

    /// Palette is behind a proxy that wants a login, and nowhere else.
    async fn proxied() -> (Self, Proxy) {
        let mut bench = Self::with("palette.example").await;
        let mut config = ProxyConfig::new(bench.log.clone());
        config.login = Some(("me".to_owned(), PASSWORD.to_owned()));
        config.clock = bench.clock.clone();
        let config = config.knows("palette.example:443", bench.sim.addr());
        let proxy = Proxy::start(config).await.unwrap();
        bench.endpoint = "https://palette.example".to_owned();
        bench.proxy = format!("http://me:{PASSWORD}@127.0.0.1:{}", proxy.addr().port());
        bench.deploy();
        (bench, proxy)
    }

    async fn with(host: &str) -> Self {
        let clock = Clock::stopped(Timestamp::now());
        let log = EventLog::new(clock.clone());
        let authority = Authority::generate("Rehearsal CA", clock.now()).unwrap();
        let mut config = PaletteConfig::new(host, authority, log.clone());
        config.clock = clock.clone();
        let sim = Arc::new(Sim::start(config).await.unwrap());
        let (code, uid) = sim.issue_code();
        let cluster = Arc::new(TestCluster {
            objects: Mutex::default(),
            palette: Arc::clone(&sim),
            uid: uid.clone(),
            clock: clock.clone(),
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
            services: Arc::default(),
            console: Rc::default(),
        }
    }

    /// What the image, MAAS and cloud-init leave behind.
    fn deploy(&self) {
        let image =
            json!({"schema": 1, "name": "demo", "version": "1", "k3s-version": "v1.31.8+k3s1"});
        self.put(paths::IMAGE_FACTS, &image.to_string());
        let old = fs::File::open(self.at(paths::IMAGE_FACTS)).unwrap();
        let made = self.clock.now() - SignedDuration::from_hours(1);
        old.set_modified(made.into()).unwrap();
        self.put(paths::CA_BUNDLE, "");
        self.put(
            "/etc/cloud/cloud.cfg.d/90_maas_cloud_config.cfg",
            "datasource: {MAAS: {metadata_url: 'http://192.0.2.1:5248/MAAS/metadata/', token_secret: maas-secret}}\n",
        );
        self.put(
            "/etc/cloud/cloud.cfg.d/90_maas_cloud_init_reporting.cfg",
            "reporting: {}\n",
        );
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

    fn gateway(&self) -> String {
        let ca = self.sim.ca().trim_end().replace('\n', "\n    ");
        let (endpoint, code, proxy) = (&self.endpoint, &self.code, &self.proxy);
        format!(
            "apiVersion: postern/v1
name: edge-1
palette:
  endpoint: {endpoint}
  pairing: {{pairing-code: {code}}}
network:
  proxy:
    http: {proxy}
    https: {proxy}
  no-proxy: [localhost]
certificates:
  - |
    {ca}
"
        )
    }

    fn at(&self, path: &str) -> std::path::PathBuf {
        Root(self.dir.path().to_owned()).at(path)
    }

    fn put(&self, path: &str, text: &str) {
        write_atomic(&self.at(path), text.as_bytes(), 0o600).unwrap();
    }

    fn world(&self, boot: usize, cut: Option<Cut>) -> (World, Rc<TestKeeper>) {
        let keeper = Rc::new(TestKeeper {
            file: JournalFile(self.at(paths::JOURNAL)),
            cut,
            writes: Cell::new(0),
            last: RefCell::default(),
            changed: tokio::sync::Notify::new(),
        });
        let world = World {
            root: Root(self.dir.path().to_owned()),
            services: self.services.clone(),
            cluster: self.cluster.clone(),
            network: Rc::new(TestNetwork),
            pace: Rc::new(TestPace(self.clock.clone())),
            keeper: keeper.clone(),
            boot_id: format!("boot-{boot}"),
            host_name: "gateway-1".to_owned(),
        };
        (world, keeper)
    }

    /// Lives until `done`, or until the power is cut.
    async fn boot(
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
                if let Some(journal) = keeper.last.borrow().as_ref().filter(|j| done(j)) {
                    return journal.clone();
                }
                changed.await;
            }
        };
        let limited = tokio::time::timeout(Duration::from_secs(20), async {
            tokio::select! {
                ended = life.live() => Err(ended.unwrap_err()),
                journal = finished => Ok(journal),
            }
        });
        match limited.await {
            Ok(ended) => ended,
            Err(_) => panic!("nothing more happens:\n{}", self.console()),
        }
    }

    fn console(&self) -> String {
        String::from_utf8(self.console.borrow().clone()).unwrap()
    }

    /// Ends when the console said this.
    async fn says(&self, words: &str) {
        while !self.console().contains(words) {
            tokio::task::yield_now().await;
        }
    }

    fn status(&self) -> model::Status {
        model::read(&self.at(paths::STATUS)).unwrap()
    }

    /// How often Palette accepted a request to this route.
    fn count(&self, route: Route) -> usize {
        let seen = self.log.so_far();
        let wanted = |seen: &Seen| matches!(seen, Seen::Palette(Event::Answered { route: Some(r), .. }) if *r == route);
        seen.iter().filter(|r| wanted(&r.event)).count()
    }

    /// Every file that holds `word`, wherever it is under the root.
    fn files_with(&self, word: &str) -> Vec<String> {
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

/// Healthy, with nothing secret left.
fn clean(journal: &Journal) -> bool {
    journal.state == State::Healthy && journal.scrubbed.is_some()
}

#[tokio::test]
async fn a_machine_pairs_and_cleans_up() {
    let bench = Bench::new().await;
    let journal = bench.boot(1, None, clean).await.unwrap();
    assert_eq!(journal.state, State::Healthy);
    assert_eq!(journal.overlord_uid.as_deref(), Some(bench.uid.as_str()));
    assert!(matches!(
        &journal.registration,
        Registration::Done {
            audit_uid: Some(_),
            ..
        }
    ));
    assert_eq!(bench.count(Route::Register), 1);
    let states: Vec<_> = journal.history.iter().map(|e| e.what.as_str()).collect();
    let names = State::ALL.map(State::name);
    assert_eq!(states[..7], names[1..]);
    let status = bench.status();
    assert_eq!((status.state, status.trouble), (State::Healthy, None));
    assert_eq!(status.preflight.len(), 6, "{:?}", status.preflight);
}

#[tokio::test]
async fn no_secret_is_left_anywhere() {
    let bench = Bench::new().await;
    bench.boot(1, None, clean).await.unwrap();
    assert_eq!(bench.files_with(&bench.code), [""; 0]);
    assert_eq!(bench.files_with("maas-secret"), [""; 0]);
    let proxied = bench.files_with(PASSWORD);
    let allowed = [
        "/etc/apt/apt.conf.d/50postern-proxy",
        "/etc/profile.d/50-postern-proxy.sh",
        paths::K3S_ENV,
        SETTINGS,
    ];
    assert_eq!(proxied, allowed);
    for path in allowed {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(bench.at(path)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{path}");
    }
    assert!(
        bench
            .at("/etc/cloud/cloud.cfg.d/90_maas_datasource.cfg")
            .exists()
    );
    assert!(bench.at("/etc/cloud/cloud-init.disabled").exists());
    for secret in [bench.code.as_str(), PASSWORD] {
        assert!(!bench.console().contains(secret), "{}", bench.console());
    }
}

#[tokio::test]
async fn a_later_boot_needs_neither_palette_nor_maas() {
    let bench = Bench::new().await;
    bench.boot(1, None, clean).await.unwrap();
    let before = bench.log.so_far().len();
    let healthy = |j: &Journal| j.boots == 2 && j.state == State::Healthy;
    let journal = bench.boot(2, None, healthy).await.unwrap();
    assert_eq!(bench.log.so_far().len(), before, "Palette was not asked");
    let states: Vec<_> = journal
        .history
        .iter()
        .filter(|e| e.boot == 2)
        .map(|e| e.what.as_str())
        .collect();
    assert_eq!(
        states,
        [
            "configured",
            "online",
            "cluster-ready",
            "registered",
            "healthy"
        ]
    );
    let asked = bench.services.0.lock().unwrap().clone();
    assert_eq!(asked, ["reload", "start k3s.service", "start k3s.service"]);
}

#[tokio::test]
async fn a_power_cut_at_any_write_never_registers_twice() {
    let mut proven = 0;
    for write in 1.. {
        let mut uncut = 0;
        for cut in [Cut::Before(write), Cut::After(write)] {
            let bench = Bench::new().await;
            if bench.boot(1, Some(cut), clean).await.is_ok() {
                uncut += 1;
                continue;
            }
            let asked = bench.count(Route::Register);
            let journal = bench.boot(2, None, clean).await.unwrap();
            let console = bench.console();
            assert_eq!(bench.count(Route::Register), 1, "{cut:?}\n{console}");
            assert_eq!(bench.files_with(&bench.code), [""; 0], "{cut:?}");
            let lost = asked == 1 && cut == Cut::Before(write);
            if matches!(journal.registration, Registration::Proven { .. }) {
                assert!(lost, "{cut:?}\n{console}");
                proven += 1;
            }
        }
        if uncut == 2 {
            break;
        }
    }
    assert_eq!(
        proven, 1,
        "one cut loses the answer, and the cluster gives it back"
    );
}

#[tokio::test]
async fn without_proof_palette_is_asked_again_after_its_documented_time() {
    let bench = Bench::new().await;
    let fault = Fault::Status(504, "GatewayTimeout");
    bench.sim.inject(Route::Register, 1, fault);
    let before = bench.clock.now();
    let journal = bench.boot(1, None, clean).await.unwrap();
    assert!(matches!(journal.registration, Registration::Done { .. }));
    assert_eq!(bench.count(Route::Register), 2);
    let waited = bench.clock.now().duration_since(before);
    assert!(waited >= SignedDuration::from_mins(15), "{waited:?}");
    assert!(
        bench.console().contains("waiting=evidence"),
        "{}",
        bench.console()
    );
}

#[tokio::test]
async fn an_answer_that_means_later_is_asked_for_again() {
    let bench = Bench::new().await;
    bench
        .sim
        .inject(Route::Ping, 2, Fault::Status(503, "Unavailable"));
    bench
        .sim
        .inject(Route::Manifest, 3, Fault::Status(429, "TooManyRequests"));
    bench
        .sim
        .inject(Route::Register, 2, Fault::Status(429, "TooManyRequests"));
    let journal = bench.boot(1, None, clean).await.unwrap();
    assert!(matches!(journal.registration, Registration::Done { .. }));
    assert_eq!(bench.count(Route::Manifest), 4);
    assert_eq!(bench.count(Route::Register), 3);
}

#[tokio::test]
async fn a_refused_code_waits_for_a_new_gateway_file() {
    let bench = Bench::new().await;
    let good = bench.gateway();
    bench.put(
        paths::GATEWAY_FILE,
        &good.replace(&bench.code, "WRONG-CODE"),
    );
    let corrected = async {
        bench.says("blocked=refused").await;
        bench.put(paths::GATEWAY_FILE, &good);
    };
    let (journal, ()) = tokio::join!(bench.boot(1, None, clean), corrected);
    assert_eq!(journal.unwrap().state, State::Healthy);
    assert_eq!(
        bench.count(Route::Manifest),
        2,
        "a no is not asked for again"
    );
    assert!(
        !bench.console().contains("WRONG-CODE"),
        "{}",
        bench.console()
    );
}

#[tokio::test]
async fn interception_is_named() {
    let bench = Bench::new().await;
    bench.sim.inject(Route::Ping, 1, Fault::Redirect);
    bench.sim.inject(Route::Ping, 1, Fault::Html);
    bench.boot(1, None, clean).await.unwrap();
    let console = bench.console();
    assert!(console.contains("waiting=preflight"), "{console}");
    assert!(console.contains("status 303 with a redirect"), "{console}");
    assert!(console.contains("status 200 with a web page"), "{console}");
}

#[tokio::test]
async fn a_foreign_certificate_is_shown() {
    let bench = Bench::new().await;
    let text = bench.gateway();
    let without = text.split("certificates:").next().unwrap();
    let other = Authority::generate("Other CA", bench.clock.now()).unwrap();
    bench.put(paths::CA_BUNDLE, other.pem());
    bench.put(paths::GATEWAY_FILE, without);
    let mended = async {
        bench.says("waiting=preflight").await;
        bench.put(paths::GATEWAY_FILE, &text);
    };
    let (journal, ()) = tokio::join!(bench.boot(1, None, clean), mended);
    journal.unwrap();
    let console = bench.console();
    assert!(
        console.contains("issuer CN") && console.contains("Rehearsal CA"),
        "{console}"
    );
}

#[tokio::test]
async fn without_a_gateway_file_the_machine_says_so_and_waits_for_it() {
    let bench = Bench::new().await;
    fs::remove_file(bench.at(paths::GATEWAY_FILE)).unwrap();
    let delivered = async {
        bench.says("waiting=gateway-file").await;
        bench.put(paths::GATEWAY_FILE, &bench.gateway());
    };
    let (journal, ()) = tokio::join!(bench.boot(1, None, clean), delivered);
    assert_eq!(journal.unwrap().state, State::Healthy);
}

#[tokio::test]
async fn a_broken_gateway_file_is_explained() {
    let bench = Bench::new().await;
    bench.put(
        paths::GATEWAY_FILE,
        "apiVersion: postern/v1\nname: edge-1\n",
    );
    let mended = async {
        bench.says("blocked=gateway-file").await;
        bench.put(paths::GATEWAY_FILE, &bench.gateway());
    };
    let (journal, ()) = tokio::join!(bench.boot(1, None, clean), mended);
    assert_eq!(journal.unwrap().state, State::Healthy);
    assert!(
        bench.console().contains("/etc/postern/gateway.yaml"),
        "{}",
        bench.console()
    );
}

#[tokio::test]
async fn a_lost_journal_is_made_up_for_by_evidence() {
    for damage in ["", "{\"schema\": 7}", "{\"schema\": 1, \"state\":"] {
        let bench = Bench::new().await;
        let cut = Some(Cut::At(State::Registered));
        bench.boot(1, cut, clean).await.unwrap_err();
        bench.put(paths::JOURNAL, damage);
        let journal = bench.boot(2, None, clean).await.unwrap();
        assert!(matches!(journal.registration, Registration::Proven { .. }));
        assert_eq!(bench.count(Route::Register), 1);
        assert!(bench.at("/var/lib/postern/journal.json.broken-1").exists());
        let warnings = bench.status().warnings;
        assert!(
            warnings.iter().any(|w| w.contains("unreadable")),
            "{warnings:?}"
        );
    }
}

#[tokio::test]
async fn a_journal_lost_after_pairing_does_not_stop_the_cluster() {
    let bench = Bench::new().await;
    bench.boot(1, None, clean).await.unwrap();
    bench.put(paths::JOURNAL, "torn");
    let before = bench.log.so_far().len();
    let journal = bench.boot(2, None, clean).await.unwrap();
    assert!(matches!(journal.registration, Registration::Proven { .. }));
    assert_eq!(bench.log.so_far().len(), before, "Palette was not asked");
}

#[tokio::test]
async fn a_lost_journal_of_a_machine_that_never_registered_is_no_obstacle() {
    for state in [State::Configured, State::PreflightOk] {
        let bench = Bench::new().await;
        bench
            .boot(1, Some(Cut::At(state)), clean)
            .await
            .unwrap_err();
        bench.put(paths::JOURNAL, "torn");
        let journal = bench.boot(2, None, clean).await.unwrap();
        assert!(
            matches!(journal.registration, Registration::Done { .. }),
            "{state}"
        );
        assert_eq!(bench.count(Route::Register), 1);
    }
}

#[tokio::test]
async fn a_gateway_that_falls_ill_is_reported_and_recovers() {
    let bench = Bench::new().await;
    let recovered = |j: &Journal| j.history.iter().filter(|e| e.what == "healthy").count() == 2;
    let illness = async {
        bench.says("state=healthy").await;
        let objects = std::mem::take(&mut *bench.cluster.objects.lock().unwrap());
        bench.says("no deployment jet-system/jet").await;
        *bench.cluster.objects.lock().unwrap() = objects;
    };
    let (journal, ()) = tokio::join!(bench.boot(1, None, recovered), illness);
    assert_eq!(journal.unwrap().state, State::Healthy);
    assert_eq!(bench.count(Route::Register), 1);
}

#[tokio::test]
async fn everything_goes_through_the_proxy() {
    let (bench, _proxy) = Bench::proxied().await;
    let journal = bench.boot(1, None, clean).await.unwrap();
    assert_eq!(journal.state, State::Healthy);
    let tunnels = bench
        .log
        .so_far()
        .iter()
        .filter(|r| matches!(&r.event, Seen::Proxy(_)))
        .count();
    assert!(tunnels >= 2, "preflight and the client: {tunnels}");
    let checks = bench.status().preflight;
    let proxy = checks.iter().find(|c| c.name == "proxy").unwrap();
    assert!(
        proxy
            .evidence
            .contains("CONNECT palette.example:443: HTTP/1.1 200"),
        "{proxy:?}"
    );
}

#[tokio::test]
async fn a_wrong_password_of_the_proxy_is_named() {
    let (bench, _proxy) = Bench::proxied().await;
    let good = bench.gateway();
    bench.put(paths::GATEWAY_FILE, &good.replace(PASSWORD, "wrong-pass"));
    let mended = async {
        bench.says("waiting=preflight").await;
        bench.put(paths::GATEWAY_FILE, &good);
    };
    let (journal, ()) = tokio::join!(bench.boot(1, None, clean), mended);
    journal.unwrap();
    let console = bench.console();
    assert!(console.contains("407"), "{console}");
    assert!(!console.contains("wrong-pass"), "{console}");
}
