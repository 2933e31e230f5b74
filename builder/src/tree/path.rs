//! Paths inside a tree: bytes, relative, and nothing that could leave it.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::ops::Bound;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Longest path Linux accepts, `PATH_MAX` without its NUL (`linux/limits.h`).
const PATH_MAX: usize = 4095;
/// Longest name Linux accepts, `NAME_MAX` (`linux/limits.h`).
const NAME_MAX: usize = 255;

/// A path below a tree's root: no leading or trailing slash, no `.`, `..` or
/// empty part, never empty. Sorts by bytes, so a directory comes before what
/// is in it. Prints with a leading slash, unprintable bytes escaped.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreePath(Vec<u8>);

/// Why bytes are not a [`TreePath`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Nothing is left once slashes are gone.
    #[error("the path is empty")]
    Empty,
    /// The path starts at `/` where only relative paths make sense.
    #[error("the path is absolute")]
    Absolute,
    /// A part is `.` or `..`.
    #[error("the path has a `.` or `..` part")]
    Dots,
    /// Two slashes follow each other.
    #[error("the path has an empty part")]
    EmptyPart,
    /// A NUL byte.
    #[error("the path has a NUL byte")]
    Nul,
    /// Longer than Linux accepts.
    #[error("the path or one of its names is longer than Linux accepts")]
    TooLong,
}

impl TreePath {
    /// Reads a path as people and constants write it: a leading slash is fine.
    ///
    /// # Errors
    /// [`PathError`] for anything that is not a plain path below the root.
    pub fn new(path: impl AsRef<[u8]>) -> Result<Self, PathError> {
        let path = path.as_ref();
        Self::checked(path.strip_prefix(b"/").unwrap_or(path))
    }

    /// Reads the name of a tar member: `./a`, `a` and `a/` are the same, `/a` is
    /// refused. `None` is the root itself (`./`).
    ///
    /// # Errors
    /// [`PathError`] for anything that is not a plain path below the root.
    pub fn of_member(name: &[u8]) -> Result<Option<Self>, PathError> {
        if name.starts_with(b"/") {
            return Err(PathError::Absolute);
        }
        let name = name.strip_prefix(b"./").unwrap_or(name);
        let name = name.strip_suffix(b"/").unwrap_or(name);
        match name {
            b"" | b"." => Ok(None),
            name => Self::checked(name).map(Some),
        }
    }

    fn checked(path: &[u8]) -> Result<Self, PathError> {
        if path.is_empty() {
            return Err(PathError::Empty);
        }
        if path.contains(&0) {
            return Err(PathError::Nul);
        }
        if path.len() > PATH_MAX {
            return Err(PathError::TooLong);
        }
        for part in path.split(|byte| *byte == b'/') {
            match part {
                b"" => return Err(PathError::EmptyPart),
                b"." | b".." => return Err(PathError::Dots),
                part if part.len() > NAME_MAX => return Err(PathError::TooLong),
                _ => {}
            }
        }
        Ok(Self(path.to_owned()))
    }

    /// The path without a leading slash.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The path for the host's file functions, relative.
    pub fn as_path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.0))
    }

    /// The last part.
    pub fn name(&self) -> &[u8] {
        match self.0.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => &self.0[slash + 1..],
            None => &self.0,
        }
    }

    /// The directory it is in; `None` for what is directly below the root.
    pub fn parent(&self) -> Option<Self> {
        let slash = self.0.iter().rposition(|byte| *byte == b'/')?;
        Some(Self(self.0[..slash].to_owned()))
    }

    /// Its directories, outermost first, without itself.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> + '_ {
        let slashes = self.0.iter().enumerate().filter(|(_, b)| **b == b'/');
        slashes.map(|(slash, _)| Self(self.0[..slash].to_owned()))
    }

    /// This path with one more part.
    ///
    /// # Errors
    /// [`PathError`] if `name` is not a plain name or path.
    pub fn join(&self, name: impl AsRef<[u8]>) -> Result<Self, PathError> {
        Self::checked(&[&self.0, &b"/"[..], name.as_ref()].concat())
    }

    /// Whether this path is inside the directory `dir` (not `dir` itself).
    pub fn is_below(&self, dir: &TreePath) -> bool {
        let rest = self.0.strip_prefix(dir.as_bytes());
        rest.is_some_and(|rest| rest.starts_with(b"/"))
    }

    /// What of `map` is below this path, in order.
    pub(super) fn below<'m, T>(
        &self,
        map: &'m BTreeMap<TreePath, T>,
    ) -> impl Iterator<Item = (&'m TreePath, &'m T)> + use<'m, T> {
        // '0' is the byte after '/'.
        let bound = |end: u8| [&self.0[..], &[end]].concat();
        let (start, end) = (bound(b'/'), bound(b'0'));
        map.range::<[u8], _>((Bound::Included(&start[..]), Bound::Excluded(&end[..])))
    }
}

impl Borrow<[u8]> for TreePath {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", Printable(&self.0))
    }
}

impl fmt::Debug for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Bytes as text on one line: UTF-8 as it is, the rest as `\xNN`.
pub struct Printable<'a>(pub &'a [u8]);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    '\\' => f.write_str(r"\\")?,
                    c if c.is_control() => write!(f, "{}", c.escape_default())?,
                    c => write!(f, "{c}")?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, r"\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_plain_paths_only() {
        let refused: [(&[u8], PathError); 8] = [
            (b"", PathError::Empty),
            (b"/", PathError::Empty),
            (b"a/../b", PathError::Dots),
            (b"./a", PathError::Dots),
            (b"a//b", PathError::EmptyPart),
            (b"a/", PathError::EmptyPart),
            (b"a\0b", PathError::Nul),
            (&[b'a'; 256], PathError::TooLong),
        ];
        for (bytes, why) in refused {
            assert_eq!(TreePath::new(bytes), Err(why), "{}", Printable(bytes));
        }
        assert_eq!(TreePath::new("/usr/bin"), TreePath::new("usr/bin"));
    }

    #[test]
    fn a_member_is_relative_and_may_be_the_root() {
        assert_eq!(TreePath::of_member(b"./"), Ok(None));
        assert_eq!(TreePath::of_member(b"."), Ok(None));
        assert_eq!(TreePath::of_member(b"/etc"), Err(PathError::Absolute));
        assert_eq!(TreePath::of_member(b"../etc"), Err(PathError::Dots));
        let etc = TreePath::new("etc").unwrap();
        assert_eq!(TreePath::of_member(b"./etc/"), Ok(Some(etc)));
    }

    #[test]
    fn knows_its_directories() {
        let path = TreePath::new("a/b/c").unwrap();
        let above: Vec<_> = path.ancestors().map(|p| p.to_string()).collect();
        assert_eq!(above, ["/a", "/a/b"]);
        assert_eq!(path.parent(), TreePath::new("a/b").ok());
        assert_eq!(path.name(), b"c");
        assert!(path.is_below(&TreePath::new("a").unwrap()));
        assert!(
            !TreePath::new("ab")
                .unwrap()
                .is_below(&TreePath::new("a").unwrap())
        );
    }

    #[test]
    fn prints_any_bytes_on_one_line() {
        let path = TreePath::new(b"etc/\xffn\nm\xc3\xbc\\").unwrap();
        assert_eq!(path.to_string(), r"/etc/\xffn\nmü\\");
    }
}
