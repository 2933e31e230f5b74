//! The shapes of profile and gateway file as JSON schema, for editors.
//!
//! The reader is the authority: it knows rules that a schema cannot say. A test
//! holds the two together, key by key.

#![expect(
    dead_code,
    reason = "these types are shapes: only their schema is made"
)]

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, schema_for};

/// The schema of a profile, or of a file that profiles extend.
pub fn profile() -> Schema {
    schema_for!(Profile)
}

/// The schema of a gateway file.
pub fn gateway() -> Schema {
    schema_for!(Gateway)
}

/// What goes into an image.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Profile {
    #[serde(rename = "apiVersion")]
    api_version: ApiVersion,
    /// A profile to start from, relative to this file. Mappings merge; packages,
    /// firmware, overlays and certificates append; everything else is replaced.
    extends: Option<String>,
    /// Name of the image: lower-case letters, digits and dashes.
    name: Option<String>,
    /// Version of the image: letters, digits, dots and dashes.
    version: Option<String>,
    base: Option<Base>,
    kernel: Option<Kernel>,
    /// Firmware packages.
    firmware: Option<Vec<String>>,
    packages: Option<Packages>,
    k3s: Option<K3s>,
    proxy: Option<ProfileProxy>,
    /// Files with one CA certificate each, PEM.
    certificates: Option<Vec<String>>,
    /// Who may log in. Without it: `spectro`, with sudo, with the keys that MAAS delivers.
    users: Option<Vec<User>>,
    /// Directories that mirror the root, laid over it in this order.
    overlays: Option<Vec<String>>,
    /// Values for the overlays' `*.tera` templates.
    vars: Option<BTreeMap<String, serde_json::Value>>,
    disk: Option<Disk>,
    /// What to make. Without it: `ddgz`.
    outputs: Option<Vec<Output>>,
}

#[derive(JsonSchema)]
enum ApiVersion {
    #[serde(rename = "postern/v1")]
    V1,
}

/// The distribution.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Base {
    distro: Option<Distro>,
    /// Code name: `noble`, `trixie`.
    release: Option<String>,
    /// Without it: `amd64`.
    arch: Option<Arch>,
    /// `host`, the archive of this machine's own apt, or the URL above the
    /// archives. Without it: `host`.
    mirror: Option<String>,
    /// The archives as they were at this time, `20260930T000000Z`, from Ubuntu's
    /// snapshot service, or below `mirror` if that is a URL, as Debian needs it.
    snapshot: Option<String>,
    /// Archives with a mirror of their own.
    archives: Option<Vec<Archive>>,
    /// Without it: `main`, on Ubuntu `universe` as well.
    components: Option<Vec<String>>,
    /// Without it: the release with its updates and security fixes.
    suites: Option<Vec<Suite>>,
    /// Keyring that must have signed the suites. Without it: the distribution's.
    keyring: Option<String>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Distro {
    Debian,
    Ubuntu,
}

#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Arch {
    Amd64,
}

/// An archive that is not on the common mirror.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Archive {
    /// Path below its mirror, as suites name it.
    archive: String,
    /// The address above it.
    mirror: String,
    /// Without it: as everywhere.
    components: Option<Vec<String>>,
    /// Keyring that must have signed its suites. Without it: `base.keyring`.
    keyring: Option<String>,
    /// Where the token is kept that opens it.
    token: Option<Token>,
}

/// Where a secret is kept: one of the two.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Token {
    /// Environment variable.
    env: Option<String>,
    /// File.
    file: Option<String>,
}

/// One suite of an archive.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Suite {
    /// Name under `dists/`.
    name: String,
    /// Path below the mirror: `ubuntu`, `debian-security`.
    archive: String,
}

/// The kernel's package, alone or with more to say.
#[derive(JsonSchema)]
#[serde(untagged)]
enum Kernel {
    Package(String),
    Full(FullKernel),
}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct FullKernel {
    /// Package with the kernel.
    package: Option<String>,
    /// Package with systemd-boot and its stub. Without it: `systemd-boot-efi`.
    loader: Option<String>,
    /// Further words for the kernel's command line.
    cmdline: Option<Vec<String>>,
}

