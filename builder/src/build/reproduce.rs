//! Builds the same image again, from nothing and in another environment, and
//! compares the bytes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use fs_err as fs;
use postern_contract::host::Command;
use walkdir::WalkDir;

use super::BuildContext;
use crate::artifact::SUMS;
use crate::cache::{Cache, SCRATCH};
use crate::diff;
use crate::lock::LockedProfile;
use crate::profile::Output;

/// An environment that a build must not depend on. Its directories, its store of
/// results, its time and its process differ anyway.
const OTHER_ENVIRONMENT: [(&str, &str); 7] = [
    ("TZ", "Pacific/Kiritimati"),
    ("LC_ALL", "C"),
    ("LANGUAGE", "tr"),
    ("RAYON_NUM_THREADS", "1"),
    ("HOME", "/nonexistent"),
    // What the first build pushed to a pool, or found there, proves nothing.
    ("POSTERN_POOL", ""),
    ("POSTERN_POOL_PUSH", ""),
];
/// Differences that a message lists; the rest is counted.
const MAX_LISTED: usize = 20;

/// Builds the image in `first` once more and compares all files.
///
/// # Errors
/// If the second build fails, or naming what differs: file, partition, how.
pub fn reproduce(
    locked: &LockedProfile,
    context: BuildContext<'_>,
    first: &Path,
) -> anyhow::Result<()> {
    let step = context
        .report
        .step("Building again, from nothing, to compare");
    // Open, so that no other build removes the scratch directory as a dead one's.
    let cache = Cache::open(context.store, context.report)?;
    let scratch = tempfile::Builder::new()
        .prefix(SCRATCH)
        .tempdir_in(cache.dir("reproduce")?)?;
    let second = again(locked, context, scratch.path())?;
    let (ours, theirs) = (sums(first)?, sums(&second)?);
    if ours == theirs {
        let made = made_again(scratch.path())?;
        step.done(format!(
            "{} files, bit for bit the same; made again: {}",
            ours.len(),
            made.join(", ")
        ));
        return Ok(());
    }
    let names = ours.keys().chain(theirs.keys());
    let differing: std::collections::BTreeSet<_> = names
        .filter(|name| ours.get(*name) != theirs.get(*name))
        .map(String::as_str)
        .collect();
    let mut listed = String::new();
    let regions = diff::disks(first, &second)?;
    for region in regions.iter().take(MAX_LISTED) {
        listed.push_str(&format!("\n  | {region}"));
    }
    if regions.len() > MAX_LISTED {
        listed.push_str(&format!("\n  | and {} more", regions.len() - MAX_LISTED));
    }
    bail!(
        "the image is not reproducible: a second build has other bytes in {}{listed}\n  \
         help: find what writes the files named here: a package's script, an overlay, the agent",
        Vec::from_iter(differing).join(", ")
    )
}

fn again(
    locked: &LockedProfile,
    context: BuildContext<'_>,
    scratch: &Path,
) -> anyhow::Result<PathBuf> {
    let profile = locked.profile();
    let (store, out) = (store(scratch), scratch.join("out"));
    fs::create_dir_all(&store)?;
    // The packages of the first build, nothing that it made.
    fs_err::os::unix::fs::symlink(
        fs::canonicalize(context.store.blobs())?,
        store.join("blobs"),
    )?;
    let formats: Vec<_> = profile.outputs.iter().map(Output::name).collect();
    let mut build = Command::new("sh")
        .args(["-c", "umask 077 && exec \"$0\" \"$@\""])
        .arg(context.program)
        .args(["build", "--quiet", "--offline", "--formats"])
        .arg(formats.join(","))
        .arg("--agent")
        .arg(fs::canonicalize(context.agent)?)
        .arg("--store")
        .arg(&store)
        .arg("--out")
        .arg(&out)
        .arg(&profile.file)
        .with_environment()
        .cwd(scratch);
    for (variable, value) in OTHER_ENVIRONMENT {
        build = build.env(variable, value);
    }
    let output = build.run().context("building the image again")?;
    Ok(PathBuf::from(String::from_utf8(output)?.trim_end()))
}

/// The steps whose results the second build made: its store had none of them.
fn made_again(scratch: &Path) -> anyhow::Result<Vec<String>> {
    let steps = WalkDir::new(store(scratch).join("made")).sort_by_file_name();
    let mut made = Vec::new();
    for entry in steps.min_depth(2) {
        let entry = entry?;
        let step = entry.path().parent().and_then(Path::file_name);
        let step = step.unwrap_or_default().to_string_lossy();
        if entry.path().extension().is_some_and(|kind| kind == "json") {
            made.push(step.into_owned());
        }
    }
    made.dedup();
    Ok(made)
}

/// The second build's store.
fn store(scratch: &Path) -> PathBuf {
    scratch.join("store")
}

/// Digests by name.
fn sums(dir: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let text = fs::read_to_string(dir.join(SUMS))?;
    let lines = text.lines().filter_map(|line| line.split_once("  "));
    Ok(lines
        .map(|(digest, name)| (name.to_owned(), digest.to_owned()))
        .collect())
}
