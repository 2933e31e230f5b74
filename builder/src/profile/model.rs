//! The validated profile. Every path in it is absolute, every rule was kept,
//! every default is filled in; nothing after the loader asks "is it set?".

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use postern_contract::digest::Digest;
use postern_contract::gateway::ProxySettings;
use url::Url;

/// What the user wants in the image.
#[derive(Clone, Debug)]
pub struct Profile {
    /// The file it was read from, absolute.
    pub file: PathBuf,
    /// Image name: lower-case letters, digits and dashes, as MAAS boot resources allow.
    pub name: String,
    /// Image version: letters, digits, dots and dashes.
    pub version: String,
    /// The distribution it is made of.
    pub base: Base,
    /// The kernel.
    pub kernel: Kernel,
    /// Firmware packages.
    pub firmware: Vec<String>,
    /// Further packages.
    pub packages: Packages,
    /// The k3s binary and its air-gap images.
    pub k3s: K3s,
    /// Proxy that the image uses unless a gateway file says otherwise.
    pub proxy: Option<ProxySettings>,
    /// Private CA certificates to trust, in the order written.
    pub certificates: Vec<Certificate>,
    /// People who may log in; root is always locked.
    pub users: Vec<User>,
    /// Overlay directories, applied in this order.
    pub overlays: Vec<PathBuf>,
    /// Values for overlay templates.
    pub vars: BTreeMap<String, serde_json::Value>,
    /// Sizes of partitions, and what the disk may come to.
    pub disk: DiskSizes,
    /// What to make besides the manifest.
    pub outputs: Vec<Output>,
}

/// The distribution an image is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// Debian or Ubuntu.
    pub distro: Distro,
    /// Code name: `trixie`, `noble`.
    pub release: String,
    /// Processor architecture.
    pub arch: Arch,
    /// Where packages come from.
    pub mirror: Mirror,
    /// The archives as they were at this time, `YYYYMMDDTHHMMSSZ`.
    pub snapshot: Option<String>,
    /// Archives that are not on the mirror, by their path.
    pub extra_archives: Vec<ExtraArchive>,
    /// Suites to resolve from, the release first, then updates and security.
    pub suites: Vec<Suite>,
    /// Archive components: `main`, `universe`.
    pub components: Vec<String>,
    /// Keyring that must have signed every suite, absolute path.
    pub keyring: PathBuf,
}

/// One suite of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suite {
    /// Name under `dists/`: `noble-security`.
    pub name: String,
    /// Archive path below the mirror's root: `ubuntu`, `debian`, `debian-security`.
    pub archive: String,
}

/// An archive with a mirror of its own, such as Ubuntu Pro's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtraArchive {
    /// Archive path below its mirror: `infra/ubuntu`.
    pub archive: String,
    /// The address above it.
    pub mirror: Url,
    /// Its components; empty means the same as everywhere.
    pub components: Vec<String>,
    /// Keyring that must have signed its suites, if not [`Base::keyring`].
    pub keyring: Option<PathBuf>,
    /// Where the token is that opens it; the token itself is read when it is used.
    pub token: Option<Token>,
}

/// Where a secret is kept. Never the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// In an environment variable.
    Env(String),
    /// In a file, absolute path.
    File(PathBuf),
}

/// A supported distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distro {
    /// Debian.
    Debian,
    /// Ubuntu.
    Ubuntu,
}

/// A processor architecture, by its Debian name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arch {
    /// x86-64.
    Amd64,
}

impl Arch {
    /// The name dpkg uses.
    pub const fn debian(self) -> &'static str {
        match self {
            Arch::Amd64 => "amd64",
        }
    }

    /// The directory of its libraries (Debian Policy, "multiarch").
    pub const fn triplet(self) -> &'static str {
        match self {
            Arch::Amd64 => "x86_64-linux-gnu",
        }
    }

    /// The C library's loader (ld.so(8)).
    pub const fn loader(self) -> &'static str {
        match self {
            Arch::Amd64 => "ld-linux-x86-64.so.2",
        }
    }
}

impl Base {
    /// The mirror of an archive that is not on the common one.
    pub fn extra_archive(&self, archive: &str) -> Option<&ExtraArchive> {
        self.extra_archives.iter().find(|e| e.archive == archive)
    }

    /// The components of an archive.
    pub fn components_of(&self, archive: &str) -> &[String] {
        match self.extra_archive(archive) {
            Some(extra) if !extra.components.is_empty() => &extra.components,
            _ => &self.components,
        }
    }

