//! The kernel's table of mounts, read from its text.

use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// One line of the mount table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Device number, `major:minor`.
    pub device: String,
    /// Where it is mounted.
    pub point: PathBuf,
    /// What mount(2) was given as the source.
    pub source: String,
}

/// Reads the mount table (proc(5), `mountinfo`), in the order of mounting.
pub fn mounts(mountinfo: &str) -> Vec<Mount> {
    mountinfo
        .lines()
        .filter_map(|line| {
            let (before, after) = line.split_once(" - ")?;
            let mut fields = before.split(' ');
            Some(Mount {
                device: fields.nth(2)?.to_owned(),
                point: PathBuf::from(std::ffi::OsString::from_vec(unescape(fields.nth(1)?))),
                source: after.split(' ').nth(1)?.to_owned(),
            })
        })
        .collect()
}

/// Space, tab, newline and backslash are written as `\` and three octal digits.
fn unescape(field: &str) -> Vec<u8> {
    let bytes = field.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let octal = field
            .get(i + 1..i + 4)
            .filter(|_| bytes[i] == b'\\')
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        out.push(octal.unwrap_or(bytes[i]));
        i += if octal.is_some() { 4 } else { 1 };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_escapes_and_optional_fields_of_the_mount_table() {
        let read = mounts(
            "36 35 98:0 /mnt1 /a\\040b\\134c rw,noatime master:1 propagate_from:2 - ext3 /dev/root rw\n\
             37 35 0:5 / /dev rw - devtmpfs udev rw\n\
             not a mount\n",
        );
        assert_eq!(read.len(), 2);
        assert_eq!(read[0].point, PathBuf::from("/a b\\c"));
        assert_eq!(read[0].device, "98:0");
        assert_eq!(read[0].source, "/dev/root");
        assert_eq!(read[1].source, "udev");
    }
}
