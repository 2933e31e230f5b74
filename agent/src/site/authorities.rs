//! The gateway file's certificates in what the machine trusts, and out of it again.
//!
//! `/etc` is an overlay: what the image has of the CA bundle is hidden by the
//! first change of it, and cloud-init may have changed it before (`ca_certs`).
//! So the bundle is not rebuilt from the image's. Instead [`Record`] keeps
//! what was added, and what is there without that is the base for the next
//! time. A certificate that the base has by itself is never added, so never
//! removed.
//!
//! The record names everything before it is written and until it is removed:
//! after a cut anywhere the next run ends the same.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use fs_err as fs;
use postern_contract::paths;
use postern_contract::trust::{self, Named, TrustError};
use serde::{Deserialize, Serialize};

use crate::host::consumers::{Consumer, File};
use crate::host::files::{put, take_away};
use crate::host::world::Root;
use crate::journal::condition::{Reason, StepError};

/// CA certificates of the gateway file, kept apart from the image's.
pub const CERTIFICATES: &str = "/etc/postern/certificates";
/// What was added to the system's trust.
pub const RECORD: &str = "/var/lib/postern/trust.json";
/// OpenSSL's folder of hash links.
const CERTS: &str = "/etc/ssl/certs";

/// Version of the record's format.
const SCHEMA: u32 = 1;

/// What this agent added to the system's trust.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Record {
    /// Version of this format; 1.
    schema: u32,
    /// PEM blocks in the bundle, byte for byte, in their order.
    bundle: Vec<String>,
    /// Names in OpenSSL's folder: files and links.
    names: BTreeSet<String>,
}

/// Makes the machine trust `certificates` (PEM) besides its own, and none that
/// an earlier call was given and this one is not.
///
/// # Errors
/// [`StepError::Block`] if the bundle or a certificate cannot be read; [`StepError::Broken`]
/// if a file cannot be written.
pub fn write(root: &Root, certificates: &[String]) -> Result<(), StepError> {
    let mut all = Vec::new();
    for pem in certificates {
        all.extend(trust::parse(pem).map_err(unusable)?);
    }
    let named = Named::all("gateway", all);
    let before = load(root)?;
    let base = without(fs::read_to_string(root.at(paths::CA_BUNDLE))?, &before);
    let taken = &names(&root.at(CERTS))? - &before.names;
    let added = trust::additions(&base, &named, &taken).map_err(unusable)?;
    let after = Record {
        schema: SCHEMA,
        bundle: in_order(&named, &added),
        names: added
            .files
            .keys()
            .chain(added.links.keys())
            .cloned()
            .collect(),
    };
    if after != before {
        save(root, &both(&before, &after))?;
    }
    for (name, text) in &added.files {
        put(root, &format!("{CERTS}/{name}"), text.as_bytes(), 0o644)?;
    }
    for (name, target) in &added.links {
        link(&root.at(CERTS).join(name), target)?;
    }
    let bundle = File {
        // It reads the bundle when it starts.
        consumer: Consumer::K3s,
        path: paths::CA_BUNDLE,
        mode: 0o644,
        text: Some(added.bundle.into()),
    };
    bundle.apply(root)?;
    for name in &before.names - &after.names {
        take_away(root, &format!("{CERTS}/{name}"))?;
    }
    keep_apart(root, &named)?;
    if after != before {
        save(root, &after)?;
    }
    Ok(())
}

fn unusable(why: TrustError) -> StepError {
    let detail = format!("{} {why}", paths::CA_BUNDLE);
    let remedy = "this image is broken: build it again";
    StepError::block(Reason::Image, detail, remedy)
}

/// The bundle as it would be if nothing had been added.
fn without(bundle: String, record: &Record) -> String {
    record.bundle.iter().rev().fold(bundle, |bundle, pem| {
        match bundle.rfind(pem.as_str()) {
            Some(at) => format!("{}{}", &bundle[..at], &bundle[at + pem.len()..]),
            // update-ca-certificates rebuilt the bundle.
            None => bundle,
        }
    })
}

/// The blocks that were appended to the bundle, as they stand in it.
fn in_order(named: &[Named], added: &trust::Additions) -> Vec<String> {
    let texts: BTreeSet<&String> = added.files.values().collect();
    let blocks = named.iter().map(|n| &n.certificate.pem);
    blocks.filter(|pem| texts.contains(pem)).cloned().collect()
}