    /// The keyring that must have signed an archive's suites.
    pub fn keyring_of(&self, archive: &str) -> &Path {
        let own = self
            .extra_archive(archive)
            .and_then(|e| e.keyring.as_deref());
        own.unwrap_or(&self.keyring)
    }
}

impl Distro {
    /// Where the distribution keeps its archives as they once were; a path of
    /// archive and time follows. `None`: the profile's mirror has to say.
    pub const fn snapshots(self) -> Option<&'static str> {
        match self {
            Distro::Debian => None,
            Distro::Ubuntu => Some("https://snapshot.ubuntu.com"),
        }
    }

    /// The name in `/etc/os-release`, `ID=`.
    pub const fn id(self) -> &'static str {
        match self {
            Distro::Debian => "debian",
            Distro::Ubuntu => "ubuntu",
        }
    }
}

/// Where packages come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mirror {
    /// The archive this machine's own apt uses; only when it is the same distribution.
    Host,
    /// `http(s)://…` or `file:///…`, the parent of [`Suite::archive`].
    Url(Url),
}

/// The kernel and what boots it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// Package, such as `linux-image-generic`.
    pub package: String,
    /// Package with systemd-boot and its stub, used to make the disk, not installed.
    pub loader: String,
    /// Further words for the kernel's command line.
    pub cmdline: Vec<String>,
}

/// Packages beside the distribution's essential ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packages {
    /// Installed with what they depend on, without recommendations.
    pub add: Vec<String>,
    /// Never installed, even if something would pull them in.
    pub remove: Vec<String>,
}

/// The k3s that the gateway runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct K3s {
    /// As k3s names it: `v1.31.8+k3s1`.
    pub version: String,
    /// The static `k3s` binary.
    pub binary: Download,
    /// The air-gap image bundle, if any.
    pub images: Option<Download>,
}

/// Something fetched by digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Download {
    /// Where it is.
    pub origin: Origin,
    /// Of its bytes.
    pub sha256: Digest,
}

/// Where a download is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `https://…` or `http://…`.
    Url(Url),
    /// An absolute path on this machine.
    File(PathBuf),
}

/// A CA certificate, checked when the profile was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The file it came from; its stem names it in the image.
    pub file: PathBuf,
    /// One PEM block, normalised.
    pub pem: String,
}

/// A person who may log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Login name.
    pub name: String,
    /// Keys, in `authorized_keys` form. May be empty: cloud-init adds MAAS' keys.
    pub ssh_authorized_keys: Vec<String>,
    /// May use sudo without a password.
    pub sudo: bool,
}

/// Sizes in bytes; those of partitions are multiples of 1 MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskSizes {
    /// EFI system partition.
    pub esp: u64,
    /// Seed partition.
    pub seed: u64,
    /// Room for a root slot at first boot; at least the root image itself.
    pub root_slot: u64,
    /// Most bytes the whole disk may have: MAAS writes them to every machine.
    pub budget: u64,
}

impl DiskSizes {
    /// Room for the hash tree of a full root slot: one hash of 32 bytes per
    /// block of 4096, and 1 % for the upper levels and the superblock; a
    /// multiple of 1 MiB.
    pub const fn verity_slot(&self) -> u64 {
        let hashes = self.root_slot / 4096 * 32;
        (hashes + hashes / 100 + 8192).next_multiple_of(1 << 20)
    }
}

/// Something `postern build` can leave besides the manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Output {
    /// `disk.raw.gz`: what MAAS deploys.
    Ddgz,
    /// `disk.raw`, sparse.
    Raw,
    /// `disk.qcow2`, for virtual machines.
    Qcow2,
    /// `rootfs.tar.gz`: the root's files, for machines that MAAS partitions.
    Tgz,
}

impl Output {
    /// As profiles and `--formats` name it.
    pub const fn name(&self) -> &'static str {
        match self {
            Output::Ddgz => "ddgz",
            Output::Raw => "raw",
            Output::Qcow2 => "qcow2",
            Output::Tgz => "tgz",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verity_slot_holds_the_tree_of_a_full_root_slot() {
        let disk = DiskSizes {
            esp: 1 << 20,
            seed: 1 << 20,
            root_slot: 1 << 30,
            budget: 1 << 30,
        };
        // Levels of a tree over 262144 blocks: 2048, 16 and 1 blocks, and the superblock.
        assert!(disk.verity_slot() >= (2048 + 16 + 1 + 1) * 4096);
        assert_eq!(disk.verity_slot() % (1 << 20), 0);
    }
}
