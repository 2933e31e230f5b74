//! The differences between two images as text.

use std::fmt;

use super::{ArtifactChange, Change, Diff, PartitionChange, WordChange};
use crate::artifact::Kind;
use crate::diff::entries::{ChangeKind, signed};
use crate::report::bytes;

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (old, new) = (&self.old, &self.new);
        writeln!(
            f,
            "{} {} → {} {}",
            old.name, old.version, new.name, new.version
        )?;
        if self.is_empty() {
            return writeln!(f, "nothing differs");
        }
        if old.root_hash != new.root_hash {
            writeln!(f, "root hash {} → {}", old.root_hash, new.root_hash)?;
        }
        self.boot(f)?;
        section(f, "packages", &self.packages)?;
        section(f, "files", &self.files)?;
        let root = |change: &ArtifactChange| change.kind == Kind::Root;
        if self.files.is_empty() && self.artifacts.iter().any(root) {
            let why = "none, but the root has other bytes: times or compression differ";
            writeln!(f, "\nfiles: {why}")?;
        }
        self.sizes(f)
    }
}

fn section(f: &mut fmt::Formatter<'_>, title: &str, list: &[impl fmt::Display]) -> fmt::Result {
    if list.is_empty() {
        return Ok(());
    }
    writeln!(f, "\n{title}: {}", list.len())?;
    list.iter().try_for_each(|item| writeln!(f, "  {item}"))
}

impl Diff {
    fn boot(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Change { old, new }) = &self.kernel {
            match old == new {
                true => writeln!(f, "kernel {new}, rebuilt")?,
                false => writeln!(f, "kernel {old} → {new}")?,
            }
        }
        if let Some(Change { old, new }) = self.initrd {
            let growth = signed(i128::from(new) - i128::from(old));
            writeln!(f, "initrd: other bytes ({growth})")?;
        }
        for WordChange { how, word } in &self.cmdline {
            let sign = if *how == ChangeKind::Added { '+' } else { '-' };
            writeln!(f, "kernel command line: {sign} {word}")?;
        }
        Ok(())
    }

    fn sizes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = |place: Option<(u64, u64)>| match place {
            Some((offset, size)) => format!("{} at {offset}", bytes(size)),
            None => "none".to_owned(),
        };
        if !self.partitions.is_empty() {
            writeln!(f, "\npartitions: {}", self.partitions.len())?;
        }
        for PartitionChange { label, old, new } in &self.partitions {
            writeln!(f, "  ~ {label}: {} → {}", place(*old), place(*new))?;
        }
        if !self.artifacts.is_empty() {
            writeln!(f, "\nartifacts: {}", self.artifacts.len())?;
        }
        for ArtifactChange { kind, old, new } in &self.artifacts {
            match (old, new) {
                (Some(old), Some(new)) => {
                    let growth = signed(i128::from(*new) - i128::from(*old));
                    writeln!(f, "  ~ {kind}: {} ({growth})", bytes(*new))?;
                }
                (Some(old), None) => writeln!(f, "  - {kind}: {}", bytes(*old))?,
                (None, Some(new)) => writeln!(f, "  + {kind}: {}", bytes(*new))?,
                (None, None) => {}
            }
        }
        Ok(())
    }
}
