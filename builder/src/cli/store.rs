//! `postern store`

use std::collections::BTreeMap;
use std::time::SystemTime;

use clap::{Args, Subcommand};
use jiff::{SignedDuration, Timestamp};
use postern_contract::size;
use serde::Serialize;

use super::{Global, print_json};
use crate::report::bytes;
use crate::source::Digest;
use crate::source::store::{
    Blob, Inventory, PruneLimits, StepResult, VerifySummary, prune, verify,
};

/// How many of the largest files a list shows.
const MAX_LARGEST: usize = 10;

/// List, prune or check the store of packages and results
#[derive(Debug, Args)]
pub struct Store {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    List(List),
    Prune(Prune),
    Verify(Verify),
}

impl Store {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<()> {
        match self.verb {
            Verb::List(verb) => verb.run(global),
            Verb::Prune(verb) => verb.run(global),
            Verb::Verify(verb) => verb.run(global),
        }
    }
}

/// List what is in the store, and when it was last used
#[derive(Debug, Args)]
struct List {
    /// Print everything as one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Listed {
    schema: u32,
    store: String,
    bytes: u64,
    blobs: Vec<ListedBlob>,
    made: Vec<ListedResult>,
}

#[derive(Serialize)]
struct ListedBlob {
    sha256: Digest,
    bytes: u64,
    used: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

#[derive(Serialize)]
struct ListedResult {
    step: String,
    key: Digest,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<Digest>,
    bytes: u64,
    used: String,
}

impl List {
    fn run(self, global: &Global) -> anyhow::Result<()> {
        let root = global.store_dir()?;
        let inventory = Inventory::of(&root)?;
        let mut names = inventory.names(&root);
        if !self.json {
            print!("{}", table(&inventory, &names));
            return Ok(());
        }
        let blob = |blob: &Blob| ListedBlob {
            sha256: blob.digest,
            bytes: blob.size,
            used: day_and_time(blob.used),
            name: names.remove(&blob.digest),
        };
        let result = |made: &StepResult| ListedResult {
            step: made.slot.step.clone(),
            key: made.slot.key,
            sha256: made.record.map(|record| record.sha256),
            bytes: made.record.map_or(0, |record| record.size),
            used: day_and_time(made.used),
        };
        let listed = Listed {
            schema: 1,
            store: root.display().to_string(),
            bytes: inventory.size(),
            blobs: inventory.blobs.iter().map(blob).collect(),
            made: inventory.made.iter().map(result).collect(),
        };
        print_json(&listed)?;
        Ok(())
    }
}

/// Kinds with count, size and last use; then the largest blobs by name.
fn table(inventory: &Inventory, names: &BTreeMap<Digest, String>) -> String {
    let results = inventory.results();
    let mut kinds: BTreeMap<&str, (usize, u64, SystemTime)> = BTreeMap::new();
    for blob in &inventory.blobs {
        let kind = match (results.get(&blob.digest), names.get(&blob.digest)) {
            (Some(made), _) => made.first().map_or("", |made| made.slot.step.as_str()),
            (None, Some(_)) => "packages",
            (None, None) => "downloads",
        };
        let entry = kinds.entry(kind).or_insert((0, 0, blob.used));
        *entry = (entry.0 + 1, entry.1 + blob.size, entry.2.max(blob.used));
    }
    let mut text = String::new();
    for (kind, (count, size, used)) in kinds {
        let (size, used) = (bytes(size), day(used));
        text.push_str(&format!(
            "{kind:<16}{count:>6}{size:>10}   last used {used}\n"
        ));
    }
    let count = inventory.blobs.len();
    let size = bytes(inventory.size());
    text.push_str(&format!("{:<16}{count:>6}{size:>10}\n", "in all"));
    let mut largest: Vec<&Blob> = inventory.blobs.iter().collect();
    largest.sort_by_key(|blob| (std::cmp::Reverse(blob.size), blob.digest));
    if !largest.is_empty() {
        text.push_str("\nlargest:\n");
    }
    for blob in largest.into_iter().take(MAX_LARGEST) {
        let (size, used) = (bytes(blob.size), day(blob.used));
        let short: String = blob.digest.to_string().chars().take(12).collect();
        let name = names.get(&blob.digest).map_or("?", String::as_str);
        text.push_str(&format!("{size:>10}  {used}  {short}  {name}\n"));
    }
    text
}

fn day(time: SystemTime) -> String {
    day_and_time(time).chars().take(10).collect()
}

/// `2026-11-21T03:05:41Z`; empty for a time outside of the calendar.
fn day_and_time(time: SystemTime) -> String {
    let time = Timestamp::try_from(time);
    time.map(|time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
        .unwrap_or_default()
}

/// Remove what has not been used for the longest time
///
/// Safe at any time: what a running build has used stays. Without limits it removes
/// what has not been used for 30 days.
#[derive(Debug, Args)]
struct Prune {
    /// Remove what has not been used for so many days
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=36500))]
    keep_days: Option<u32>,
    /// Then remove the least recently used until the store has at most this size,
    /// as 20GiB
    #[arg(long, value_name = "SIZE", value_parser = size_of)]
    max_size: Option<u64>,
    /// Show what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
}

