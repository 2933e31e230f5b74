//! From the root directory to every name.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::inode::{self, Body, Inode};
use super::metadata::Metadata;
use super::superblock::{Place, XattrTable};
use super::{Entry, Image, Kind, Listing, damaged};
use crate::tree::TreePath;

/// Bytes of a directory that has no names: for `.` and `..`, which are not written.
const EMPTY: u32 = 3;
/// Longest value of an extended attribute, `XATTR_SIZE_MAX` (`linux/limits.h`).
const MAX_VALUE_BYTES: usize = 64 << 10;
/// Set in the type of an attribute whose value is out of line.
const OUT_OF_LINE: u16 = 1 << 8;

/// A name in a directory and the place of its inode.
struct Named {
    name: Vec<u8>,
    inode: Place,
}

struct Walk<'i, 'a> {
    image: &'i Image<'a>,
    metadata: Metadata<'a>,
    xattrs: Option<XattrTable>,
    /// Directories seen: each has one name.
    seen: BTreeSet<u32>,
    entries: BTreeMap<TreePath, Entry>,
}

pub(super) fn list(image: &Image<'_>) -> io::Result<Listing> {
    let mut metadata = Metadata::new(image.source);
    let xattrs = image.superblock.xattrs(&mut metadata)?;
    let mut walk = Walk {
        image,
        metadata,
        xattrs,
        seen: BTreeSet::new(),
        entries: BTreeMap::new(),
    };
    let inode = walk.inode(image.superblock.root)?;
    let Body::Dir(place, size) = inode.body else {
        return Err(damaged("its root is not a directory"));
    };
    walk.seen.insert(inode.number);
    let root = walk.entry(inode, Kind::Dir)?;
    let mut todo = vec![(None, place, size)];
    while let Some((path, place, size)) = todo.pop() {
        for named in walk.names(place, size)? {
            let path = child(path.as_ref(), &named.name)?;
            let mut inode = walk.inode(named.inode)?;
            let kind = match std::mem::replace(&mut inode.body, Body::Leaf(Kind::Dir)) {
                Body::Leaf(kind) => kind,
                Body::Dir(place, size) => {
                    if !walk.seen.insert(inode.number) {
                        return Err(damaged(format!("{path} is a directory with two names")));
                    }
                    todo.push((Some(path.clone()), place, size));
                    Kind::Dir
                }
            };
            let entry = walk.entry(inode, kind)?;
            if walk.entries.insert(path.clone(), entry).is_some() {
                return Err(damaged(format!("{path} is there twice")));
            }
        }
    }
    let entries = walk.entries;
    Ok(Listing { root, entries })
}

fn child(parent: Option<&TreePath>, name: &[u8]) -> io::Result<TreePath> {
    if name.contains(&b'/') {
        return Err(damaged("a name with a slash"));
    }
    let path = match parent {
        Some(parent) => parent.join(name),
        None => TreePath::new(name),
    };
    path.map_err(|error| damaged(format!("a name that cannot be: {error}")))
}

impl Walk<'_, '_> {
    fn inode(&mut self, place: Place) -> io::Result<Inode> {
        let superblock = &self.image.superblock;
        let block = superblock.inode_table.saturating_add(place.block);
        let mut stream = self.metadata.at(block, place.offset);
        let inode = inode::read(&mut stream, superblock.block_size)?;
        if inode.number == 0 || inode.number > superblock.inodes {
            return Err(damaged("an inode number beyond the last"));
        }
        Ok(inode)
    }

    /// The names of a directory: runs of entries that share a block of inodes.
    fn names(&mut self, place: Place, size: u32) -> io::Result<Vec<Named>> {
        let table = self.image.superblock.directory_table;
        let block = table.saturating_add(place.block);
        let mut stream = self.metadata.at(block, place.offset);
        let mut left = u64::from(size.saturating_sub(EMPTY));
        let mut found = Vec::new();
        while left > 0 {
            let count = u64::from(stream.u32()?) + 1;
            let block = u64::from(stream.u32()?);
            stream.u32()?; // number of the first inode
            let mut taken = 12;
            for _ in 0..count {
                let offset = stream.u16()?;
                stream.i16()?; // number of this inode, from the first
                stream.u16()?; // type, which the inode says again
                let size = usize::from(stream.u16()?) + 1;
                let name = stream.bytes(size, 256)?;
                taken += 8 + size as u64;
                let inode = Place { block, offset };
                found.push(Named { name, inode });
                if taken > left {
                    return Err(damaged("a directory longer than it says"));
                }
            }
            left -= taken;
        }
        Ok(found)
    }

    fn entry(&mut self, inode: Inode, kind: Kind) -> io::Result<Entry> {
        let id = |index: u16| {
            let id = self.image.ids.get(usize::from(index)).copied();
            id.ok_or_else(|| damaged("an owner that is not in its table"))
        };
        let (uid, gid) = (id(inode.owner)?, id(inode.group)?);
        let xattrs = match inode.xattrs {
            Some(index) => self.xattrs(index)?,
            None => BTreeMap::new(),
        };
        Ok(Entry {
            kind,
            mode: inode.mode,
            uid,
            gid,
            mtime: inode.mtime,
            inode: inode.number,
            xattrs,
        })
    }

    fn xattrs(&mut self, index: u32) -> io::Result<BTreeMap<String, Vec<u8>>> {
        let missing = || damaged("an extended attribute that is not in its table");
        let table = self.xattrs.as_ref().ok_or_else(missing)?;
        let (place, count) = *table.sets.get(index as usize).ok_or_else(missing)?;
        let start = table.start;
        let mut stream = self
            .metadata
            .at(start.saturating_add(place.block), place.offset);
        let mut found = Vec::new();
        for _ in 0..count {
            let kind = stream.u16()?;
            let size = usize::from(stream.u16()?);
            let name = stream.bytes(size, 256)?;
            let size = stream.u32()? as usize;
            let value = stream.bytes(size, MAX_VALUE_BYTES)?;
            found.push((kind, name, value));
        }
        let mut xattrs = BTreeMap::new();
        for (kind, name, mut value) in found {
            let prefix = match kind & !OUT_OF_LINE {
                0 => "user.",
                1 => "trusted.",
                2 => "security.",
                _ => return Err(damaged("an extended attribute of unknown kind")),
            };
            if kind & OUT_OF_LINE != 0 {
                let place = <[u8; 8]>::try_from(value).map_err(|_| missing())?;
                value = self.value(start, Place::from(u64::from_le_bytes(place)))?;
            }
            let name = format!("{prefix}{}", String::from_utf8_lossy(&name));
            xattrs.insert(name, value);
        }
        Ok(xattrs)
    }

    /// A value that several inodes share.
    fn value(&mut self, start: u64, place: Place) -> io::Result<Vec<u8>> {
        let block = start.saturating_add(place.block);
        let mut stream = self.metadata.at(block, place.offset);
        let size = stream.u32()? as usize;
        stream.bytes(size, MAX_VALUE_BYTES)
    }
}
