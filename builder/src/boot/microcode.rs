//! Microcode for the processors, where the kernel looks for it before anything else: an
//! uncompressed cpio archive in front of the initrd (Linux,
//! `Documentation/arch/x86/microcode.rst`, "Early load microcode").

use std::collections::BTreeSet;
use std::io::{self, Write};

use cpio::newc;
use serde::Serialize;

use crate::initramfs;
use crate::tree::{Kind, PathError, ReadError, Tree, TreePath};

/// Where in memory Intel's processors want an update to begin (Intel, Software
/// Developer's Manual, volume 3, "Microcode Update Loader").
const ALIGNMENT: usize = 16;
/// cpio(1) fills archives up to this, and readers of initrds expect the next there.
const BLOCK: usize = 512;
/// Bytes of a newc header.
const HEADER: usize = 110;

/// Who made the processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Vendor {
    /// Intel.
    Intel,
    /// AMD.
    #[serde(rename = "AMD")]
    Amd,
}

/// Microcode that an initrd begins with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Microcode {
    /// Whose processors it is for.
    pub vendor: Vendor,
    /// Bytes of it.
    pub size: u64,
}

/// Why the microcode cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum MicrocodeError {
    /// A file that the kernel would not load.
    #[error(
        "{path} is no {vendor} microcode\n  \
         help: the package is damaged or of a form that Postern does not know: leave it out with `packages.remove`, or choose another version",
        vendor = vendor.name()
    )]
    Format {
        /// In the root.
        path: TreePath,
        /// Whose it should be.
        vendor: Vendor,
    },
    /// A file of the root.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A constant path.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The archive.
    #[error("writing the archive of microcode")]
    Write(#[from] io::Error),
}

impl Vendor {
    /// As people write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Intel => "Intel",
            Self::Amd => "AMD",
        }
    }

    /// Where packages put it, as the kernel's drivers ask for it.
    fn directory(self) -> &'static str {
        match self {
            Self::Intel => "usr/lib/firmware/intel-ucode",
            Self::Amd => "usr/lib/firmware/amd-ucode",
        }
    }

    /// Where the kernel looks for it.
    fn member(self) -> &'static str {
        match self {
            Self::Intel => "kernel/x86/microcode/GenuineIntel.bin",
            Self::Amd => "kernel/x86/microcode/AuthenticAMD.bin",
        }
    }

    /// Whether a file in the directory is microcode by its name. Intel's are named by
    /// family, model and stepping; Debian adds `.initramfs` to what may only be loaded
    /// as here (`iucode_tool` takes both).
    fn names(self, name: &[u8]) -> bool {
        match self {
            Self::Intel => {
                let name = name.strip_suffix(b".initramfs").unwrap_or(name);
                let parts: Vec<_> = name.split(|byte| *byte == b'-').collect();
                let hex = |part: &&[u8]| part.len() == 2 && part.iter().all(u8::is_ascii_hexdigit);
                parts.len() == 3 && parts.iter().all(hex)
            }
            Self::Amd => name.starts_with(b"microcode_amd") && name.ends_with(b".bin"),
        }
    }

    /// The updates in a file; `None` if it holds anything else.
    fn updates(self, file: &[u8]) -> Option<Vec<&[u8]>> {
        match self {
            Self::Intel => intel_updates(file),
            // A container (Linux, arch/x86/kernel/cpu/microcode/amd.c, UCODE_MAGIC).
            Self::Amd => file.starts_with(b"DMA\0").then(|| vec![file]),
        }
    }
}

