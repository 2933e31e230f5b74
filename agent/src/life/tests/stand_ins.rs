//! What a machine under test stands on: time, network, services, cluster, disk.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::IpAddr;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use postern_contract::host::CommandError;
use postern_contract::host::pace::{LocalFuture, Pace};
use postern_contract::palette::overlord_config::uid_in_config;
use postern_sim::clock::Clock;
use postern_sim::palette::{Palette as Sim, Stage};
use serde_json::{Value, json};

use super::*;
use crate::host::kubectl::Cluster;
use crate::host::network::Network;
use crate::host::pods::Pods;
use crate::host::services::Services;
use crate::journal::{JournalFile, JournalStore};
use crate::preflight::Check;
use crate::preflight::pods::PodCheckResult;

/// Time that a wait moves at once, shared with the stand-ins.
pub struct TestPace {
    pub clock: Clock,
    /// How far the machine's clock is ahead of everybody's.
    pub ahead: Rc<Cell<SignedDuration>>,
}

impl Pace for TestPace {
    fn now(&self) -> Timestamp {
        self.clock.now() + self.ahead.get()
    }
    fn uptime(&self) -> Duration {
        let booted = self.clock.now().duration_since(Timestamp::UNIX_EPOCH);
        booted.unsigned_abs()
    }
    fn sleep(&self, time: Duration) -> LocalFuture<'_> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            self.clock.advance(SignedDuration::try_from(time).unwrap());
        })
    }
    fn jitter(&self, most: Duration) -> Duration {
        most / 2
    }
}

/// A machine with one address and a default route.
pub struct TestNetwork {
    /// So many names are not found.
    pub deaf: Rc<Cell<u32>>,
}

impl Network for TestNetwork {
    fn addresses(&self) -> io::Result<Vec<IpNet>> {
        Ok(vec!["192.0.2.7/24".parse().unwrap()])
    }
    fn interface_to(&self, address: IpAddr) -> io::Result<Option<String>> {
        let leads = self.addresses()?.iter().any(|net| net.contains(&address));
        Ok(leads.then(|| "eth0".to_owned()))
    }
    fn has_default_route(&self) -> io::Result<bool> {
        Ok(true)
    }
    fn changed(&self) -> LocalFuture<'_, io::Result<()>> {
        Box::pin(std::future::pending())
    }
    fn resolve(&self, _name: &str) -> Result<Vec<IpAddr>, CommandError> {
        if let Some(left) = self.deaf.get().checked_sub(1) {
            self.deaf.set(left);
            return Ok(Vec::new());
        }
        Ok(vec![IpAddr::from([127, 0, 0, 1])])
    }
}

/// A service manager that only writes down what it was asked.
#[derive(Default)]
pub struct TestServices {
    /// What it was asked.
    pub asked: Mutex<Vec<String>>,
    /// So many starts fail.
    pub crashes: AtomicU32,
    /// A start ends when this says so, or is dropped.
    pub slow: Mutex<Option<mpsc::Receiver<()>>>,
}

impl TestServices {
    fn note(&self, what: String) -> Result<(), CommandError> {
        self.asked.lock().unwrap().push(what);
        Ok(())
    }
}

impl Services for TestServices {
    fn reload(&self) -> Result<(), CommandError> {
        self.note("reload".to_owned())
    }
    fn start(&self, unit: &str) -> Result<(), CommandError> {
        let crashes = |left: u32| left.checked_sub(1);
        let left = self
            .crashes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, crashes);
        match left {
            Ok(_) => Err(failed(
                "systemctl start",
                "Job for k3s.service failed because the control process exited",
            )),
            Err(_) => {
                self.note(format!("start {unit}"))?;
                let slow = self.slow.lock().unwrap().take();
                slow.map_or(Ok(()), |slow| {
                    let _ = slow.recv();
                    Ok(())
                })
            }
        }
    }
    fn restart(&self, unit: &str) -> Result<(), CommandError> {
        self.note(format!("restart {unit}"))
    }
    fn stop(&self, unit: &str) -> Result<(), CommandError> {
        self.note(format!("stop {unit}"))
    }
    fn is_active(&self, unit: &str) -> Result<bool, CommandError> {
        let started = format!("start {unit}");
        Ok(self.asked.lock().unwrap().contains(&started))
    }
}

