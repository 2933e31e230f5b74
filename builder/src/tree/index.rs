//! Reading a layer: the headers of an uncompressed tar become entries, the
//! contents stay where they are.
//!
//! ustar, GNU (long names, base-256 numbers) and pax are read; sparse files
//! and everything that cannot be kept in full is refused.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tar::{EntryType, Header};

use super::content::{Content, Source};
use super::model::{Device, Entry, Kind, Layer};
use super::path::{PathError, Printable, TreePath};
use super::pax::{Extended, PaxError};

/// tar's unit.
const BLOCK: u64 = 512;
/// Most bytes of an extended header or long name. Linux keeps at most 64 KiB per
/// extended attribute (`XATTR_SIZE_MAX`) and 4 KiB per name.
const MAX_EXTENDED_BYTES: u64 = 1 << 20;
/// A name that removes its neighbour (OCI image-spec, layer.md, "Whiteouts").
pub(super) const WHITEOUT: &[u8] = b".wh.";

/// Why a layer cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("reading layer {layer}, {member} at byte {offset}")]
pub struct LayerReadError {
    /// The layer.
    pub layer: String,
    /// The member as the archive names it, or `header`.
    pub member: String,
    /// Where its header starts.
    pub offset: u64,
    /// What is wrong with it.
    #[source]
    pub reason: MemberReason,
}