/// Everything of two records.
fn both(before: &Record, after: &Record) -> Record {
    let mut both = before.clone();
    let new = after
        .bundle
        .iter()
        .filter(|pem| !before.bundle.contains(pem));
    both.bundle.extend(new.cloned());
    both.names.extend(after.names.iter().cloned());
    both
}

/// A record that cannot be read counts as none: what it named stays trusted.
fn load(root: &Root) -> io::Result<Record> {
    let none = Record {
        schema: SCHEMA,
        bundle: Vec::new(),
        names: BTreeSet::new(),
    };
    match fs::read(root.at(RECORD)) {
        Ok(text) => {
            let record: Option<Record> = serde_json::from_slice(&text).ok();
            Ok(record.filter(|r| r.schema == SCHEMA).unwrap_or(none))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(none),
        Err(error) => Err(error),
    }
}

fn save(root: &Root, record: &Record) -> io::Result<()> {
    let text = serde_json::to_vec_pretty(record)?;
    put(root, RECORD, &text, 0o600)
}

/// Copies for people and tools that want the gateway's certificates alone.
fn keep_apart(root: &Root, named: &[Named]) -> io::Result<()> {
    let dir = root.at(CERTIFICATES);
    let mut old = if dir.exists() {
        names(&dir)?
    } else {
        BTreeSet::new()
    };
    for Named { name, certificate } in named {
        let file = format!("{name}.crt");
        let path = format!("{CERTIFICATES}/{file}");
        put(root, &path, certificate.pem.as_bytes(), 0o644)?;
        old.remove(&file);
    }
    for name in old {
        take_away(root, &format!("{CERTIFICATES}/{name}"))?;
    }
    Ok(())
}

fn names(dir: &Path) -> io::Result<BTreeSet<String>> {
    let entries = fs::read_dir(dir)?;
    entries
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect()
}

fn link(path: &Path, target: &str) -> io::Result<()> {
    match fs::read_link(path) {
        Ok(existing) if existing == Path::new(target) => return Ok(()),
        Ok(_) => fs::remove_file(path)?,
        Err(_) => {}
    }
    symlink(target, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_contract::host::Command;
    use postern_contract::host::files::write_atomic;

    /// A machine whose image trusts one authority, and three more.
    struct Machine {
        dir: tempfile::TempDir,
        image: String,
        others: [String; 3],
    }

    fn authority(name: &str) -> String {
        let now = jiff::Timestamp::now();
        let made = postern_sim::tls::Authority::generate(name, now).unwrap();
        made.pem().to_owned()
    }

    impl Machine {
        fn new() -> Self {
            let machine = Self {
                dir: tempfile::tempdir().unwrap(),
                image: authority("Image"),
                others: ["One", "Two", "Three"].map(authority),
            };
            let root = machine.root();
            let bundle = root.at(paths::CA_BUNDLE);
            write_atomic(&bundle, machine.image.as_bytes(), 0o644).unwrap();
            machine
        }

        fn root(&self) -> Root {
            Root(self.dir.path().to_owned())
        }

        fn configure(&self, which: &[usize]) -> bool {
            let certificates: Vec<_> = which.iter().map(|i| self.others[*i].clone()).collect();
            self.write(&certificates)
        }

        /// Whether k3s has to read the bundle again.
        fn write(&self, certificates: &[String]) -> bool {
            let root = self.root();
            let _ = fs::remove_dir_all(root.at("/run"));
            write(&root, certificates).unwrap();
            Consumer::K3s.is_stale(&root)
        }

        /// Whether OpenSSL trusts a certificate by the bundle, and by the links.
        fn trusts(&self, pem: &str) -> [bool; 2] {
            let bundle = self.root().at(paths::CA_BUNDLE);
            let folder = self.root().at(CERTS);
            let by = [
                ("-CAfile", bundle, "-no-CApath"),
                ("-CApath", folder, "-no-CAfile"),
            ];
            by.map(|(option, path, other)| {
                let verify = Command::new("openssl").args(["verify", "-no-CAstore", other, option]);
                verify.arg(path).run_with_input(pem.as_bytes()).is_ok()
            })
        }

        /// Every path and what is in it, or where it points.
        fn files(&self) -> Vec<(String, String)> {
            let dir = self.root().at(CERTS);
            let read = |name: String| {
                let path = dir.join(&name);
                let target = fs::read_link(&path).map(|t| t.display().to_string());
                (
                    name,
                    target.unwrap_or_else(|_| fs::read_to_string(&path).unwrap()),
                )
            };
            names(&dir).unwrap().into_iter().map(read).collect()
        }
    }

    #[test]
    fn what_leaves_the_gateway_file_leaves_the_machine() {
        let machine = Machine::new();
        let untouched = machine.files();
        for which in [&[0, 1, 2][..], &[0, 2], &[2, 1], &[1], &[]] {
            machine.configure(which);
            for (i, pem) in machine.others.iter().enumerate() {
                let wanted = which.contains(&i);
                assert_eq!(machine.trusts(pem), [wanted; 2], "{i} of {which:?}");
            }
            assert!(machine.trusts(&machine.image)[0], "{which:?}");
            let kept = names(&machine.root().at(CERTIFICATES)).unwrap();
            assert_eq!(kept.len(), which.len());
            let before = machine.files();
            assert!(!machine.configure(which), "a second run changes nothing");
            assert_eq!(machine.files(), before);
        }
        assert_eq!(machine.files(), untouched);
    }

    #[test]
    fn links_of_one_subject_are_numbered_without_a_gap() {
        let mut machine = Machine::new();
        machine.others[2] = authority("Two");
        machine.configure(&[1, 2]);
        let links = |machine: &Machine| {
            let files = machine.files().into_iter();
            files
                .filter(|(_, t)| t.ends_with(".pem"))
                .map(|(name, _)| name)
                .collect::<Vec<_>>()
        };
        let two = links(&machine);
        assert!(two[0].ends_with(".0") && two[1].ends_with(".1"), "{two:?}");
        machine.configure(&[2]);
        // OpenSSL stops looking at the first number that is not there.
        assert_eq!(links(&machine), two[..1]);
        assert_eq!(machine.trusts(&machine.others[2]), [true; 2]);
    }

    #[test]
    fn what_the_image_trusts_by_itself_stays() {
        let machine = Machine::new();
        let image = [machine.image.clone()];
        assert!(!machine.write(&image));
        assert!(!machine.write(&[]));
        assert!(machine.trusts(&machine.image)[0]);
    }

    #[test]
    fn a_bundle_that_cloud_init_made_anew_is_added_to_again() {
        let machine = Machine::new();
        machine.configure(&[0]);
        let own = authority("cloud-init");
        let bundle = format!("{}{own}", machine.image);
        let path = machine.root().at(paths::CA_BUNDLE);
        write_atomic(&path, bundle.as_bytes(), 0o644).unwrap();
        assert!(machine.configure(&[0]));
        assert!(machine.trusts(&machine.others[0])[0] && machine.trusts(&own)[0]);
        machine.configure(&[]);
        assert_eq!(fs::read_to_string(path).unwrap(), bundle);
    }

    #[test]
    fn a_cut_at_any_file_is_made_good() {
        let machine = Machine::new();
        machine.configure(&[0]);
        let before = machine.files();
        machine.configure(&[1, 2]);
        let after = machine.files();
        let record = fs::read(machine.root().at(RECORD)).unwrap();
        let whole: Record = serde_json::from_slice(&record).unwrap();
        machine.configure(&[0]);
        let old = fs::read(machine.root().at(RECORD)).unwrap();
        let old: Record = serde_json::from_slice(&old).unwrap();
        // The union is written, then each new file in turn, then the old go.
        let new: Vec<_> = after.iter().filter(|f| !before.contains(f)).collect();
        for written in 0..=new.len() {
            machine.configure(&[0]);
            save(&machine.root(), &both(&old, &whole)).unwrap();
            for (name, text) in &new[..written] {
                let path = machine.root().at(CERTS).join(name);
                match text.starts_with("-----") {
                    true => write_atomic(&path, text.as_bytes(), 0o644).unwrap(),
                    false => link(&path, text).unwrap(),
                }
            }
            machine.configure(&[1, 2]);
            assert_eq!(machine.files(), after, "cut after {written}");
        }
        machine.configure(&[]);
        assert_eq!(machine.files().len(), 1, "{:?}", machine.files());
    }
}
