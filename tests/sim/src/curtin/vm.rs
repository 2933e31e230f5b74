//! What turns the image's own kernel and initrd into MAAS' ephemeral system.
//!
//! Pure: the host builds the initrd and starts QEMU. The machine needs the
//! disk as its first virtio block device, no network, and two serial ports:
//! the first is the console, the second carries [`super::events`]. Without
//! `-no-reboot` a crashed guest would start again for ever.

use super::cpio::Archive;

/// Name of the stand-in's program, in the archive's root and among the built binaries.
pub const PROGRAM: &str = "curtin-stand-in";
/// curtin's configuration inside the machine (JSON).
pub const CONFIG: &str = "/curtin-config.json";
/// curtin's network configuration inside the machine (YAML).
pub const NETWORK: &str = "/network-config.yaml";
/// Kernel name of the disk that is being installed.
pub const DISK: &str = "vda";
/// The port that carries the events.
pub const EVENTS: &str = "/dev/ttyS1";

/// What the machine is given.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// The stand-in's static binary.
    pub program: &'a [u8],
    /// What MAAS gives curtin, as JSON: at least `cloudconfig`. Holds credentials.
    pub config: &'a [u8],
    /// `network:` as curtin writes it, YAML.
    pub network: &'a [u8],
    /// Size in bytes of the image's initrd.
    pub initrd_len: u64,
}

/// How to boot the machine.
#[derive(Clone, PartialEq, Eq)]
pub struct InstallVm {
    /// To be appended to the image's initrd. Holds credentials: keep it 0600.
    pub initrd_suffix: Vec<u8>,
    /// Words of the kernel's command line.
    pub kernel_args: Vec<String>,
}

/// The archive and the command line for one installation.
pub fn install_vm(inputs: Inputs<'_>) -> InstallVm {
    let initrd_suffix = Archive::new()
        .file(PROGRAM, 0o755, inputs.program)
        .file(CONFIG, 0o600, inputs.config)
        .file(NETWORK, 0o600, inputs.network)
        .appended_to(inputs.initrd_len);
    let kernel_args = [
        &format!("rdinit=/{PROGRAM}"),
        "console=ttyS0,115200",
        // A crash must end the machine, not wait for somebody.
        "panic=-1",
        "oops=panic",
        "quiet",
    ];
    InstallVm {
        initrd_suffix,
        kernel_args: kernel_args.map(str::to_owned).to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_in_the_archive_only_and_private() {
        let vm = install_vm(Inputs {
            program: b"\x7fELF",
            config: b"{\"token\": \"TSECRET\"}",
            network: b"network: {version: 2}",
            initrd_len: 6,
        });
        let text = String::from_utf8_lossy(&vm.initrd_suffix).into_owned();
        assert!(text.starts_with("\x00\x00070701"));
        let config = text.find("curtin-config.json").unwrap();
        assert_eq!(
            &text[config - 110 + 14..config - 110 + 22],
            "00008180",
            "0600"
        );
        assert!(text.contains("TSECRET"));
        assert!(!vm.kernel_args.join(" ").contains("TSECRET"));
        assert_eq!(vm.kernel_args[0], "rdinit=/curtin-stand-in");
    }
}