/// What is wrong with a member.
#[derive(Debug, thiserror::Error)]
pub enum MemberReason {
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The archive ends in the middle.
    #[error("the archive is cut short")]
    Truncated,
    /// Not a tar header.
    #[error("this is not a tar header (its checksum is wrong)")]
    Checksum,
    /// A number field holds none.
    #[error("its {0} is not a number that fits")]
    Number(&'static str),
    /// A name that leaves the tree or cannot exist.
    #[error(transparent)]
    Path(#[from] PathError),
    /// An extended header.
    #[error(transparent)]
    Pax(#[from] PaxError),
    /// An extended header that is too large.
    #[error("its extended header or long name has {0} bytes, more than any file system keeps")]
    Oversized(u64),
    /// The same name twice.
    #[error("the archive has this name twice")]
    Duplicate,
    /// The root is not a directory.
    #[error("the root is not a directory")]
    Root,
    /// A hard link to something that did not come before it.
    #[error("it is a hard link to `{0}`, which the layer does not have before it")]
    DanglingLink(String),
    /// A kind of member with no place in a tree.
    #[error("it is of type `{0}`, which a layer cannot hold")]
    Type(String),
    /// A whiteout with data, one that removes nothing, or an opaque one.
    #[error("it is a malformed or unsupported whiteout")]
    Whiteout,
    /// A member inside something that is not a directory.
    #[error("it is inside `{0}`, which is not a directory in this layer")]
    NotADirectory(String),
}

impl Layer {
    /// Reads the layer in the tar file at `path`. The file stays open.
    ///
    /// # Errors
    /// [`LayerReadError`] naming the first member that is refused.
    pub fn open(name: &str, path: &Path) -> Result<Self, LayerReadError> {
        let source = Source::open(path).map_err(|error| LayerReadError {
            layer: name.to_owned(),
            member: "header".to_owned(),
            offset: 0,
            reason: error.into(),
        })?;
        Self::index(name, &source)
    }

    /// Reads the layer in these bytes of a tar file.
    ///
    /// # Errors
    /// [`LayerReadError`] naming the first member that is refused.
    #[cfg(test)]
    pub fn from_tar(name: &str, tar: impl Into<Vec<u8>>) -> Result<Self, LayerReadError> {
        Self::index(name, &Arc::new(Source::Memory(tar.into())))
    }

    fn index(name: &str, source: &Arc<Source>) -> Result<Self, LayerReadError> {
        let layer = Layer {
            name: name.to_owned(),
            ..Layer::default()
        };
        let mut reader = Reader {
            source,
            at: 0,
            member: Vec::new(),
            layer,
        };
        loop {
            let offset = reader.at;
            reader.member.clear();
            match reader.member() {
                Ok(true) => {}
                Ok(false) => return Ok(reader.layer),
                Err(reason) => {
                    let member = match &reader.member[..] {
                        [] => "header".to_owned(),
                        name => format!("member `{}`", Printable(name)),
                    };
                    return Err(LayerReadError {
                        layer: name.to_owned(),
                        member,
                        offset,
                        reason,
                    });
                }
            }
        }
    }
}

struct Reader<'a> {
    source: &'a Arc<Source>,
    at: u64,
    /// Name of the member in hand, for errors.
    member: Vec<u8>,
    layer: Layer,
}

impl Reader<'_> {
    /// Reads one member with the headers before it; false at the end.
    fn member(&mut self) -> Result<bool, MemberReason> {
        let mut extended = Extended::default();
        let mut described = false;
        loop {
            let Some(header) = self.header()? else {
                // Extended headers without a member: the archive is cut.
                return if described {
                    Err(MemberReason::Truncated)
                } else {
                    Ok(false)
                };
            };
            let size = header
                .entry_size()
                .map_err(|_| MemberReason::Number("size"))?;
            described = true;
            match header.entry_type() {
                EntryType::XHeader => extended.add(&self.extension(size)?)?,
                EntryType::GNULongName => extended.path = Some(self.long_name(size)?),
                EntryType::GNULongLink => extended.linkpath = Some(self.long_name(size)?),
                EntryType::XGlobalHeader => self.global(size)?,
                _ => {
                    self.add(&header, extended)?;
                    return Ok(true);
                }
            }
        }
    }

    fn header(&mut self) -> Result<Option<Header>, MemberReason> {
        let mut header = Header::new_old();
        self.read(header.as_mut_bytes())?;
        let bytes = header.as_bytes();
        if bytes.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        // The checksum is over the header with its own field as spaces.
        let sum = |part: &[u8]| part.iter().map(|byte| u32::from(*byte)).sum::<u32>();
        let expected = sum(&bytes[..148]) + 8 * u32::from(b' ') + sum(&bytes[156..]);
        match header.cksum() {
            Ok(found) if found == expected => Ok(Some(header)),
            _ => Err(MemberReason::Checksum),
        }
    }

    fn read(&mut self, buf: &mut [u8]) -> Result<(), MemberReason> {
        match self.source.read_exact_at(buf, self.at) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(MemberReason::Truncated);
            }
            Err(e) => return Err(e.into()),
        }
        self.at += buf.len() as u64;
        Ok(())
    }

    fn extension(&mut self, size: u64) -> Result<Vec<u8>, MemberReason> {
        if size > MAX_EXTENDED_BYTES {
            return Err(MemberReason::Oversized(size));
        }
        let mut bytes = vec![0; size as usize];
        self.read(&mut bytes)?;
        self.at = self.at.next_multiple_of(BLOCK);
        Ok(bytes)
    }

    fn long_name(&mut self, size: u64) -> Result<Vec<u8>, MemberReason> {
        let mut name = self.extension(size)?;
        if name.last() == Some(&0) {
            name.pop();
        }
        Ok(name)
    }

    /// A header for all members may comment, nothing else.
    fn global(&mut self, size: u64) -> Result<(), MemberReason> {
        let mut all = Extended::default();
        all.add(&self.extension(size)?)?;
        if all == Extended::default() {
            return Ok(());
        }
        Err(MemberReason::Type("global extended header".to_owned()))
    }

    fn add(&mut self, header: &Header, extended: Extended) -> Result<(), MemberReason> {
        let name = match extended.path {
            Some(name) => name,
            None => header.path_bytes().into_owned(),
        };
        self.member.clone_from(&name);
        let path = TreePath::of_member(&name)?;
        let offset = self.at;
        let size = data_size(header, extended.size)?;
        let padded = size.checked_next_multiple_of(BLOCK);
        let end = padded.and_then(|padded| offset.checked_add(padded));
        self.at = end.ok_or(MemberReason::Number("size"))?;
        if self.at > self.source.size()? {
            return Err(MemberReason::Truncated);
        }
        let target = match extended.linkpath {
            Some(target) => target,
            None => header.link_name_bytes().unwrap_or_default().into_owned(),
        };
        let number = |value: Option<u64>, field: io::Result<u64>, what| {
            let value = value.or(field.ok()).ok_or(MemberReason::Number(what))?;
            u32::try_from(value).map_err(|_| MemberReason::Number(what))
        };
        let Some(path) = path else {
            return if header.entry_type() == EntryType::Directory {
                Ok(())
            } else {
                Err(MemberReason::Root)
            };
        };
        let content = Content::at(self.source, offset, size);
        if header.entry_type() == EntryType::Link {
            let linked = self.linked(&target)?;
            return self.insert(path, linked);
        }
        let entry = Entry {
            kind: kind(header, content, target)?,
            mode: header.mode().map_err(|_| MemberReason::Number("mode"))? & 0o7777,
            uid: number(extended.uid, header.uid(), "owner")?,
            gid: number(extended.gid, header.gid(), "group")?,
            mtime: match extended.mtime {
                Some(mtime) => mtime,
                None => header.mtime().map_err(|_| MemberReason::Number("time"))?,
            },
            xattrs: extended.xattrs,
        };
        self.insert(path, entry)
    }

    /// What a hard link shares. A link to something that is not a file (GNU tar
    /// makes them of symbolic links) becomes a copy of it.
    fn linked(&self, target: &[u8]) -> Result<Entry, MemberReason> {
        let dangling = || MemberReason::DanglingLink(Printable(target).to_string());
        let to = TreePath::of_member(target)?.ok_or_else(dangling)?;
        let entry = self.layer.entries.get(&to).ok_or_else(dangling)?;
        if entry.kind.is_dir() {
            return Err(dangling());
        }
        Ok(entry.clone())
    }

    fn insert(&mut self, path: TreePath, entry: Entry) -> Result<(), MemberReason> {
        if path.name().starts_with(WHITEOUT) {
            return self.whiteout(&path, &entry);
        }
        // Members may come in any order, so a bad parent is found from both sides.
        for above in path.ancestors() {
            if self
                .layer
                .entries
                .get(&above)
                .is_some_and(|e| !e.kind.is_dir())
            {
                return Err(MemberReason::NotADirectory(above.to_string()));
            }
        }
        if !entry.kind.is_dir() && path.below(&self.layer.entries).next().is_some() {
            return Err(MemberReason::NotADirectory(path.to_string()));
        }
        match self.layer.entries.insert(path, entry) {
            None => Ok(()),
            Some(_) => Err(MemberReason::Duplicate),
        }
    }

    fn whiteout(&mut self, path: &TreePath, entry: &Entry) -> Result<(), MemberReason> {
        if !matches!(&entry.kind, Kind::File(content) if content.size() == 0) {
            return Err(MemberReason::Whiteout);
        }
        let name = &path.name()[WHITEOUT.len()..];
        let hidden = match path.parent() {
            // `.wh..wh..opq` empties its directory: no layer of ours has one.
            _ if name.starts_with(WHITEOUT) => return Err(MemberReason::Whiteout),
            Some(parent) => parent.join(name),
            None => TreePath::new(name),
        };
        let hidden = hidden.map_err(|_| MemberReason::Whiteout)?;
        match self.layer.whiteouts.insert(hidden) {
            true => Ok(()),
            false => Err(MemberReason::Duplicate),
        }
    }
}