/// Without a limit, entries stay for so many days.
const DEFAULT_KEEP_DAYS: u32 = 30;

fn size_of(text: &str) -> Result<u64, String> {
    size::parse(text).map_err(|_| "write a whole number with KiB, MiB, GiB or TiB".to_owned())
}

impl Prune {
    fn run(self, global: &Global) -> anyhow::Result<()> {
        let days = match (self.keep_days, self.max_size) {
            (None, None) => Some(DEFAULT_KEEP_DAYS),
            (days, _) => days,
        };
        let limits = PruneLimits {
            keep: days.map(|days| SignedDuration::from_hours(24 * i64::from(days))),
            size: self.max_size,
        };
        let pruned = prune(&global.store_dir()?, limits, self.dry_run)?;
        let what = if self.dry_run {
            "would remove"
        } else {
            "removed"
        };
        println!(
            "{what} {}, {}; {} left",
            count(pruned.removed),
            bytes(pruned.freed),
            bytes(pruned.left)
        );
        if pruned.in_use > 0 {
            let kept = count(pruned.in_use);
            global.report().note(format!(
                "a running build uses {kept} that would be removed: prune again later"
            ));
        }
        Ok(())
    }
}

fn count(files: usize) -> String {
    format!("{files} file{}", if files == 1 { "" } else { "s" })
}

/// Check everything in the store, and remove what is damaged
#[derive(Debug, Args)]
struct Verify {
    /// Print the outcome as one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Outcome {
    schema: u32,
    blobs: usize,
    results: usize,
    bytes: u64,
    damaged: Vec<String>,
}

impl Verify {
    fn run(self, global: &Global) -> anyhow::Result<()> {
        let store = global.store()?;
        let step = global.report().step("Verifying the store");
        let verified = verify(&store, |done, total| step.progress(done, total))?;
        let VerifySummary {
            blobs,
            results,
            bytes: size,
            damaged,
        } = verified;
        step.done(format!("{blobs} files, {results} results, {}", bytes(size)));
        let damaged: Vec<String> = damaged.iter().map(ToString::to_string).collect();
        let outcome = Outcome {
            schema: 1,
            blobs,
            results,
            bytes: size,
            damaged: damaged.clone(),
        };
        if self.json {
            print_json(&outcome)?;
        }
        anyhow::ensure!(
            damaged.is_empty(),
            "{} damaged and removed:\n  {}\n  help: check the disk and the memory of this machine; the next build restores what it needs",
            match damaged.len() {
                1 => "1 entry was".to_owned(),
                n => format!("{n} entries were"),
            },
            damaged.join("\n  ")
        );
        Ok(())
    }
}