/// Intel's updates, one after the other (Software Developer's Manual, volume 3,
/// "Microcode Update": version 1; words sum to zero; a size of zero means 2048 bytes).
fn intel_updates(mut file: &[u8]) -> Option<Vec<&[u8]>> {
    let mut updates = Vec::new();
    while !file.is_empty() {
        let word = |at: usize| {
            let bytes = file.get(at..at + 4)?.try_into().ok()?;
            Some(u32::from_le_bytes(bytes))
        };
        let size = match word(32)? {
            0 => 2048,
            size => usize::try_from(size).ok()?,
        };
        let (update, rest) = file.split_at_checked(size)?;
        let (words, odd) = update.as_chunks::<4>();
        let sum = words.iter().fold(0_u32, |sum, word| {
            sum.wrapping_add(u32::from_le_bytes(*word))
        });
        if word(0)? != 1 || sum != 0 || !odd.is_empty() || update.is_empty() {
            return None;
        }
        updates.push(update);
        file = rest;
    }
    Some(updates)
}

/// The archive of all microcode in `tree`, to be put in front of the initrd; empty if
/// there is none.
///
/// # Errors
/// [`MicrocodeError`] for a file that the kernel would not load.
pub fn archive(tree: &Tree) -> Result<Vec<u8>, MicrocodeError> {
    let mut members = Vec::new();
    for vendor in [Vendor::Amd, Vendor::Intel] {
        let mut seen = BTreeSet::new();
        let mut all = Vec::new();
        for (path, node) in tree.below(&TreePath::new(vendor.directory())?) {
            if !matches!(node.entry.kind, Kind::File(_)) || !vendor.names(path.name()) {
                continue;
            }
            let file = tree.read_file(path.as_bytes())?;
            let path = path.clone();
            let updates = vendor
                .updates(&file)
                .ok_or(MicrocodeError::Format { path, vendor })?;
            for update in updates {
                // Intel repeats an update under each processor that it is for.
                if seen.insert(crate::source::Digest::of(update)) {
                    all.extend_from_slice(update);
                }
            }
        }
        if !all.is_empty() {
            members.push((vendor, all));
        }
    }
    if members.is_empty() {
        return Ok(Vec::new());
    }
    Ok(write(&members)?)
}

fn write(members: &[(Vendor, Vec<u8>)]) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    for (ino, dir) in (1..).zip(["kernel", "kernel/x86", "kernel/x86/microcode"]) {
        let dir = newc::Builder::new(dir).ino(ino).nlink(2).mode(0o040_755);
        dir.write(&mut out, 0).finish()?;
    }
    for (ino, (vendor, content)) in (4..).zip(members) {
        // The name ends at its first zero: more of them move the content.
        let mut name = vendor.member().to_owned();
        while !(out.len() + HEADER + name.len() + 1).is_multiple_of(ALIGNMENT) {
            name.push('\0');
        }
        let file = newc::Builder::new(&name).ino(ino).mode(0o100_644);
        let size = u32::try_from(content.len()).map_err(io::Error::other)?;
        let mut file = file.write(&mut out, size);
        file.write_all(content)?;
        file.finish()?;
    }
    newc::trailer(&mut out)?;
    out.resize(out.len().next_multiple_of(BLOCK), 0);
    Ok(out)
}