/// Packages beside the distribution's essential ones.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Packages {
    /// Installed with what they depend on, without recommendations.
    add: Option<Vec<String>>,
    /// Never installed.
    remove: Option<Vec<String>>,
}

/// The k3s that the gateway runs.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct K3s {
    /// As k3s names it: `v1.31.8+k3s1`.
    version: Option<String>,
    /// The static binary.
    binary: Option<Download>,
    /// The air-gap images.
    images: Option<Download>,
}

/// Something fetched by digest, from one of two places.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Download {
    /// Where it is on the network.
    url: Option<String>,
    /// Where it is on this machine, relative to this file.
    file: Option<String>,
    /// The 64 digits that `sha256sum` prints.
    sha256: String,
}

/// The proxy of every machine with this image. Never with a password.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ProfileProxy {
    /// `http://host:port`, for http addresses.
    http: String,
    /// `http://host:port`, for https addresses.
    https: String,
    /// Names, `.suffixes`, addresses and networks reached directly; may be empty.
    no_proxy: Vec<String>,
}

/// Who may log in.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct User {
    /// Login name.
    name: String,
    /// Public keys.
    ssh_authorized_keys: Option<Vec<String>>,
    /// May become root without a password. Without it: no.
    sudo: Option<bool>,
}

/// Sizes, such as `128MiB`.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Disk {
    /// EFI system partition. Without it: 128MiB.
    esp: Option<String>,
    /// What MAAS and the install hook write to. Without it: 64MiB.
    seed: Option<String>,
    /// Room for one copy of the root. Without it: 1GiB.
    root_slot: Option<String>,
    /// Most that the whole disk may have, before compression; a build that
    /// exceeds it fails. Bytes, or a size. Without it: 1GiB.
    budget: Option<Budget>,
}

/// A number of bytes, or a size such as `1GiB`.
#[derive(JsonSchema)]
#[serde(untagged)]
enum Budget {
    Bytes(u64),
    Size(String),
}

#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Output {
    /// `disk.raw.gz`, for MAAS.
    Ddgz,
    /// `disk.raw`, sparse.
    Raw,
    /// `disk.qcow2`, for virtual machines.
    Qcow2,
    /// `rootfs.tar.gz`, the root's files, for machines that MAAS partitions.
    Tgz,
}

/// What one gateway is.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Gateway {
    #[serde(rename = "apiVersion")]
    api_version: ApiVersion,
    /// Name of the gateway in Palette: lower-case letters, digits and dashes.
    name: String,
    palette: Palette,
    network: Option<Network>,
    /// CA certificates, PEM or `{file: …}`.
    certificates: Option<Vec<Kept>>,
    registries: Option<Registries>,
    /// How many machines: 1 or 3. Without it: 1.
    nodes: Option<u32>,
    /// Which of them the file is for, from 1; `postern user-data` writes it.
    node: Option<u32>,
    /// DNS name or address that leads to the API server of all machines; goes
    /// with three. Without it: the virtual address.
    api_endpoint: Option<String>,
    /// A free IPv4 address of the machines' network, which they serve themselves
    /// with keepalived.
    virtual_address: Option<String>,
    /// What VRRP knows that address by in its network, 1 to 255. Without it: the
    /// last number of the address.
    virtual_router: Option<u8>,
    /// What machines join with; `postern deploy` makes one. A secret.
    cluster_token: Option<Kept>,
    maas: Option<Maas>,
    /// Public keys for the user `spectro`.
    ssh_authorized_keys: Option<Vec<String>>,
}

/// Where images come from. Certificates are always checked.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Registries {
    /// Asked before the registry that an image names.
    mirrors: Option<Vec<Mirror>>,
    /// Names and passwords, of registries and mirrors.
    logins: Option<Vec<Login>>,
    /// Whether a registry with mirrors is asked itself when they have not the
    /// image. Without it: true.
    fall_back: Option<bool>,
}

