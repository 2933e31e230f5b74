//! A profile for tests of the lock.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::profile::{
    Arch, Base, DiskSizes, Distro, Download, K3s, Kernel, Mirror, Origin, Packages, Profile, Suite,
};

/// A valid profile; its mirror does not exist.
pub fn profile() -> Profile {
    let file = |path: &str, digit: &str| Download {
        origin: Origin::File(PathBuf::from(path)),
        sha256: digit.repeat(64).parse().unwrap(),
    };
    Profile {
        file: PathBuf::from("/profiles/demo.yaml"),
        warnings: Vec::new(),
        name: "demo".to_owned(),
        version: "1".to_owned(),
        base: Base {
            distro: Distro::Debian,
            release: "trixie".to_owned(),
            arch: Arch::Amd64,
            mirror: Mirror::Host,
            snapshot: None,
            proxy: None,
            extra_archives: Vec::new(),
            suites: vec![Suite {
                name: "trixie".to_owned(),
                archive: "debian".to_owned(),
            }],
            components: vec!["main".to_owned()],
            keyring: PathBuf::from("/usr/share/keyrings/debian-archive-keyring.gpg"),
        },
        kernel: Kernel {
            package: "linux".to_owned(),
            loader: "boot-efi".to_owned(),
            cmdline: Vec::new(),
        },
        firmware: Vec::new(),
        packages: Packages::default(),
        k3s: K3s {
            version: "v1.31.8+k3s1".to_owned(),
            binary: file("/k3s", "a"),
            images: None,
        },
        proxy: None,
        certificates: Vec::new(),
        users: Vec::new(),
        overlays: Vec::new(),
        vars: BTreeMap::new(),
        disk: DiskSizes {
            esp: 64 << 20,
            seed: 16 << 20,
            root_slot: 512 << 20,
            budget: 1 << 30,
        },
        outputs: Vec::new(),
    }
}
