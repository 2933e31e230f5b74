//! What the sandbox makes. The plan is its only input, so its
//! digest is the cache key of what comes out.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// One run of the sandbox.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// Where the scratch root is mounted or made; an empty directory outside the store.
    pub scratch: PathBuf,
    /// Whether the scratch root may live in memory.
    pub in_memory: bool,
    /// Every time stamp is clamped to this, seconds since 1970.
    pub epoch: u64,
    /// Where the root comes from.
    pub root: RootFrom,
    /// The initrd to make from it, if any.
    pub initrd: Option<InitrdPlan>,
}

/// Where the sandbox takes its root from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum RootFrom {
    /// Install packages and leave the result as a layer.
    Install(InstallPlan),
    /// An earlier run's layer.
    Layer(PathBuf),
}

/// Packages to install.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InstallPlan {
    /// The store's directory of blobs, shown read-only inside.
    pub blobs: PathBuf,
    /// All of them, in the order of the lock.
    pub packages: Vec<Package>,
    /// Packages whose documentation is installed.
    pub keep_docs: Vec<String>,
    /// Answers to the packages' questions, as debconf-set-selections(1) reads them.
    pub debconf: Vec<String>,
    /// Where to leave the layer, an uncompressed tar.
    pub out: PathBuf,
}

/// One locked package and its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// Package name.
    pub name: String,
    /// Version as dpkg writes it.
    pub version: String,
    /// `amd64` or `all`.
    pub arch: String,
    /// The `.deb`, relative to [`InstallPlan::blobs`].
    pub blob: PathBuf,
    /// Needed before any maintainer script can run.
    pub essential: bool,
}

/// An initrd to make.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InitrdPlan {
    /// Where to leave the initrd, an uncompressed cpio archive.
    pub out: PathBuf,
}

impl Package {
    /// A file name that a person recognises in dpkg's messages. Epochs lose
    /// their colon, as in the archive's own file names.
    pub fn file_name(&self) -> String {
        let version = self.version.replace(':', "%3a");
        format!("{}_{version}_{}.deb", self.name, self.arch)
    }
}
