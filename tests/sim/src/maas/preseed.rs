//! What MAAS hands to curtin, and curtin to the install hook.
//!
//! Keys, paths and commands as MAAS 3.7 renders them for a custom ddgz image
//! whose base is Ubuntu (seen on a real MAAS). Left out, because a dd install
//! ignores it or a rehearsal has none of it: `storage`, `apt`, `kernel-crash-dumps`
//! and `90_maas_ubuntu_sso.cfg`.

use serde_json::{Value, json};

use super::oauth::Credentials;
use super::yaml;

/// One machine's deployment, as MAAS knows it.
#[derive(Clone, Debug)]
pub struct Preseed {
    /// Scheme, host and port of MAAS as the *machine* reaches it, without a
    /// slash at the end; a guest of QEMU's user network: `http://10.0.2.2:PORT`.
    pub region: String,
    /// MAAS' name for the machine.
    pub system_id: String,
    /// The machine's key.
    pub credentials: Credentials,
    /// Name of the boot resource that is deployed.
    pub image: String,
    /// Network configuration, netplan version 2, without the key `network`.
    pub network: Value,
}

impl Preseed {
    /// Where the machine's cloud-init finds its metadata.
    pub fn metadata_url(&self) -> String {
        format!("{}/MAAS/metadata/", self.region)
    }

    /// Where curtin and cloud-init report.
    pub fn status_url(&self) -> String {
        format!("{}/MAAS/metadata/status/{}", self.region, self.system_id)
    }

    /// Where curtin fetches the image.
    pub fn image_url(&self) -> String {
        let (region, image) = (&self.region, &self.image);
        format!("{region}/images/5747a9d/custom/amd64/generic/{image}/uploaded/root-dd.gz")
    }

    /// What is in the file that curtin's variable `CONFIG` names: the merged
    /// configuration. Holds credentials.
    pub fn curtin_config(&self) -> Value {
        let mut webhook = self.webhook();
        webhook["level"] = json!("DEBUG");
        json!({
            "cloudconfig": self.cloudconfig(),
            "install": {
                "log_file": "/tmp/install.log",
                "error_tarfile": "/tmp/curtin-logs.tar",
                "post_files": ["/tmp/install.log", "/tmp/curtin-logs.tar"],
            },
            "late_commands": self.late_commands(),
            "network": self.network,
            "network_commands": {"builtin": ["curtin", "net-meta", "custom"]},
            "partitioning_commands": {"builtin": ["curtin", "block-meta", "custom"]},
            "reporting": {"maas": webhook},
            "showtrace": true,
            "sources": {"00": format!("dd-gz:{}", self.image_url())},
            "verbosity": 3,
        })
    }

    /// What is in the file that curtin's variable `OUTPUT_NETWORK_CONFIG` names.
    pub fn network_config(&self) -> String {
        yaml::text(&json!({"network": self.network}))
    }

    /// What the machine's cloud-init needs to find MAAS: contents and the paths
    /// that MAAS would like them at. curtin leaves them to the hook.
    fn cloudconfig(&self) -> Value {
        let Credentials {
            consumer_key,
            token_key,
            token_secret,
        } = &self.credentials;
        let datasource = json!({"datasource": {"MAAS": {
            "consumer_key": consumer_key,
            "metadata_url": self.metadata_url(),
            "token_key": token_key,
            "token_secret": token_secret,
        }}});
        let reporting = json!({"reporting": {"maas": self.webhook()}});
        let folder = "/etc/cloud/cloud.cfg.d";
        json!({
            "maas-datasource": {
                "content": "datasource_list: [ MAAS ]",
                "path": format!("{folder}/90_maas_datasource.cfg"),
            },
            "maas-cloud-config": {
                "content": format!("#cloud-config\n{}", yaml::text(&datasource)),
                "path": format!("{folder}/90_maas_cloud_config.cfg"),
            },
            "maas-reporting": {
                "content": format!("#cloud-config\n{}", yaml::text(&reporting)),
                "path": format!("{folder}/90_maas_cloud_init_reporting.cfg"),
            },
        })
    }

    fn webhook(&self) -> Value {
        json!({
            "consumer_key": self.credentials.consumer_key,
            "endpoint": self.status_url(),
            "token_key": self.credentials.token_key,
            "token_secret": self.credentials.token_secret,
            "type": "webhook",
        })
    }

    fn late_commands(&self) -> Value {
        let (region, id) = (&self.region, &self.system_id);
        let by_id = format!("{region}/MAAS/metadata/latest/by-id/{id}/");
        let in_target = |check: &str| json!(["curtin", "in-target", "--", "bash", "-c", check]);
        json!({
            "98-validate-custom-image-has-cloud-init": in_target("cloud-init --version || exit 1"),
            "99-validate-custom-image-has-netplan": in_target("netplan info || exit 1"),
            "maas": ["wget", "--no-proxy", by_id, "--post-data", "op=netboot_off", "-O", "/dev/null"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preseed() -> Preseed {
        Preseed {
            region: "http://10.0.2.2:5248".into(),
            system_id: "abc123".into(),
            credentials: Credentials {
                consumer_key: "CK".into(),
                token_key: "TK".into(),
                token_secret: "TS".into(),
            },
            image: "edge-1".into(),
            network: json!({"version": 2, "ethernets": {"ens3": {"dhcp4": true}}}),
        }
    }

    #[test]
    fn cloud_init_gets_the_metadata_url() {
        let config = preseed().curtin_config();
        let files = config["cloudconfig"].as_object().unwrap();
        let paths: Vec<_> = files
            .values()
            .map(|file| file["path"].as_str().unwrap())
            .collect();
        assert_eq!(
            paths,
            [
                "/etc/cloud/cloud.cfg.d/90_maas_cloud_config.cfg",
                "/etc/cloud/cloud.cfg.d/90_maas_datasource.cfg",
                "/etc/cloud/cloud.cfg.d/90_maas_cloud_init_reporting.cfg",
            ]
        );
        let datasource = files["maas-cloud-config"]["content"].as_str().unwrap();
        assert_eq!(
            datasource,
            "#cloud-config\ndatasource:\n  MAAS:\n    consumer_key: \"CK\"\n    \
             metadata_url: \"http://10.0.2.2:5248/MAAS/metadata/\"\n    \
             token_key: \"TK\"\n    token_secret: \"TS\"\n"
        );
        let reporting = files["maas-reporting"]["content"].as_str().unwrap();
        let endpoint = "endpoint: \"http://10.0.2.2:5248/MAAS/metadata/status/abc123\"";
        assert!(reporting.contains(endpoint), "{reporting}");
    }

    #[test]
    fn curtin_gets_its_image_and_commands() {
        let config = preseed().curtin_config();
        let source = config["sources"]["00"].as_str().unwrap();
        assert!(
            source.starts_with("dd-gz:http://10.0.2.2:5248/images/"),
            "{source}"
        );
        assert_eq!(config["late_commands"].as_object().unwrap().len(), 3);
        assert_eq!(config["network"]["version"], 2);
        let network = preseed().network_config();
        assert_eq!(
            network,
            "network:\n  ethernets:\n    ens3:\n      dhcp4: true\n  version: 2\n"
        );
    }

    #[test]
    fn nothing_secret_shows_in_debug() {
        assert!(!format!("{:?}", preseed()).contains("TS"));
    }
}
