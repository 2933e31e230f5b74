//! Unified kernel images: systemd's stub with kernel, initrd and command line
//! in sections of their own (UAPI group, Unified Kernel Image specification).

use super::pe::{self, NewSection, PeError};

/// What a UKI carries. What [`Uki::write`] writes, [`Uki::read`] reads back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uki {
    /// `.osrel`: the root's `os-release`: which image and version this is.
    pub os_release: String,
    /// `.cmdline`: the kernel's command line, see [`super::Cmdline`].
    pub cmdline: String,
    /// `.uname`: the kernel's release, as `uname -r` prints it.
    pub uname: String,
    /// `.initrd`: one or several cpio archives, compressed as they are.
    pub initrd: Vec<u8>,
    /// `.linux`: the kernel, itself an EFI executable. Written, it is padded
    /// with zeros to 512 bytes, because its true length is nowhere recorded.
    pub linux: Vec<u8>,
}

/// Why a UKI cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum UkiError {
    /// The stub or the finished image.
    #[error("unified kernel image")]
    Image(#[source] PeError),
    /// The kernel has no EFI entry (`CONFIG_EFI_STUB`).
    #[error("firmware cannot start the kernel")]
    Kernel(#[source] PeError),
    /// A section that every UKI of ours has is missing or no text.
    #[error("the unified kernel image has no {0}")]
    Absent(&'static str),
    /// A section that GRUB could not read by sectors.
    #[error("section {0} of the unified kernel image does not start on a sector")]
    Unaligned(&'static str),
    /// A part that may not be empty is.
    #[error("the {0} of a unified kernel image is empty")]
    Empty(String),
}

/// A section of data that takes no more memory than it has bytes.
fn part<'a>(name: &'a str, data: &'a [u8]) -> NewSection<'a> {
    NewSection {
        name,
        data,
        memory: 0,
        code: false,
    }
}

impl Uki {
    /// The executable, made from systemd's `linuxx64.efi.stub`.
    ///
    /// The kernel comes last and claims the memory it unpacks itself into:
    /// newer stubs start it where it lies. (Which parts are measured into the
    /// TPM, and in which order, does not depend on the order here.)
    ///
    /// # Errors
    /// [`UkiError`] for a stub without room, a kernel without EFI entry, or an empty part.
    pub fn write(&self, stub: &[u8]) -> Result<Vec<u8>, UkiError> {
        let memory = pe::memory_size(&self.linux).map_err(UkiError::Kernel)?;
        let sections = [
            part(".osrel", self.os_release.as_bytes()),
            part(".cmdline", self.cmdline.as_bytes()),
            part(".uname", self.uname.as_bytes()),
            part(".initrd", &self.initrd),
            NewSection {
                name: ".linux",
                data: &self.linux,
                memory: memory.max(self.linux.len().next_multiple_of(512)),
                code: true,
            },
        ];
        if let Some(empty) = sections.iter().find(|s| s.data.is_empty()) {
            return Err(UkiError::Empty(empty.name.to_owned()));
        }
        pe::append(stub, &sections).map_err(UkiError::Image)
    }

    /// Takes a UKI apart.
    ///
    /// # Errors
    /// [`UkiError`] if it is no executable or lacks a section.
    pub fn read(image: &[u8]) -> Result<Self, UkiError> {
        let sections = pe::sections(image).map_err(UkiError::Image)?;
        let bytes = |name: &'static str| {
            sections
                .iter()
                .find(|s| s.name == name)
                .map(|s| s.data)
                .ok_or(UkiError::Absent(name))
        };
        let text = |name: &'static str| {
            String::from_utf8(bytes(name)?.to_vec()).map_err(|_| UkiError::Absent(name))
        };
        Ok(Self {
            os_release: text(".osrel")?,
            cmdline: text(".cmdline")?,
            uname: text(".uname")?,
            initrd: bytes(".initrd")?.to_vec(),
            linux: bytes(".linux")?.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::pe::tests::minimal;
    use super::*;
    use fs_err as fs;
    use proptest::prelude::*;

    fn uki() -> Uki {
        Uki {
            os_release: "ID=x\nIMAGE_ID=edge\nIMAGE_VERSION=1\n".to_owned(),
            cmdline: "roothash=00 ro".to_owned(),
            uname: "6.12.0-1-amd64".to_owned(),
            initrd: vec![0x28; 1000],
            linux: minimal(0),
        }
    }

    #[test]
    fn reads_back_from_the_real_stub() {
        let stub = fs::read("/usr/lib/systemd/boot/efi/linuxx64.efi.stub").unwrap();
        let image = uki().write(&stub).unwrap();
        assert_eq!(Uki::read(&image).unwrap(), uki());
        assert_eq!(uki().write(&stub).unwrap(), image, "deterministic");
        let last = pe::sections(&image).unwrap().pop().unwrap();
        assert_eq!(
            last.name, ".linux",
            "nothing lies where the kernel unpacks itself"
        );
    }

    #[test]
    fn a_kernel_claims_the_memory_it_says_it_needs() {
        let mut roomy = uki();
        roomy.linux[88 + 56..88 + 60].copy_from_slice(&(1_u32 << 20).to_le_bytes());
        let stub = minimal(6);
        let size = |uki: &Uki| pe::memory_size(&uki.write(&stub).unwrap()).unwrap();
        assert_eq!(size(&roomy) - size(&uki()), (1 << 20) - 8192);
    }

    #[test]
    fn what_cannot_boot_is_refused() {
        let stub = minimal(6);
        let bad = Uki {
            linux: b"not a kernel".to_vec(),
            ..uki()
        };
        assert!(matches!(bad.write(&stub), Err(UkiError::Kernel(_))));
        let bad = Uki {
            initrd: Vec::new(),
            ..uki()
        };
        assert!(matches!(bad.write(&stub), Err(UkiError::Empty(name)) if name == ".initrd"));
        assert!(matches!(Uki::read(&stub), Err(UkiError::Absent(".osrel"))));
        assert!(matches!(uki().write(b"x"), Err(UkiError::Image(_))));
    }

    proptest! {
        #[test]
        fn reads_back(
            cmdline in "[ -~]{1,300}",
            initrd in proptest::collection::vec(any::<u8>(), 1..5000),
            tail in 0_usize..2000,
        ) {
            let mut linux = minimal(0);
            linux.resize(linux.len() + tail, 0x5a);
            let written = Uki { cmdline, initrd, linux, ..uki() };
            let mut read = Uki::read(&written.write(&minimal(6)).unwrap()).unwrap();
            prop_assert_eq!(read.linux.len(), written.linux.len().next_multiple_of(512));
            prop_assert!(read.linux[written.linux.len()..].iter().all(|b| *b == 0));
            read.linux.truncate(written.linux.len());
            prop_assert_eq!(read, written);
        }
    }
}