/// The microcode that `initrd` begins with.
///
/// # Errors
/// If the archive it begins with is damaged.
pub fn read(initrd: &[u8]) -> io::Result<Vec<Microcode>> {
    let mut found = Vec::new();
    if initrd.starts_with(b"07070") {
        initramfs::read_archive(initrd, &mut |entry, _| {
            let size = u64::from(entry.file_size());
            let vendors = [Vendor::Amd, Vendor::Intel].into_iter();
            let vendor = vendors.filter(|vendor| vendor.member() == entry.name());
            found.extend(vendor.map(|vendor| Microcode { vendor, size }));
            Ok(())
        })?;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::LayerBuilder;
    use crate::tree::{MergePolicy, merge};
    use fs_err as fs;
    use postern_contract::host::Command;

    /// An update for the processor `signature`, of 1024 bytes, with a right sum.
    fn update(signature: u32) -> Vec<u8> {
        let mut words = [0_u32; 256];
        words[..9].copy_from_slice(&[1, 7, 0x0812_2026, signature, 0, 1, 1, 976, 1024]);
        words[4] = 0_u32.wrapping_sub(words.iter().fold(0, |sum, w| sum.wrapping_add(*w)));
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    fn tree(files: &[(&str, Vec<u8>)]) -> Tree {
        let mut layer = LayerBuilder::new("test", 9);
        for (path, content) in files {
            let path = format!("/usr/lib/firmware/{path}");
            layer.add_file(&path, 0o644, content.clone()).unwrap();
        }
        let site = layer.finish();
        merge([(&site.layer, &MergePolicy::AddOnly)], 9).unwrap()
    }

    /// As Debian's packages lay it, and a few things that they lay beside it.
    fn installed() -> Tree {
        let both = [update(0x000a_0655), update(0x000a_0653)].concat();
        tree(&[
            ("intel-ucode/06-a5-05", both.clone()),
            ("intel-ucode/06-a5-03", both),
            ("intel-ucode/06-8e-09.initramfs", update(0x0008_06e9)),
            ("intel-ucode/README", b"text".to_vec()),
            ("amd-ucode/microcode_amd.bin", b"DMA\0one.".to_vec()),
            ("amd-ucode/microcode_amd_fam17h.bin", b"DMA\0two".to_vec()),
            ("amd-ucode/microcode_amd.bin.asc", b"-----BEGIN".to_vec()),
        ])
    }

    #[test]
    fn is_in_front_of_the_initrd_once_and_aligned() {
        let made = archive(&installed()).unwrap();
        let initrd = [made.as_slice(), &zstd::encode_all(&b"x"[..], 1).unwrap()].concat();
        let found = read(&initrd).unwrap();
        let expected = [(Vendor::Amd, 15), (Vendor::Intel, 3 * 1024)];
        assert_eq!(
            found,
            expected.map(|(vendor, size)| Microcode { vendor, size })
        );
        let at = made
            .windows(1024)
            .position(|part| part == update(0x0008_06e9));
        assert!(at.unwrap().is_multiple_of(ALIGNMENT));
        assert!(made.len().is_multiple_of(BLOCK));
        assert_eq!(archive(&tree(&[])).unwrap(), b"");
        assert_eq!(read(&initrd[made.len()..]).unwrap(), []);
    }

    #[test]
    fn a_file_that_no_kernel_loads_is_named() {
        let mut wrong = update(1);
        wrong[100] ^= 1;
        for bytes in [
            wrong,
            update(1)[..1000].to_vec(),
            b"\x28\xb5\x2f\xfd".to_vec(),
        ] {
            let error = archive(&tree(&[("intel-ucode/06-01-01", bytes)])).unwrap_err();
            let text = error.to_string();
            assert!(
                text.starts_with("/usr/lib/firmware/intel-ucode/06-01-01 is no Intel"),
                "{text}"
            );
        }
        let error = archive(&tree(&[("amd-ucode/microcode_amd.bin", vec![1; 9])])).unwrap_err();
        assert!(error.to_string().contains("is no AMD microcode"), "{error}");
    }

    #[test]
    fn intels_own_tool_and_cpio_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("early");
        fs::write(&path, archive(&installed()).unwrap()).unwrap();
        let list = Command::new("iucode_tool")
            .args(["-L", "-tr"])
            .arg(&path)
            .run()
            .unwrap();
        let list = String::from_utf8(list).unwrap();
        for signature in ["0x000a0655", "0x000a0653", "0x000806e9"] {
            assert_eq!(list.matches(signature).count(), 1, "{list}");
        }
        let cpio = Command::new("cpio").args(["--extract", "--make-directories", "--quiet"]);
        cpio.cwd(dir.path())
            .run_with_input(&fs::read(&path).unwrap())
            .unwrap();
        let amd = fs::read(dir.path().join(Vendor::Amd.member())).unwrap();
        assert_eq!(amd, b"DMA\0one.DMA\0two");
    }
}
