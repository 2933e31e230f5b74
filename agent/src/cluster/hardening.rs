//! k3s' flags for hardening: less to attack, more in the audit log, and bounds on
//! what a busy cluster takes from its machine.
//!
//! From k3s' "CIS Hardening Guide" (docs.k3s.io/security/hardening-guide). What
//! it asks for and k3s has by itself is left out: no anonymous requests, RBAC,
//! TLS 1.2 for the API server, the kubelet's read-only port closed. What it asks
//! for and a gateway cannot have is in `docs/decisions/0011`.

use postern_contract::paths;

/// Who did what, for root alone. With the bounds of [`api_server`] at most 120 MB:
/// five old files of 20 MB and the one that is written.
pub const AUDIT_LOG: &str = "/var/lib/rancher/k3s/server/logs/audit.log";

/// Ciphers with forward secrecy and authenticated encryption, which the kubelet
/// takes in TLS 1.2; TLS 1.3 has no others.
const CIPHERS: &str = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,\
    TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,\
    TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305,TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305";

/// Flags of the API server.
pub fn api_server() -> Vec<String> {
    vec![
        // The first is k3s' own; naming plugins replaces its list.
        "enable-admission-plugins=NodeRestriction,EventRateLimit".to_owned(),
        format!("admission-control-config-file={}", paths::K3S_ADMISSION),
        format!("audit-policy-file={}", paths::K3S_AUDIT_POLICY),
        format!("audit-log-path={AUDIT_LOG}"),
        "audit-log-maxage=30".to_owned(),
        "audit-log-maxbackup=5".to_owned(),
        "audit-log-maxsize=20".to_owned(),
    ]
}

/// Flags of the controller manager: pods that ended are kept for a look, but
/// not twelve thousand of them, the default.
pub fn controller_manager() -> Vec<String> {
    vec!["terminated-pod-gc-threshold=100".to_owned()]
}

/// Flags of the kubelet.
pub fn kubelet(reserved: &Reserved) -> Vec<String> {
    let Reserved { cpu, memory } = reserved;
    vec![
        format!("kube-reserved=cpu={cpu}m,memory={memory}Mi"),
        format!("system-reserved=cpu={SYSTEM_CPU}m,memory={SYSTEM_MEMORY}Mi"),
        // The file system of pods and images is the one of etcd and of the
        // agent's journal: pods go before those have no room. All four signals,
        // because naming one takes away the defaults of the others.
        "eviction-hard=memory.available<200Mi,nodefs.available<10%,nodefs.inodesFree<5%,imagefs.available<10%".to_owned(),
        // A fork bomb in one pod ends there.
        "pod-max-pids=4096".to_owned(),
        "streaming-connection-idle-timeout=5m".to_owned(),
        "tls-min-version=VersionTLS12".to_owned(),
        format!("tls-cipher-suites={CIPHERS}"),
    ]
}

/// For the agent, sshd, the journal and keepalived, in thousandths of a core.
const SYSTEM_CPU: u32 = 100;
/// The same, in MiB.
const SYSTEM_MEMORY: u64 = 256;

/// What pods cannot have, because k3s itself needs it: API server, etcd,
/// controllers, kubelet and containerd are one service on the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserved {
    /// Thousandths of a core.
    pub cpu: u32,
    /// MiB.
    pub memory: u64,
}

