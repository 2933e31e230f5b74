//! The profile: what a file may say, and what the rest of the builder works
//! with, in one. The reader and the JSON schema are both derived from it; the
//! comments are the descriptions in the schema.
//!
//! Once loaded every path in it is absolute, every rule was kept, every default
//! is filled in; nothing after the loader has to check whether a value is set.

use std::collections::BTreeMap;
use std::path::PathBuf;

use postern_contract::digest::Digest;
use postern_contract::gateway::ProxySettings;
use postern_contract::problem::Problem;
use schemars::{JsonSchema, Schema, json_schema};
use serde::{Deserialize, Serialize};
use url::Url;

use super::base::Base;
use super::disk::DiskSizes;

/// What goes into an image.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Profile {
    /// The file it was read from, absolute.
    #[serde(skip)]
    pub file: PathBuf,
    /// What is accepted, but probably not meant.
    #[serde(skip)]
    pub warnings: Vec<Problem>,
    /// Name of the image: lower-case letters, digits and dashes.
    #[schemars(example = &"my-gateway")]
    pub name: String,
    /// Version of the image: letters, digits, dots and dashes.
    #[schemars(example = &"0.1.0")]
    pub version: String,
    /// The distribution it is made of.
    pub base: Base,
    /// The kernel's package, alone or with more to say.
    #[schemars(example = &"linux-image-generic")]
    pub kernel: Kernel,
    /// Firmware packages.
    #[serde(default)]
    pub firmware: Vec<String>,
    /// Packages beside the distribution's essential ones.
    #[serde(default)]
    pub packages: Packages,
    /// The k3s that the gateway runs.
    pub k3s: K3s,
    /// The proxy of every machine with this image, unless its gateway file names
    /// one. Never with a password.
    pub proxy: Option<ProxySettings>,
    /// Files with CA certificates, PEM. The name of the file names them in the
    /// image, with a number if there are several.
    #[serde(default)]
    #[schemars(with = "Vec<PathBuf>")]
    pub certificates: Vec<Certificate>,
    /// Who may log in; root never does. Without it: `spectro`, with sudo, with
    /// the keys that MAAS delivers.
    #[serde(default = "default_users")]
    pub users: Vec<User>,
    /// Directories that mirror the root, laid over it in this order, and over the overlay
    /// that makes an image a gateway, which every image has.
    #[serde(default)]
    pub overlays: Vec<PathBuf>,
    /// Values for the overlays' `*.tera` templates.
    #[serde(default)]
    pub vars: BTreeMap<String, serde_json::Value>,
    /// Sizes of partitions, and what the disk may come to.
    #[serde(default)]
    pub disk: DiskSizes,
    /// What to make besides the manifest.
    #[serde(default = "default_outputs")]
    #[schemars(length(min = 1))]
    pub outputs: Vec<Output>,
}

/// As on Palette's own gateways.
fn default_users() -> Vec<User> {
    vec![User {
        name: "spectro".to_owned(),
        ssh_authorized_keys: Vec::new(),
        sudo: true,
    }]
}

/// What MAAS deploys.
fn default_outputs() -> Vec<Output> {
    vec![Output::Ddgz]
}

/// The kernel and what boots it; or only its package.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(transform = or_package)]
pub struct Kernel {
    /// Package with the kernel.
    #[schemars(example = &"linux-image-generic")]
    pub package: String,
    /// Package with systemd-boot and its stub, used to make the disk, not installed.
    #[serde(default = "default_loader")]
    pub loader: String,
    /// Further words for the kernel's command line.
    #[serde(default)]
    pub cmdline: Vec<String>,
}

/// Where both distributions keep systemd-boot and its stub.
fn default_loader() -> String {
    "systemd-boot-efi".to_owned()
}

/// A kernel that is text is [`Kernel::package`].
fn or_package(schema: &mut Schema) {
    let mapping = std::mem::take(schema);
    *schema = json_schema!({"anyOf": [{"type": "string"}, mapping]});
}

/// Packages beside the distribution's essential ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Packages {
    /// Installed with what they depend on, without recommendations.
    pub add: Vec<String>,
    /// Never installed, even if something would pull them in.
    pub remove: Vec<String>,
    /// Which documentation is installed.
    pub docs: Docs,
    /// Answers to questions that packages ask while they are configured, each a line
    /// as `debconf-set-selections` reads it: package, question, type, value. Never a
    /// password: everybody with the image could read it.
    #[schemars(example = &["acme acme/accept-licence boolean true"])]
    pub debconf: Vec<String>,
}

/// Which documentation is installed beside licences.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Docs {
    /// Packages that keep theirs, because a script of theirs or a person needs it.
    pub keep: Vec<String>,
}

/// The k3s that the gateway runs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct K3s {
    /// As k3s names it.
    #[schemars(example = &"v1.31.8+k3s1")]
    pub version: String,
    /// The static `k3s` binary.
    pub binary: Download,
    /// The air-gap images.
    pub images: Option<Download>,
}

/// Something fetched by digest, from one of two places.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Download {
    /// Where it is.
    #[serde(flatten)]
    pub origin: Origin,
    /// The 64 digits that `sha256sum` prints.
    #[schemars(with = "String")]
    pub sha256: Digest,
}

/// Where a download is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// On the network.
    #[schemars(with = "String")]
    Url(Url),
    /// On this machine.
    File(PathBuf),
}

/// A CA certificate, checked when the profile was read.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Certificate {
    /// The file it came from; its stem names it in the image.
    pub file: PathBuf,
    /// One PEM block, normalised.
    pub pem: String,
}

/// Who may log in.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct User {
    /// Login name.
    #[schemars(example = &"spectro")]
    pub name: String,
    /// Public keys. May be empty: cloud-init adds MAAS' keys.
    #[serde(default)]
    pub ssh_authorized_keys: Vec<String>,
    /// May become root without a password.
    #[serde(default)]
    pub sudo: bool,
}

/// Something `postern build` can leave besides the manifest.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    clap::ValueEnum,
    Deserialize,
    Serialize,
    JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
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
