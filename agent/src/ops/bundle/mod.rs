//! `postern-agent support-bundle`: logs, status and checks for support.
//!
//! Every text is masked before it is cut to size, so that no half of a secret
//! is left. What cannot be collected is listed in `NOT-COLLECTED` with the reason.
//! The gateway file and k3s' own files are never read.

mod redact;

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use fs_err as fs;
use jiff::Timestamp;
use postern_contract::host::Command;
use postern_contract::paths;
use serde_json::Value;

use super::check;
use crate::host::world::World;
use crate::life::hidden;
use crate::report::mask::Mask;
use crate::site::configure;
use crate::site::settings::SETTINGS;

/// The newest bytes of a text that are kept.
const MAX_FILE_BYTES: usize = 4 << 20;
/// Seconds that one program may take.
const PROGRAM_TIMEOUT_SECONDS: &str = "30";
/// How long preflight may take.
const PREFLIGHT_TIMEOUT: Duration = Duration::from_secs(150);

/// Name of the file, and the program whose output it is.
const PROGRAMS: [(&str, &[&str]); 13] = [
    (
        "journal-agent.txt",
        &[
            "journalctl",
            "-u",
            "postern-agent.service",
            "--no-pager",
            "-n",
            "5000",
        ],
    ),
    (
        "journal-k3s.txt",
        &[
            "journalctl",
            "-u",
            "k3s.service",
            "--no-pager",
            "-n",
            "5000",
        ],
    ),
    (
        "journal-kernel.txt",
        &["journalctl", "-k", "-b", "--no-pager", "-n", "2000"],
    ),
    ("units-failed.txt", &["systemctl", "--failed", "--no-pager"]),
    ("ip-address.txt", &["ip", "address"]),
    ("ip-route.txt", &["ip", "route", "show", "table", "all"]),
    ("ip-6-route.txt", &["ip", "-6", "route"]),
    ("resolvectl.txt", &["resolvectl", "--no-pager"]),
    ("timedatectl.txt", &["timedatectl"]),
    (
        "lsblk.txt",
        &[
            "lsblk",
            "-o",
            "NAME,SIZE,TYPE,FSTYPE,PARTLABEL,PARTUUID,MOUNTPOINTS",
        ],
    ),
    ("df.txt", &["df", "-hT"]),
    ("memory.txt", &["free", "-m"]),
    ("uname.txt", &["uname", "-a"]),
];
/// The same, asked of the cluster.
const OBJECTS: [(&str, &[&str]); 4] = [
    (
        "cluster-nodes.txt",
        &["get", "nodes", "-o", "wide", "--request-timeout=20s"],
    ),
    (
        "cluster-pods.txt",
        &["get", "pods", "-A", "-o", "wide", "--request-timeout=20s"],
    ),
    (
        "cluster-deployments.txt",
        &[
            "get",
            "deployments",
            "-A",
            "-o",
            "wide",
            "--request-timeout=20s",
        ],
    ),
    (
        "cluster-events.txt",
        &[
            "get",
            "events",
            "-A",
            "--sort-by=.lastTimestamp",
            "--request-timeout=20s",
        ],
    ),
];
/// The agent's own files.
const FILES: [(&str, &str); 4] = [
    ("status.json", paths::STATUS),
    ("metrics.prom", paths::METRICS),
    ("agent-journal.json", paths::JOURNAL),
    ("image.json", paths::IMAGE_FACTS),
];

/// How a program is run: its output, or one line on why there is none.
pub type Run<'r> = &'r dyn Fn(&Command) -> Result<Vec<u8>, String>;

/// Runs a program of this machine.
///
/// # Errors
/// Why there is no output.
pub fn run(command: &Command) -> Result<Vec<u8>, String> {
    command.run().map_err(|error| error.to_string())
}

/// Texts by the names of their files, no secret in them.
#[derive(Debug)]
pub struct Bundle {
    files: BTreeMap<String, String>,
    gateway: String,
    at: Timestamp,
}