/// What is asked in place of a registry.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Mirror {
    /// `host` or `host:port`, as names of images begin; `*` for every registry
    /// without a mirror of its own.
    of: String,
    /// `https://host[:port][/path]`, asked in this order.
    at: Vec<String>,
    /// How names differ there.
    rewrite: Option<Vec<Rewrite>>,
}

/// A name that begins with `from` begins with `to` at the mirror.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Rewrite {
    /// Beginning of the name, without the registry; no pattern.
    from: String,
    /// What stands there instead.
    to: String,
}

/// Who the gateway is to a registry or mirror.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Login {
    /// `host` or `host:port`.
    registry: String,
    username: String,
    /// A secret.
    password: Kept,
}

/// The Palette that the gateway belongs to.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Palette {
    /// `https://host` or `https://host:port`, nothing after it.
    endpoint: String,
    pairing: Pairing,
    /// About how many machines reach Palette from the same address (NAT, proxy)
    /// and pair at the same time, from 1 to 100000; 50 unless given. They share
    /// its 10 requests a second and spread their first ones accordingly.
    #[schemars(range(min = 1, max = 100_000))]
    fleet: Option<u32>,
}

/// How the gateway proves whose it is. One of these.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Pairing {
    /// From Tenant Settings, Private Cloud Gateways; valid for 24 hours. A secret.
    pairing_code: Option<KeptOrObtained>,
    /// What Palette gives for a gateway in a cluster of one's own, fetched by
    /// the operator.
    manifests: Option<Manifests>,
    /// Of a tenant administrator: the machine fetches the manifests itself. A secret.
    api_key: Option<Kept>,
}

/// Manifests, or that `postern` is to get them with the operator's API key.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Manifests {
    /// `palette`, and nothing else.
    from: Option<String>,
    /// The manifest of jet, YAML.
    jet: Option<Kept>,
    /// The manifest of ally, YAML.
    ally: Option<Kept>,
    /// What Palette's command for ally has after `-n`.
    namespace: Option<String>,
    /// The gateway's uid in Palette.
    overlord_uid: Option<String>,
}

/// A value, where it is kept, or that Palette is asked for it.
#[derive(JsonSchema)]
#[serde(untagged)]
enum KeptOrObtained {
    Here(String),
    Elsewhere(Elsewhere),
    Obtained(Obtained),
}

/// What `postern` gets with the operator's API key.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Obtained {
    /// `palette`.
    from: String,
}

/// A value, or where it is kept.
#[derive(JsonSchema)]
#[serde(untagged)]
enum Kept {
    Here(String),
    Elsewhere(Elsewhere),
}

/// Where a value is kept. One of these.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Elsewhere {
    /// In a file, relative to this one.
    file: Option<String>,
    /// In an environment variable.
    env: Option<String>,
}

/// The network that the gateway is in.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Network {
    proxy: Option<GatewayProxy>,
    /// Names, `.suffixes`, addresses and networks reached without the proxy;
    /// goes with `proxy`, may be empty.
    no_proxy: Option<Vec<String>>,
    /// Pod network. Without it: 10.42.0.0/16.
    pod_cidr: Option<String>,
    /// Service network. Without it: 10.43.0.0/16.
    service_cidr: Option<String>,
    /// Name servers beside those that MAAS gives.
    dns: Option<Vec<String>>,
    /// Time servers in place of the distribution's.
    ntp: Option<Vec<String>>,
}

/// The proxy of this gateway, in place of the image's. May have a password.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct GatewayProxy {
    /// `http://[user[:password]@]host:port`, for http addresses.
    http: Kept,
    /// The same, for https addresses.
    https: Kept,
}

/// Which machine to ask MAAS for.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Maas {
    /// Availability zone.
    zone: Option<String>,
    /// Resource pool.
    pool: Option<String>,
    /// Tags that the machine must all have.
    tags: Option<Vec<String>>,
    /// DNS domain.
    domain: Option<String>,
    /// Cores, at least. Without it: 4.
    min_cpu: Option<u64>,
    /// Memory, at least. Without it: 8GiB.
    min_memory: Option<String>,
    /// Disk, at least. Without it: 60GiB.
    min_disk: Option<String>,
}
