//! Extended headers of tar: records of `LENGTH KEY=VALUE\n`
//! (POSIX.1-2017, pax, "pax Extended Header").
//!
//! Read here and not with the `tar` crate, whose parser splits at newlines:
//! a binary value such as `security.capability` may hold one.

use std::collections::BTreeMap;

/// Prefix of extended attributes, as star, GNU tar and libarchive write them.
pub const XATTR: &str = "SCHILY.xattr.";

/// Keys that say nothing about the tree. Any other unknown key is refused,
/// because what it means would be lost.
const IGNORED: [&str; 6] = ["atime", "ctime", "comment", "hdrcharset", "uname", "gname"];
/// Prefixes like [`IGNORED`]: libarchive repeats extended attributes under its
/// own, and inode numbers of the machine that packed mean nothing here.
const IGNORED_PREFIXES: [&str; 4] = ["LIBARCHIVE.", "SCHILY.dev", "SCHILY.ino", "SCHILY.nlink"];

/// What extended headers say about the member that follows.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Extended {
    /// Name.
    pub path: Option<Vec<u8>>,
    /// Target of a link.
    pub linkpath: Option<Vec<u8>>,
    /// Bytes of data.
    pub size: Option<u64>,
    /// Owner.
    pub uid: Option<u64>,
    /// Group.
    pub gid: Option<u64>,
    /// Whole seconds since 1970; earlier is 0.
    pub mtime: Option<u64>,
    /// Extended attributes.
    pub xattrs: BTreeMap<String, Vec<u8>>,
}

/// Why an extended header is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PaxError {
    /// Not `LENGTH KEY=VALUE\n`.
    #[error("its extended header is malformed")]
    Malformed,
    /// A key we do not know.
    #[error("its extended header has the unknown key `{0}`")]
    UnknownKey(String),
    /// A value that is not of the key's type.
    #[error("its extended header has a bad value for `{0}`")]
    BadValue(String),
    /// Sparse file of any flavour.
    #[error("it is a sparse file")]
    Sparse,
}

impl Extended {
    /// Adds the records of one `x` header.
    ///
    /// # Errors
    /// [`PaxError`] for anything that is not understood in full.
    pub fn add(&mut self, mut records: &[u8]) -> Result<(), PaxError> {
        while !records.is_empty() {
            let (key, value, rest) = record(records).ok_or(PaxError::Malformed)?;
            self.set(key, value)?;
            records = rest;
        }
        Ok(())
    }

    fn set(&mut self, key: &str, value: &[u8]) -> Result<(), PaxError> {
        let number = || {
            let text = std::str::from_utf8(value).ok();
            text.and_then(|text| text.parse().ok())
                .ok_or_else(|| PaxError::BadValue(key.to_owned()))
        };
        match key {
            "path" => self.path = Some(value.to_owned()),
            "linkpath" => self.linkpath = Some(value.to_owned()),
            "size" => self.size = Some(number()?),
            "uid" => self.uid = Some(number()?),
            "gid" => self.gid = Some(number()?),
            "mtime" => {
                self.mtime = Some(seconds(value).ok_or(PaxError::BadValue(key.to_owned()))?);
            }
            _ if key.starts_with("GNU.sparse.") => return Err(PaxError::Sparse),
            _ if IGNORED.contains(&key) => {}
            _ if IGNORED_PREFIXES.iter().any(|p| key.starts_with(p)) => {}
            _ => {
                let name = key.strip_prefix(XATTR).filter(|name| !name.is_empty());
                let name = name.ok_or_else(|| PaxError::UnknownKey(key.to_owned()))?;
                self.xattrs.insert(name.to_owned(), value.to_owned());
            }
        }
        Ok(())
    }
}

/// Splits off the first record: key, value, the rest.
fn record(bytes: &[u8]) -> Option<(&str, &[u8], &[u8])> {
    let space = bytes.iter().position(|byte| *byte == b' ')?;
    let length: usize = std::str::from_utf8(&bytes[..space]).ok()?.parse().ok()?;
    let (whole, rest) = bytes.split_at_checked(length)?;
    let body = whole.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = body.iter().position(|byte| *byte == b'=')?;
    let key = std::str::from_utf8(&body[..equals]).ok()?;
    Some((key, &body[equals + 1..], rest))
}

/// Whole seconds of `[-]SECONDS[.FRACTION]`.
fn seconds(value: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(value).ok()?;
    let whole = text.split('.').next()?;
    let whole: i64 = whole.parse().ok()?;
    Some(u64::try_from(whole).unwrap_or(0))
}

/// Appends one record to an extended header.
pub fn push(header: &mut Vec<u8>, key: &str, value: &[u8]) {
    // The length counts its own digits, so it takes a second look.
    let rest = key.len() + value.len() + " =\n".len();
    let mut length = rest + 1;
    while rest + length.to_string().len() != length {
        length = rest + length.to_string().len();
    }
    header.extend_from_slice(format!("{length} {key}=").as_bytes());
    header.extend_from_slice(value);
    header.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_attribute_survives(name in "[a-z.]{1,40}", value: Vec<u8>) {
            let mut header = Vec::new();
            push(&mut header, &format!("{XATTR}{name}"), &value);
            push(&mut header, "size", b"7");
            let mut read = Extended::default();
            read.add(&header).unwrap();
            prop_assert_eq!(read.xattrs.get(&name), Some(&value));
            prop_assert_eq!(read.size, Some(7));
        }

        #[test]
        fn no_bytes_are_too_strange(bytes: Vec<u8>) {
            let _ = Extended::default().add(&bytes);
        }
    }

    #[test]
    fn the_length_counts_its_own_digits() {
        for size in 0..1200 {
            let mut header = Vec::new();
            push(&mut header, "path", &vec![b'x'; size]);
            let (_, value, rest) = record(&header).unwrap();
            assert_eq!((value.len(), rest.len()), (size, 0));
        }
    }

    #[test]
    fn refuses_what_it_does_not_understand() {
        let cases: [(&[u8], PaxError); 6] = [
            (b"12 size=1\n", PaxError::Malformed),
            (b"99999999999999999999 a=b\n", PaxError::Malformed),
            (b"11 size=-1\n", PaxError::BadValue("size".into())),
            (b"10 mtime=\n", PaxError::BadValue("mtime".into())),
            (b"22 GNU.sparse.major=1\n", PaxError::Sparse),
            (b"12 odd.x=yy\n", PaxError::UnknownKey("odd.x".into())),
        ];
        for (bytes, error) in cases {
            let mut read = Extended::default();
            assert_eq!(read.add(bytes), Err(error), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn times_lose_their_fraction() {
        let mut read = Extended::default();
        read.add(b"20 mtime=1350244992.1\n").unwrap_err();
        read.add(b"22 mtime=1350244992.1\n").unwrap();
        assert_eq!(read.mtime, Some(1_350_244_992));
        read.add(b"12 mtime=-5\n").unwrap();
        assert_eq!(read.mtime, Some(0));
    }
}
