//! Every path that both the builder and the agent know.

/// The gateway file that cloud-init writes from user-data, mode 0600.
pub const GATEWAY_FILE: &str = "/etc/postern/gateway.yaml";
/// What the image bakes in ([`super::image::ImageFacts`]), on the verified root.
pub const IMAGE_FACTS: &str = "/usr/lib/postern/image.json";
/// The agent itself, on the verified root.
pub const AGENT: &str = "/usr/lib/postern/postern-agent";
/// Private CA certificates baked into the image: one PEM file each, as
/// `update-ca-certificates` expects them.
pub const IMAGE_CERTIFICATES: &str = "/usr/local/share/ca-certificates";
/// The system's CA bundle, which OpenSSL, Go, Python and curl read on Debian and Ubuntu.
pub const CA_BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";
/// The k3s binary, on the verified root.
pub const K3S: &str = "/usr/local/bin/k3s";
/// Air-gapped k3s images on the verified root, bind-mounted where k3s looks for them.
pub const K3S_IMAGES: &str = "/usr/lib/postern/k3s-images";
/// Where k3s looks for images to preload (docs.k3s.io/installation/airgap).
pub const K3S_IMAGES_MOUNT: &str = "/var/lib/rancher/k3s/agent/images";
/// What k3s' API server writes down of each request, on the verified root.
pub const K3S_AUDIT_POLICY: &str = "/usr/lib/postern/k3s/audit.yaml";
/// What k3s' API server admits, on the verified root.
pub const K3S_ADMISSION: &str = "/usr/lib/postern/k3s/admission.yaml";
/// k3s' configuration (docs.k3s.io/installation/configuration).
pub const K3S_CONFIG: &str = "/etc/rancher/k3s/config.yaml";
/// Mirrors and logins for images (docs.k3s.io/installation/private-registry).
pub const K3S_REGISTRIES: &str = "/etc/rancher/k3s/registries.yaml";
/// Environment of the k3s service; k3s reads its proxy settings from here.
pub const K3S_ENV: &str = "/etc/systemd/system/k3s.service.env";
/// MAAS' datasource with the machine's key, as the install hook names it.
pub const MAAS_CONFIG: &str = "/etc/cloud/cloud.cfg.d/90_maas_cloud_config.cfg";
/// Where cloud-init and the agent report to MAAS, as the install hook names it.
pub const MAAS_REPORTING: &str = "/etc/cloud/cloud.cfg.d/90_maas_cloud_init_reporting.cfg";
/// What the agent did so far; survives reboots and power cuts.
pub const JOURNAL: &str = "/var/lib/postern/journal.json";
/// What the agent is doing now, for `postern-agent status` and the console.
pub const STATUS: &str = "/run/postern/status.json";
/// The same for Prometheus: a file for node exporter's textfile collector.
pub const METRICS: &str = "/run/postern/metrics.prom";
/// Where the seed partition is mounted, read-only, in the running system.
pub const SEED_MOUNT: &str = "/run/postern/seed";

/// Paths on the seed partition, relative to its root.
pub mod seed {
    /// The install hook: curtin runs it if it is a regular, executable file
    /// (curtin `commands/curthooks.py`).
    pub const HOOK: &str = "curtin/curtin-hooks";
    /// [`super::super::seed::SeedManifest`] as JSON.
    pub const MANIFEST: &str = "manifest.json";
    /// Laid over the image's `/etc` and under the state's.
    pub const ETC: &str = "etc";
}
