//! One tree or layer as one tar, the same bytes every time.
//!
//! Members are ustar in the order of their path bytes, owners are numbers
//! only, and a pax header is written just where ustar is too small: names over
//! 100 bytes, extended attributes, numbers over 21 bits (33 for sizes and times).

use std::collections::BTreeMap;
use std::io::{self, Write};

use postern_contract::digest::{Digest, Hasher};
use tar::{EntryType, Header};

use super::content::Content;
use super::index::WHITEOUT;
use super::model::{Device, Entry, FirstNames, Kind, Layer, Tree};
use super::path::TreePath;
use super::pax;

/// tar's unit.
const BLOCK: usize = 512;
/// Archives end with two empty blocks (POSIX.1-2017, pax, "ustar Interchange Format").
const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];
/// Bytes in ustar's name and link name fields.
const NAME: usize = 100;
/// Largest owner in seven octal digits.
const ID_MAX: u64 = 0o777_7777;
/// Largest size and time in eleven octal digits.
const NUMBER_MAX: u64 = 0o777_7777_7777;

impl Tree {
    /// Writes the tree as a tar archive; contents are copied from the layers.
    /// The root directory itself is not a member.
    ///
    /// # Errors
    /// Any I/O error, naming the path at fault.
    pub fn write_tar(&self, out: &mut impl Write) -> io::Result<()> {
        for (path, node, link) in self.links() {
            write_entry(out, path, &node.entry, link).map_err(|e| naming(path, &node.layer, &e))?;
        }
        out.write_all(&END)
    }
}

impl Layer {
    /// Writes the layer as a tar archive, whiteouts included;
    /// [`Layer::open`] reads the same layer back.
    ///
    /// # Errors
    /// Any I/O error, naming the path at fault.
    pub fn write_tar(&self, out: &mut impl Write) -> io::Result<()> {
        let mut members: BTreeMap<TreePath, Entry> = self.entries.clone();
        let empty = || Entry::of_root(Kind::File(Content::from_bytes([])), 0o644, 0);
        for path in &self.whiteouts {
            let name = [WHITEOUT, path.name()].concat();
            let whiteout = match path.parent() {
                Some(parent) => parent.join(name),
                None => TreePath::new(name),
            };
            members.insert(whiteout.map_err(io::Error::other)?, empty());
        }
        let mut names = FirstNames::default();
        for (path, entry) in &members {
            let link = names.link(path, entry);
            write_entry(out, path, entry, link).map_err(|e| naming(path, &self.name, &e))?;
        }
        out.write_all(&END)
    }
}

impl Layer {
    /// Digest of all that the layer holds: names, attributes, contents, whiteouts.
    ///
    /// # Errors
    /// Any I/O error, naming the path at fault.
    pub fn digest(&self) -> io::Result<Digest> {
        let mut hasher = Hasher::default();
        self.write_tar(&mut hasher)?;
        Ok(hasher.digest())
    }
}

fn naming(path: &TreePath, layer: &str, error: &io::Error) -> io::Error {
    io::Error::new(
        error.kind(),
        format!("copying {path} of layer {layer}: {error}"),
    )
}

fn write_entry(
    out: &mut impl Write,
    path: &TreePath,
    entry: &Entry,
    link: Option<&TreePath>,
) -> io::Result<()> {
    let mut header = Header::new_ustar();
    let mut extended = Vec::new();
    let (kind, target, content) = match (&entry.kind, link) {
        (_, Some(first)) => (EntryType::Link, first.as_bytes(), None),
        (Kind::File(content), None) => (EntryType::Regular, &b""[..], Some(content)),
        (Kind::Dir, _) => (EntryType::Directory, &b""[..], None),
        (Kind::Symlink(target), _) => (EntryType::Symlink, &target[..], None),
        (Kind::CharDevice(_), _) => (EntryType::Char, &b""[..], None),
        (Kind::BlockDevice(_), _) => (EntryType::Block, &b""[..], None),
        (Kind::Fifo, _) => (EntryType::Fifo, &b""[..], None),
    };
    header.set_entry_type(kind);
    if let Kind::CharDevice(device) | Kind::BlockDevice(device) = &entry.kind {
        set_device(&mut header, *device)?;
    }
    let mut name = path.as_bytes().to_owned();
    if kind == EntryType::Directory {
        name.push(b'/');
    }
    let raw = header.as_old_mut();
    text(&mut raw.name, &name, "path", &mut extended);
    text(&mut raw.linkname, target, "linkpath", &mut extended);
    let size = content.map_or(0, Content::size);
    let mut number = |key, value: u64, max| {
        if value <= max {
            return value;
        }
        pax::push(&mut extended, key, value.to_string().as_bytes());
        0
    };
    header.set_uid(number("uid", entry.uid.into(), ID_MAX));
    header.set_gid(number("gid", entry.gid.into(), ID_MAX));
    header.set_size(number("size", size, NUMBER_MAX));
    header.set_mtime(number("mtime", entry.mtime, NUMBER_MAX));
    header.set_mode(entry.mode & 0o7777);
    // A link shares its file's attributes; repeating them would only invite disagreement.
    for (key, value) in entry.xattrs.iter().filter(|_| link.is_none()) {
        pax::push(&mut extended, &format!("{}{key}", pax::XATTR), value);
    }
    if !extended.is_empty() {
        write_extended(out, &extended)?;
    }
    header.set_cksum();
    out.write_all(header.as_bytes())?;
    if let Some(content) = content {
        content.copy_to(out)?;
        pad(out, content.size())?;
    }
    Ok(())
}

/// Puts `value` into a header field, or the start of it and all of it into a record.
fn text(field: &mut [u8; NAME], value: &[u8], key: &str, extended: &mut Vec<u8>) {
    if value.len() > NAME {
        pax::push(extended, key, value);
    }
    let fits = value.len().min(NAME);
    field[..fits].copy_from_slice(&value[..fits]);
}

fn set_device(header: &mut Header, device: Device) -> io::Result<()> {
    header.set_device_major(device.major)?;
    header.set_device_minor(device.minor)
}

fn write_extended(out: &mut impl Write, records: &[u8]) -> io::Result<()> {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::XHeader);
    let name = b"PaxHeaders/x";
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(records.len() as u64);
    header.set_cksum();
    out.write_all(header.as_bytes())?;
    out.write_all(records)?;
    pad(out, records.len() as u64)
}

fn pad(out: &mut impl Write, written: u64) -> io::Result<()> {
    let over = (written % BLOCK as u64) as usize;
    if over == 0 {
        return Ok(());
    }
    out.write_all(&END[..BLOCK - over])
}

#[cfg(test)]
#[path = "write_tests.rs"]
mod tests;
