//! A tree as text, one line an entry: what snapshots and people compare.
//!
//! `mode owner:group size path [→ target] [= hard link] [attributes] [digest]`

use std::io::{self, Write};

use postern_contract::digest::Hasher;

use super::content::Content;
use super::model::{Entry, Kind, Tree};
use super::path::Printable;

/// Hex digits of a file's SHA-256 that are shown.
const DIGITS: usize = 12;

impl Tree {
    /// The tree as text. Reads every file once.
    pub fn to_text(&self) -> io::Result<String> {
        let mut out = Vec::new();
        for (path, node, link) in self.links() {
            let entry = &node.entry;
            write!(out, "{} {}:{}", mode(entry), entry.uid, entry.gid)?;
            match &entry.kind {
                Kind::File(content) => write!(out, " {} {path}", content.size())?,
                Kind::CharDevice(d) | Kind::BlockDevice(d) => {
                    write!(out, " {},{} {path}", d.major, d.minor)?;
                }
                Kind::Symlink(target) => write!(out, " - {path} → {}", Printable(target))?,
                Kind::Dir | Kind::Fifo => write!(out, " - {path}")?,
            }
            for (name, value) in &entry.xattrs {
                write!(out, " {name}={}", hex::encode(value))?;
            }
            match (&entry.kind, link) {
                (_, Some(first)) => write!(out, " = {first}")?,
                (Kind::File(content), None) => write!(out, " sha256:{}", digest(content)?)?,
                _ => {}
            }
            writeln!(out)?;
        }
        Ok(String::from_utf8_lossy(&out).into_owned())
    }
}

fn digest(content: &Content) -> io::Result<String> {
    let mut hasher = Hasher::default();
    content.copy_to(&mut hasher)?;
    Ok(hasher.digest().to_string()[..DIGITS].to_owned())
}

/// Type and permissions as `ls -l` shows them.
fn mode(entry: &Entry) -> String {
    let kind = match entry.kind {
        Kind::File(_) => '-',
        Kind::Dir => 'd',
        Kind::Symlink(_) => 'l',
        Kind::CharDevice(_) => 'c',
        Kind::BlockDevice(_) => 'b',
        Kind::Fifo => 'p',
    };
    let mut text = String::from(kind);
    for (shift, special, set, unset) in [
        (6, 0o4000, 's', 'S'),
        (3, 0o2000, 's', 'S'),
        (0, 0o1000, 't', 'T'),
    ] {
        let bits = entry.mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (bits & 1 != 0, entry.mode & special != 0) {
            (true, true) => set,
            (false, true) => unset,
            (true, false) => 'x',
            (false, false) => '-',
        });
    }
    text
}
