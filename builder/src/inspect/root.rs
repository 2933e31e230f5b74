//! The root file system: its names, and the text of small files.

use std::cell::RefCell;
use std::io;

use crate::fs::unsquash::{Contents, Entry, Image, Kind, Listing};
use crate::tree::TreePath;

/// Largest file that is read whole: the dpkg database of a large system has some
/// MiB.
const MAX_FILE_BYTES: u64 = 64 << 20;
/// Most symbolic links that are followed for a path, as in Linux (`MAXSYMLINKS`).
const MAX_SYMLINKS: usize = 40;

/// The root file system of an image.
pub struct Root<'i> {
    listing: Listing,
    contents: RefCell<Contents<'i>>,
}

impl<'i> Root<'i> {
    /// Lists the image.
    ///
    /// # Errors
    /// If it is damaged.
    pub fn open(image: &'i Image<'i>) -> io::Result<Self> {
        Ok(Self {
            listing: image.list()?,
            contents: RefCell::new(image.contents()?),
        })
    }

    /// All entries, in the order of path bytes.
    pub fn iter(&self) -> impl Iterator<Item = (&TreePath, &Entry)> {
        self.listing.entries.iter()
    }

    /// The entries directly in the directory at `path`; none if it does not exist.
    pub fn children(&self, path: &str) -> impl Iterator<Item = (&TreePath, &Entry)> {
        let dir = TreePath::new(path).ok();
        dir.into_iter().flat_map(|dir| {
            let entries = self.listing.entries.range(dir.clone()..).skip(1);
            // In the order of bytes `dir-x` stands between `dir` and `dir/x`.
            let prefix = dir.clone();
            entries
                .take_while(move |(path, _)| path.as_bytes().starts_with(prefix.as_bytes()))
                .filter(move |(path, _)| path.parent().as_ref() == Some(&dir))
        })
    }

    /// The entry at `path`; follows symbolic links inside the image.
    pub fn get(&self, path: &str) -> Option<&Entry> {
        let mut path = TreePath::new(path).ok()?;
        for _ in 0..MAX_SYMLINKS {
            let link = path.ancestors().chain([path.clone()]).find_map(|part| {
                let entry = self.listing.entries.get(&part)?;
                match &entry.kind {
                    Kind::Symlink(target) => Some((part, target)),
                    _ => None,
                }
            });
            let Some((link, target)) = link else {
                return self.listing.entries.get(&path);
            };
            let rest = &path.as_bytes()[link.as_bytes().len()..];
            path = resolve(&link, target, rest)?;
        }
        None
    }

    /// The bytes of the file at `path`, or `None` if there is no file.
    ///
    /// # Errors
    /// If it cannot be read, or is larger than 64 MiB.
    pub fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        match self.get(path).map(|entry| &entry.kind) {
            Some(Kind::File(file)) => self
                .contents
                .borrow_mut()
                .read(file, MAX_FILE_BYTES)
                .map(Some),
            _ => Ok(None),
        }
    }

    /// The first bytes of the file at `path`, at most `limit`.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn head(&self, path: &str, limit: u64) -> io::Result<Option<Vec<u8>>> {
        use io::Read;
        let Some(Kind::File(file)) = self.get(path).map(|entry| &entry.kind) else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        let mut contents = self.contents.borrow_mut();
        contents.open(file).take(limit).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// The file at `path` as text, empty if there is none; bytes that are not UTF-8 are
    /// replaced.
    ///
    /// # Errors
    /// See [`Root::read`].
    pub fn text(&self, path: &str) -> io::Result<String> {
        let bytes = self.read(path)?.unwrap_or_default();
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// The target of a link at `link` to `target`, with `rest` appended.
fn resolve(link: &TreePath, target: &[u8], rest: &[u8]) -> Option<TreePath> {
    let mut parts: Vec<&[u8]> = Vec::new();
    let parent = link.parent();
    if !target.starts_with(b"/") {
        let parent = parent.as_ref().map_or(&b""[..], TreePath::as_bytes);
        parts.extend(parent.split(|b| *b == b'/'));
    }
    let components = target
        .split(|b| *b == b'/')
        .chain(rest.split(|b| *b == b'/'));
    for part in components {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.retain(|part| !part.is_empty());
    TreePath::new(parts.join(&b'/')).ok()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::extent::FileBytes;
    use crate::fs::squashfs;
    use crate::layer::LayerBuilder;
    use crate::tools::Tools;
    use crate::tree::{MergePolicy, Tree, merge};

    /// Runs `look` on an image of `tree`.
    pub(in crate::inspect) fn with_tree<T>(tree: &Tree, look: impl FnOnce(&Root<'_>) -> T) -> T {
        let file = tempfile::NamedTempFile::new().unwrap();
        let options = squashfs::Options::default();
        squashfs::write(tree, file.path(), &options, &Tools::of_host()).unwrap();
        let bytes = FileBytes::open(file.path()).unwrap();
        let image = Image::open(&bytes).unwrap();
        look(&Root::open(&image).unwrap())
    }

    /// Runs `look` on an image of the layer that `fill` makes.
    pub(in crate::inspect) fn with_root<T>(
        fill: impl FnOnce(&mut LayerBuilder),
        look: impl FnOnce(&Root<'_>) -> T,
    ) -> T {
        let mut layer = LayerBuilder::new("test", 9);
        fill(&mut layer);
        let site = layer.finish();
        let tree = merge([(&site.layer, &MergePolicy::AddOnly)], 9).unwrap();
        with_tree(&tree, look)
    }

    #[test]
    fn links_are_followed_inside_the_image() {
        let fill = |layer: &mut LayerBuilder| {
            layer.add_file("/usr/lib/a/file", 0o644, "text").unwrap();
            layer.add_symlink("/lib", "usr/lib").unwrap();
            layer.add_symlink("/etc/abs", "/lib/a/file").unwrap();
            layer.add_symlink("/etc/up", "../../lib/a").unwrap();
            layer.add_symlink("/etc/round", "round").unwrap();
            layer.add_symlink("/etc/out", "/nowhere").unwrap();
        };
        with_root(fill, |root| {
            for path in ["/usr/lib/a/file", "/lib/a/file", "/etc/abs", "/etc/up/file"] {
                assert_eq!(root.text(path).unwrap(), "text", "{path}");
            }
            for path in ["/etc/round", "/etc/out", "/etc/abs/x", "/none", ""] {
                assert_eq!(root.text(path).unwrap(), "", "{path}");
            }
            assert_eq!(root.head("/etc/abs", 2).unwrap().unwrap(), b"te");
        });
    }

    #[test]
    fn children_are_those_of_one_directory() {
        let fill = |layer: &mut LayerBuilder| {
            for path in ["/etc/a/x", "/etc/a-b", "/etc/a/y/z", "/etc/ab/c"] {
                layer.add_file(path, 0o644, "").unwrap();
            }
        };
        with_root(fill, |root| {
            let names = |dir| {
                let names = root.children(dir).map(|(path, _)| path.to_string());
                names.collect::<Vec<_>>()
            };
            assert_eq!(names("/etc/a"), ["/etc/a/x", "/etc/a/y"]);
            assert_eq!(names("/etc"), ["/etc/a", "/etc/a-b", "/etc/ab"]);
            assert!(names("/none").is_empty());
        });
    }
}
