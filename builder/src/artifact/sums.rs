//! `SHA256SUMS`, in the form that `sha256sum --check` reads.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use fs_err as fs;
use postern_contract::digest::Digest;

use super::manifest::inside;

/// Digests by path.
pub(super) type Sums = BTreeMap<String, Digest>;

/// The file's text.
pub(super) fn render(sums: &Sums) -> String {
    let line = |(path, digest): (&String, &Digest)| format!("{digest}  {path}\n");
    sums.iter().map(line).collect()
}

/// Reads the text back.
///
/// # Errors
/// One clause naming the first malformed line.
pub(super) fn parse(text: &str) -> Result<Sums, String> {
    text.lines()
        .enumerate()
        .map(|(i, line)| {
            let (digest, path) = line.split_once("  ").unwrap_or_default();
            match digest.parse() {
                Ok(digest) if inside(path) => Ok((path.to_owned(), digest)),
                _ => Err(format!("line {} is not a digest and a path", i + 1)),
            }
        })
        .collect()
}

/// Digest of a file.
pub(super) fn digest(path: &Path) -> io::Result<Digest> {
    Ok(Digest::of_reader(fs::File::open(path)?)?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_and_refuses_what_points_elsewhere() {
        let sums = Sums::from([
            ("a".to_owned(), Digest::of(b"a")),
            ("update/b".to_owned(), Digest::of(b"b")),
        ]);
        assert_eq!(parse(&render(&sums)).unwrap(), sums);
        let elsewhere = format!("{}  ../b\n", "f".repeat(64));
        assert!(parse(&elsewhere).unwrap_err().contains("line 1"));
        assert!(parse("x").is_err());
    }
}
