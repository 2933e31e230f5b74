//! The host's tools that touch an image's bytes, and their versions.
//!
//! Their output may change between versions, so the versions are part of every
//! cache key and of the manifest.

use std::collections::BTreeMap;

use anyhow::Context;
use postern_agent::host::Command;

/// Tool, argument that makes it tell its version, package that brings it.
/// `mkfs.vfat` does not tell, its sibling `fatlabel` does.
const TOOLS: [(&str, &str, &str); 4] = [
    ("fatlabel", "--version", "dosfstools"),
    ("mcopy", "-V", "mtools"),
    ("mke2fs", "-V", "e2fsprogs"),
    ("mksquashfs", "-version", "squashfs-tools"),
];

/// The version line of each tool.
///
/// # Errors
/// Naming every tool that is missing at once, with the package that brings it.
pub fn versions() -> anyhow::Result<BTreeMap<String, String>> {
    let missing: Vec<_> = TOOLS
        .iter()
        .filter(|(tool, ..)| postern_agent::host::command::find(tool.as_ref()).is_none())
        .collect();
    if !missing.is_empty() {
        let tools: Vec<_> = missing.iter().map(|(tool, ..)| *tool).collect();
        let packages: Vec<_> = missing.iter().map(|(.., package)| *package).collect();
        anyhow::bail!(
            "these tools are not installed: {}\n  help: install {}",
            tools.join(", "),
            packages.join(" ")
        );
    }
    TOOLS
        .iter()
        .map(|(tool, flag, _)| version(tool, flag))
        .collect()
}

fn version(tool: &str, flag: &str) -> anyhow::Result<(String, String)> {
    let output = Command::new(tool).arg(flag).run_unchecked()?;
    // Some exit with 1 after telling it, some tell it on standard error.
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let line = said
        .lines()
        .find(|l| l.contains(|c: char| c.is_ascii_digit()));
    let line = line.with_context(|| format!("asking {tool} for its version"))?;
    Ok((tool.to_owned(), line.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_tool_tells_its_version() {
        let versions = super::versions().unwrap();
        assert_eq!(versions.len(), super::TOOLS.len());
        assert!(
            versions["mksquashfs"].contains("mksquashfs version"),
            "{versions:?}"
        );
    }
}