/// Collects everything there is.
pub async fn collect(world: &World, run: Run<'_>) -> Bundle {
    let wanted = configure::wanted(world).ok();
    let mut collector = Collector {
        mask: hidden::mask(&world.root, wanted.as_ref()),
        files: BTreeMap::new(),
        missing: Vec::new(),
    };
    for (name, path) in FILES {
        let text = fs::read(world.root.at(path)).map_err(|error| error.to_string());
        collector.add(name, text);
    }
    collector.add("settings.json", settings(world));
    for (name, words) in PROGRAMS {
        let command = Command::new("timeout")
            .args(["-k", "5", PROGRAM_TIMEOUT_SECONDS])
            .args(words);
        collector.add(name, run(&command));
    }
    for (name, args) in OBJECTS {
        let asked = world
            .query(move |_, cluster| cluster.kubectl(args, b""))
            .await;
        collector.add(name, asked.map_err(|error| error.to_string()));
    }
    collector.add("preflight.json", preflight(world).await);
    let gateway = wanted.map_or_else(|| world.host_name.clone(), |w| w.settings.name);
    Bundle {
        files: collector.finish(),
        gateway,
        at: world.pace.now(),
    }
}

async fn preflight(world: &World) -> Result<Vec<u8>, String> {
    match tokio::time::timeout(PREFLIGHT_TIMEOUT, check::check(world)).await {
        Ok(Ok(report)) => serde_json::to_vec_pretty(&report).map_err(|e| e.to_string()),
        Ok(Err(stop)) => Err(stop.to_string()),
        Err(_) => Err(format!(
            "it took longer than {} s",
            PREFLIGHT_TIMEOUT.as_secs()
        )),
    }
}

/// The settings without the values of secret keys, whatever the mask knows.
fn settings(world: &World) -> Result<Vec<u8>, String> {
    let text = fs::read(world.root.at(SETTINGS)).map_err(|error| error.to_string())?;
    let mut tree: Value = serde_json::from_slice(&text)
        // serde_json's error may quote a value.
        .map_err(|error| format!("it is not JSON from line {} on", error.line()))?;
    redact::tree(&mut tree);
    serde_json::to_vec_pretty(&tree).map_err(|error| error.to_string())
}

struct Collector {
    mask: Mask,
    files: BTreeMap<String, String>,
    missing: Vec<String>,
}

impl Collector {
    fn add(&mut self, name: &str, text: Result<Vec<u8>, String>) {
        match text {
            Ok(text) => {
                let text = self.clean(&String::from_utf8_lossy(&text));
                self.files.insert(name.to_owned(), newest(text));
            }
            Err(why) => {
                let line = self.clean(&format!("{name}: {why}\n"));
                self.missing.push(line);
            }
        }
    }

    fn clean(&self, text: &str) -> String {
        redact::urls(&self.mask.apply(text))
    }

    fn finish(mut self) -> BTreeMap<String, String> {
        if !self.missing.is_empty() {
            let text = self.missing.concat();
            self.files.insert("NOT-COLLECTED".to_owned(), text);
        }
        self.files
    }
}

/// The last [`MAX_FILE_BYTES`] bytes, from the start of a line.
fn newest(text: String) -> String {
    let Some(mut from) = text.len().checked_sub(MAX_FILE_BYTES) else {
        return text;
    };
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let rest = &text[from..];
    rest.split_once('\n')
        .map_or(rest, |(_, rest)| rest)
        .to_owned()
}

impl Bundle {
    /// What the archive is called unless a person says.
    pub fn name(&self) -> String {
        format!("{}.tar.gz", self.folder())
    }

    fn folder(&self) -> String {
        let at = self.at.strftime("%Y%m%dT%H%M%SZ");
        format!("postern-support-{}-{at}", self.gateway)
    }

    /// The archive's bytes: gzip of a tar with one folder.
    ///
    /// # Errors
    /// None but those of memory.
    pub fn archive(&self) -> io::Result<Vec<u8>> {
        let gzip = GzEncoder::new(Vec::new(), Compression::default());
        let mut tar = tar::Builder::new(gzip);
        let folder = self.folder();
        for (name, text) in &self.files {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o600);
            header.set_mtime(u64::try_from(self.at.as_second()).unwrap_or_default());
            header.set_size(text.len() as u64);
            tar.append_data(&mut header, format!("{folder}/{name}"), text.as_bytes())?;
        }
        tar.into_inner()?.finish()
    }
}