/// A program that ran and failed.
fn failed(line: &str, stderr: &str) -> CommandError {
    CommandError::Failed {
        line: line.to_owned(),
        status: ExitStatus::from_raw(256),
        stderr: stderr.to_owned(),
    }
}

/// A cluster that keeps what is applied, and in which `jet` is up once Palette
/// knows the gateway.
pub struct TestCluster {
    pub objects: Mutex<Vec<Value>>,
    /// Every command line so far, as `ps` would show it.
    pub lines: Mutex<Vec<String>>,
    pub palette: Arc<Sim>,
    pub uid: String,
    /// Whether Palette's agents register the gateway by themselves, as those of
    /// a self-hosted one do.
    pub agents_register: AtomicBool,
    /// `jet` crashes between two looks, and is available at each.
    pub crashing: AtomicBool,
    /// How often it was restarted.
    pub restarts: AtomicU32,
    /// Palette's agents have not come up yet.
    pub sleepy: Mutex<bool>,
    /// Which calls, counted from 1, find the API server down.
    pub down: Mutex<std::ops::Range<usize>>,
}

impl Cluster for TestCluster {
    fn kubectl(&self, args: &[&str], input: &[u8]) -> Result<Vec<u8>, CommandError> {
        let call = {
            let mut lines = self.lines.lock().unwrap();
            lines.push(args.join(" "));
            lines.len()
        };
        if self.down.lock().unwrap().contains(&call) {
            let why = "The connection to the server 127.0.0.1:6443 was refused";
            return Err(failed("kubectl", why));
        }
        match args {
            ["get", "--raw", "/readyz"] => Ok(b"ok".to_vec()),
            ["apply", "-f", "-"] | ["apply", "-n", _, "-f", "-"] => {
                let text = std::str::from_utf8(input).unwrap();
                let new = text.split("---\n").filter(|t| !t.is_empty());
                let new = new.map(|t| serde_json::from_str(t).unwrap());
                self.objects.lock().unwrap().extend(new);
                if self.agents_register.load(Ordering::Relaxed) {
                    self.palette.set_stage(&self.uid(), Stage::Healthy);
                }
                Ok(Vec::new())
            }
            ["delete", "namespace", "jet-system", "--ignore-not-found"] => {
                let mut objects = self.objects.lock().unwrap();
                objects.retain(|o| o["metadata"]["namespace"] != "jet-system");
                Ok(Vec::new())
            }
            ["delete", "namespace", "--selector", _] => Ok(Vec::new()),
            [
                "-n",
                "jet-system",
                "get",
                "pods",
                "--selector",
                "app=jet",
                "-o",
                "json",
            ] => Ok(self.pods()),
            ["-n", namespace, "get", kind, name, "-o", "json"] => self.get(namespace, kind, name),
            other => panic!("nobody taught this cluster {other:?}"),
        }
    }
}

impl TestCluster {
    /// The gateway that the applied manifests are of.
    fn uid(&self) -> String {
        let objects = self.objects.lock().unwrap();
        let texts = objects
            .iter()
            .filter_map(|o| o["data"]["overlord-config.yaml"].as_str());
        let mut uids = texts.filter_map(|text| uid_in_config(text).unwrap());
        uids.next_back().unwrap_or_else(|| self.uid.clone())
    }

