//! Writing an initramfs archive ("newc" cpio; Linux
//! `Documentation/driver-api/early-userspace/buffer-format.rst`).
//!
//! The kernel unpacks archives one after the other, so files are added to an
//! initrd by appending: plain or compressed, whatever the first one is. An
//! uncompressed archive must start at a multiple of four bytes; zeros between
//! archives are skipped.

/// Everything in the format is aligned to this many bytes.
const ALIGN: usize = 4;
const TRAILER: &str = "TRAILER!!!";
const REGULAR: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;

/// An archive being written. The same calls give the same bytes.
#[derive(Debug, Default)]
pub struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    /// An empty archive.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a directory with these permission bits, owned by root.
    #[must_use]
    pub fn directory(mut self, path: &str, permissions: u32) -> Self {
        self.entry(path, DIRECTORY | permissions, &[]);
        self
    }

    /// Adds a file with these permission bits, owned by root.
    #[must_use]
    pub fn file(mut self, path: &str, permissions: u32, content: &[u8]) -> Self {
        self.entry(path, REGULAR | permissions, content);
        self
    }

    /// The archive as it must follow an initrd of `initrd_len` bytes.
    pub fn appended_to(mut self, initrd_len: u64) -> Vec<u8> {
        self.header(TRAILER, 0, 0, 0);
        let over = initrd_len % ALIGN as u64;
        let mut bytes = vec![0; if over == 0 { 0 } else { ALIGN - over as usize }];
        bytes.append(&mut self.bytes);
        bytes
    }

    fn entry(&mut self, path: &str, mode: u32, content: &[u8]) {
        self.entries += 1;
        self.header(
            path.trim_start_matches('/'),
            self.entries,
            mode,
            content.len(),
        );
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    fn header(&mut self, name: &str, inode: u32, mode: u32, size: usize) {
        let links = 1;
        let name_size = name.len() + 1;
        self.bytes.extend_from_slice(b"070701");
        // inode, mode, uid, gid, links, mtime, size, device (2), rdev (2), name size, checksum
        let fields = [
            inode as usize,
            mode as usize,
            0,
            0,
            links,
            0,
            size,
            0,
            0,
            0,
            0,
            name_size,
            0,
        ];
        for field in fields {
            self.bytes
                .extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes
            .resize(self.bytes.len().next_multiple_of(ALIGN), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Reads an archive as the kernel does: name → (mode, content).
    fn read(bytes: &[u8]) -> BTreeMap<String, (u32, Vec<u8>)> {
        let mut found = BTreeMap::new();
        let mut at = bytes.iter().position(|byte| *byte != 0).unwrap();
        loop {
            assert_eq!(at % ALIGN, 0, "headers are aligned");
            assert_eq!(&bytes[at..at + 6], b"070701");
            let field = |n: usize| {
                let text = std::str::from_utf8(&bytes[at + 6 + n * 8..at + 14 + n * 8]).unwrap();
                u32::from_str_radix(text, 16).unwrap()
            };
            let (mode, size, name_size) = (field(1), field(6) as usize, field(11) as usize);
            let name_at = at + 110;
            let name = String::from_utf8(bytes[name_at..name_at + name_size - 1].to_vec()).unwrap();
            let content_at = (name_at + name_size).next_multiple_of(ALIGN);
            if name == TRAILER {
                assert_eq!(content_at, bytes.len());
                return found;
            }
            let content = bytes[content_at..content_at + size].to_vec();
            found.insert(name, (mode, content));
            at = (content_at + size).next_multiple_of(ALIGN);
        }
    }

    #[test]
    fn holds_what_was_put_in() {
        for len in 0..9 {
            let content = vec![0x31; len];
            let bytes = Archive::new()
                .directory("/etc", 0o755)
                .file("/etc/abc", 0o600, &content)
                .file("init", 0o755, b"x")
                .appended_to(0);
            let found = read(&bytes);
            assert_eq!(found["etc"], (0o040_755, vec![]));
            assert_eq!(found["etc/abc"], (0o100_600, content));
            assert_eq!(found["init"], (0o100_755, b"x".to_vec()));
        }
    }

    #[test]
    fn starts_on_the_kernels_border_after_any_initrd() {
        let archive = || Archive::new().file("a", 0o644, b"1");
        for (initrd, zeros) in [(0, 0), (1, 3), (2, 2), (3, 1), (4, 0), (41_468_417, 3)] {
            let bytes = archive().appended_to(initrd);
            assert_eq!(bytes.iter().position(|b| *b != 0), Some(zeros));
            assert_eq!((initrd as usize + zeros) % ALIGN, 0);
            assert_eq!(bytes[zeros..], archive().appended_to(0)[..]);
        }
    }
}