/// Bytes of data after the header. Only files have any, whatever a link's header says.
fn data_size(header: &Header, extended: Option<u64>) -> Result<u64, MemberReason> {
    let size = match extended {
        Some(size) => size,
        None => header
            .entry_size()
            .map_err(|_| MemberReason::Number("size"))?,
    };
    match header.entry_type() {
        EntryType::Regular | EntryType::Continuous => Ok(size),
        EntryType::GNUSparse => Err(PaxError::Sparse.into()),
        // POSIX lets a link carry data; nobody writes that, and readers disagree.
        _ if size != 0 => Err(MemberReason::Number(
            "size (data after something that is no file)",
        )),
        _ => Ok(0),
    }
}

fn kind(header: &Header, content: Content, target: Vec<u8>) -> Result<Kind, MemberReason> {
    let device = || {
        let number = |n: io::Result<Option<u32>>| {
            n.ok()
                .flatten()
                .ok_or(MemberReason::Number("device number"))
        };
        Ok::<_, MemberReason>(Device {
            major: number(header.device_major())?,
            minor: number(header.device_minor())?,
        })
    };
    Ok(match header.entry_type() {
        // Before POSIX a directory was a file with a slash at its end.
        EntryType::Regular
            if header.as_ustar().is_none()
                && header.as_gnu().is_none()
                && header.path_bytes().ends_with(b"/") =>
        {
            Kind::Dir
        }
        EntryType::Regular | EntryType::Continuous => Kind::File(content),
        EntryType::Directory => Kind::Dir,
        EntryType::Symlink => Kind::Symlink(target),
        EntryType::Char => Kind::CharDevice(device()?),
        EntryType::Block => Kind::BlockDevice(device()?),
        EntryType::Fifo => Kind::Fifo,
        other => return Err(MemberReason::Type(char::from(other.as_byte()).to_string())),
    })
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