    fn get(&self, namespace: &str, kind: &str, name: &str) -> Result<Vec<u8>, CommandError> {
        let uid = self.uid();
        let objects = self.objects.lock().unwrap();
        let found = objects.iter().find(|o| {
            o["kind"].as_str().unwrap().eq_ignore_ascii_case(kind)
                && o["metadata"]["name"] == name
                && o["metadata"]["namespace"] == namespace
        });
        let Some(mut object) = found.cloned() else {
            let why = format!("Error from server (NotFound): \"{name}\" not found");
            return Err(failed("kubectl get", &why));
        };
        let authorized =
            self.palette.stage(&uid) >= Some(Stage::Running) && !*self.sleepy.lock().unwrap();
        object["spec"]["selector"] = json!({"matchLabels": {"app": "jet"}});
        object["status"] = json!({"conditions": [{
            "type": "Available",
            "status": if authorized { "True" } else { "False" },
            "message": "Deployment does not have minimum availability.",
        }]});
        Ok(object.to_string().into_bytes())
    }

    /// The one pod of `jet`, which is asked for only while that is available.
    fn pods(&self) -> Vec<u8> {
        let crashed = u32::from(self.crashing.load(Ordering::Relaxed));
        let restarts = self.restarts.fetch_add(crashed, Ordering::Relaxed);
        let status = json!({
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [{"name": "jet", "restartCount": restarts}],
        });
        let pod = json!({"metadata": {"name": "jet-0"}, "status": status});
        json!({"items": [pod]}).to_string().into_bytes()
    }
}

/// Pods that say what they are told to.
pub struct TestPods {
    /// What a visitor sees; `None` is no pod.
    pub visit: Mutex<Option<PodCheckResult>>,
    /// So many looks find none.
    pub late: AtomicU32,
    /// What the visitors were given.
    pub requests: Mutex<Vec<String>>,
}

impl Default for TestPods {
    fn default() -> Self {
        let visit = PodCheckResult {
            address: [10, 42, 0, 5].into(),
            checks: vec![Check::pass("name", "palette.example is 127.0.0.1")],
        };
        Self {
            visit: Mutex::new(Some(visit)),
            late: AtomicU32::new(0),
            requests: Mutex::default(),
        }
    }
}

impl Pods for TestPods {
    fn run(&self, _: &str, request: &[u8]) -> Result<Option<Vec<u8>>, CommandError> {
        let text = String::from_utf8(request.to_vec()).unwrap();
        self.requests.lock().unwrap().push(text);
        let one_less = |left: u32| left.checked_sub(1);
        let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
        if self.late.fetch_update(set, fetch, one_less).is_ok() {
            return Ok(None);
        }
        let visit = self.visit.lock().unwrap();
        Ok(visit
            .as_ref()
            .map(|visit| serde_json::to_vec(visit).unwrap()))
    }
}

/// When the power goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Just before this write of the journal, from 1: what was done is not written down.
    Before(usize),
    /// Just after it.
    After(usize),
    /// Just after it says that the machine came this far.
    At(State),
    /// No power cut: from this write on the disk is full so many times.
    Full(usize, usize),
}

/// A journal that stops working at one write, as a disk does when the power goes.
pub struct TestKeeper {
    pub file: JournalFile,
    pub cut: Option<Cut>,
    pub writes: Cell<usize>,
    /// Every journal that was saved: a test may look after the machine went on.
    pub saved: RefCell<Vec<Journal>>,
    pub changed: tokio::sync::Notify,
}

impl JournalStore for TestKeeper {
    fn load(&self) -> io::Result<Found> {
        self.file.load()
    }
    fn peek(&self) -> io::Result<Found> {
        self.file.peek()
    }
    fn save(&self, journal: &Journal) -> io::Result<()> {
        let write = self.writes.get() + 1;
        self.writes.set(write);
        if self.cut == Some(Cut::Before(write)) {
            return Err(io::Error::other("power cut"));
        }
        if let Some(Cut::Full(from, times)) = self.cut
            && (from..from + times).contains(&write)
        {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.save(journal)?;
        if [Cut::After(write), Cut::At(journal.state)]
            .map(Some)
            .contains(&self.cut)
        {
            return Err(io::Error::other("power cut"));
        }
        self.saved.borrow_mut().push(journal.clone());
        self.changed.notify_waiters();
        Ok(())
    }
}
