//! `SHA256SUMS`, in the form that `sha256sum --check` reads.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::manifest::{inside, is_digest};
use crate::extent::{FileBytes, ReadAt};

/// Digests by path.
pub(super) type Sums = BTreeMap<String, String>;

/// The file's text.
pub(super) fn render(sums: &Sums) -> String {
    let line = |(path, digest): (&String, &String)| format!("{digest}  {path}\n");
    sums.iter().map(line).collect()
}

/// Reads the text back.
///
/// # Errors
/// One clause naming the first line that is none of ours.
pub(super) fn parse(text: &str) -> Result<Sums, String> {
    text.lines()
        .enumerate()
        .map(|(i, line)| match line.split_once("  ") {
            Some((digest, path)) if is_digest(digest) && inside(path) => {
                Ok((path.to_owned(), digest.to_owned()))
            }
            _ => Err(format!("line {} is no digest and path", i + 1)),
        })
        .collect()
}

/// Size in bytes and SHA-256 of a file.
pub(super) fn digest(path: &Path) -> io::Result<(u64, String)> {
    let file = FileBytes::open(path)?;
    let mut buffer = vec![0; 1 << 20];
    let mut hash = Sha256::new();
    let mut at = 0;
    while at < file.size() {
        let left = usize::try_from(file.size() - at).unwrap_or(usize::MAX);
        let part = &mut buffer[..left.min(1 << 20)];
        file.read_exact_at(part, at)?;
        hash.update(&*part);
        at += part.len() as u64;
    }
    Ok((at, hex::encode(hash.finalize())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_and_refuses_what_points_elsewhere() {
        let sums = Sums::from([
            ("a".to_owned(), "0".repeat(64)),
            ("update/b".to_owned(), "f".repeat(64)),
        ]);
        assert_eq!(parse(&render(&sums)).unwrap(), sums);
        let elsewhere = format!("{}  ../b\n", "f".repeat(64));
        assert!(parse(&elsewhere).unwrap_err().contains("line 1"));
        assert!(parse("x").is_err());
    }
}