impl Reserved {
    /// Of a machine with so many cores and bytes: an eighth, within what k3s was
    /// measured to take (docs.k3s.io/reference/resource-profiling: 6 to 30 % of a
    /// core, and 1.6 GB together with its workload).
    pub fn of(cpus: usize, memory: u64) -> Self {
        const STEP: u64 = 64;
        let eighth = memory / 8 / (1 << 20) / STEP * STEP;
        let cpus = u32::try_from(cpus).unwrap_or(u32::MAX);
        Self {
            cpu: cpus.saturating_mul(1000 / 8).clamp(200, 1000),
            memory: eighth.clamp(256, 1536),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    const AUDIT: &str = include_str!("../../../overlays/appliance/usr/lib/postern/k3s/audit.yaml");
    const ADMISSION: &str =
        include_str!("../../../overlays/appliance/usr/lib/postern/k3s/admission.yaml");
    const SYSCTL: &str =
        include_str!("../../../overlays/appliance/usr/lib/sysctl.d/60-postern-k3s.conf");

    #[test]
    fn an_eighth_of_the_machine_is_k3s() {
        for (cpus, gib, cpu, memory) in [
            (1, 1, 200, 256),
            (2, 2, 250, 256),
            (4, 8, 500, 1024),
            (8, 15, 1000, 1536),
            (128, 512, 1000, 1536),
        ] {
            let reserved = Reserved::of(cpus, gib << 30);
            assert_eq!(reserved, Reserved { cpu, memory }, "{cpus} {gib}");
        }
        // A few pages that the firmware took change nothing.
        let less = (8 << 30) - (100 << 20);
        assert_eq!(Reserved::of(4, less).memory, 960);
        assert_eq!(Reserved::of(4, less - 4096).memory, 960);
    }

    #[test]
    fn the_audit_log_never_holds_a_body() {
        let policy: Value = serde_saphyr::from_str(AUDIT).unwrap();
        let rules = policy["rules"].as_array().unwrap();
        let levels: BTreeSet<_> = rules.iter().map(|r| r["level"].as_str().unwrap()).collect();
        assert_eq!(levels, BTreeSet::from(["Metadata", "None"]));
        let last = rules.last().unwrap();
        assert_eq!(last, &serde_json::json!({"level": "Metadata"}));
        // Nothing is left out that changes something, but for events and leases.
        for rule in &rules[..rules.len() - 1] {
            let resources = rule["resources"].as_array().into_iter().flatten();
            let names: Vec<_> = resources
                .flat_map(|r| r["resources"].as_array().unwrap().clone())
                .collect();
            let small = !names.is_empty() && names.iter().all(|n| n == "events" || n == "leases");
            let verbs = rule["verbs"].as_array().into_iter().flatten();
            let reads = ["get", "list", "watch"];
            let mut verbs = verbs.map(|v| v.as_str().unwrap()).peekable();
            let only_reads = verbs.peek().is_some() && verbs.all(|v| reads.contains(&v));
            let paths = rule["nonResourceURLs"].is_array();
            assert!(small || only_reads || paths, "{rule}");
        }
    }

    #[test]
    fn admission_configures_what_is_switched_on() {
        let admission: Value = serde_saphyr::from_str(ADMISSION).unwrap();
        let plugins = admission["plugins"].as_array().unwrap();
        let names: Vec<_> = plugins
            .iter()
            .map(|p| p["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["PodSecurity", "EventRateLimit"]);
        let defaults = &plugins[0]["configuration"]["defaults"];
        assert_eq!(defaults["enforce"], "privileged");
        assert_eq!(defaults["audit"], "baseline");
        let flags = api_server();
        assert!(flags[0].contains("EventRateLimit") && flags[0].contains("NodeRestriction"));
    }

    #[test]
    fn the_kernel_is_as_the_kubelet_wants_it() {
        // kubernetes, pkg/util/sysctl: what the kubelet compares at its start.
        let wanted = [
            ("vm.overcommit_memory", "1"),
            ("vm.panic_on_oom", "0"),
            ("kernel.panic", "10"),
            ("kernel.panic_on_oops", "1"),
            ("kernel.keys.root_maxkeys", "1000000"),
            ("kernel.keys.root_maxbytes", "25000000"),
        ];
        let lines = SYSCTL.lines().filter(|l| !l.starts_with('#'));
        let set: Vec<_> = lines.map(|l| l.split_once(" = ").unwrap()).collect();
        assert_eq!(set, wanted);
    }
}
