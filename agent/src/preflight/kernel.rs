//! Whether the running kernel can carry k3s and what Palette runs in it.
//!
//! Module and setting names are those of k3s' requirements and of its hardening
//! guide; the numbers of files and watches are what the appliance sets itself,
//! after Palette's troubleshooting page on "too many open files".

use super::Check;
use crate::host::kernel::{Kernel, Presence};

/// Without these k3s refuses to start, or pods have no limits.
const CONTROLLERS: [&str; 3] = ["cpu", "memory", "pids"];

/// What is needed of the kernel, for what, and by which module: any of a row does.
const FEATURES: [(&str, &[&str]); 5] = [
    ("file systems of containers", &["overlay"]),
    ("services between pods of one machine", &["br_netfilter"]),
    ("connection tracking", &["nf_conntrack"]),
    ("the network between machines (flannel)", &["vxlan"]),
    ("the rules of services", &["nf_tables", "ip_tables"]),
];

/// How a setting must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// Exactly so, or pods are cut off.
    Must(i64),
    /// Exactly so, or the kubelet refuses its place (`protect-kernel-defaults`).
    Should(i64),
    /// So much at least, or busy gateways run out.
    AtLeast(i64),
}

const SETTINGS: [(&str, Need); 11] = [
    ("net.ipv4.ip_forward", Need::Must(1)),
    ("net.bridge.bridge-nf-call-iptables", Need::Must(1)),
    ("fs.file-max", Need::AtLeast(1_000_000)),
    ("fs.inotify.max_user_instances", Need::AtLeast(8192)),
    ("fs.inotify.max_user_watches", Need::AtLeast(524_288)),
    ("vm.overcommit_memory", Need::Should(1)),
    ("vm.panic_on_oom", Need::Should(0)),
    ("kernel.panic", Need::Should(10)),
    ("kernel.panic_on_oops", Need::Should(1)),
    ("kernel.keys.root_maxkeys", Need::Should(1_000_000)),
    ("kernel.keys.root_maxbytes", Need::Should(25_000_000)),
];

/// The modules that [`kernel`] judges.
pub fn modules() -> impl Iterator<Item = &'static str> {
    FEATURES
        .into_iter()
        .flat_map(|(_, any)| any.iter().copied())
}

/// The settings that [`kernel`] judges.
pub fn settings() -> impl Iterator<Item = &'static str> {
    SETTINGS.into_iter().map(|(name, _)| name)
}

/// Every check on the kernel.
pub fn kernel(kernel: &Kernel) -> Vec<Check> {
    vec![cgroups(kernel), features(kernel), set(kernel), swap(kernel)]
}

fn cgroups(kernel: &Kernel) -> Check {
    const NAME: &str = "cgroups";
    let Some(there) = &kernel.controllers else {
        return Check::fail(
            NAME,
            "/sys/fs/cgroup is not cgroup v2",
            "boot without `systemd.unified_cgroup_hierarchy=0`: Kubernetes from 1.31 on needs cgroup v2",
        );
    };
    let missing: Vec<_> = CONTROLLERS
        .into_iter()
        .filter(|name| !there.contains(*name))
        .collect();
    if missing.is_empty() {
        let there: Vec<_> = there.iter().map(String::as_str).collect();
        return Check::pass(NAME, format!("v2 with {}", there.join(", ")));
    }
    Check::fail(
        NAME,
        format!("cgroup v2 without {}", missing.join(", ")),
        "boot without `cgroup_disable=`, with a kernel that has these controllers",
    )
}

fn features(kernel: &Kernel) -> Check {
    const NAME: &str = "kernel";
    let of = |name: &str| kernel.modules.get(name).copied();
    let best = |any: &[&str], wanted: Presence| any.iter().any(|name| of(name) == Some(wanted));
    let (mut absent, mut unseen) = (Vec::new(), Vec::new());
    for (what, any) in FEATURES {
        let named = format!("{} for {what}", any.join(" or "));
        if best(any, Presence::Here) || best(any, Presence::Loadable) {
            continue;
        }
        match best(any, Presence::Unknown) {
            true => unseen.push(named),
            false => absent.push(named),
        }
    }
    let release = &kernel.release;
    if !absent.is_empty() {
        return Check::fail(
            NAME,
            format!("Linux {release} has no {}", absent.join(", no ")),
            "build the image with a kernel package that has these modules (`kernel.package` in the profile)",
        );
    }
    if !unseen.is_empty() {
        return Check::warn(
            NAME,
            format!(
                "Linux {release} has not loaded {}, and the list of its modules cannot be read",
                unseen.join(", nor ")
            ),
            "try `modprobe` for each; the image names them in /usr/lib/modules-load.d/postern.conf",
        );
    }
    let names: Vec<_> = modules()
        .filter(|name| matches!(of(name), Some(Presence::Here | Presence::Loadable)))
        .collect();
    Check::pass(NAME, format!("Linux {release} with {}", names.join(", ")))
}

fn set(kernel: &Kernel) -> Check {
    const NAME: &str = "sysctl";
    const REMEDY: &str = "remove from /etc/sysctl.d what overrides /usr/lib/sysctl.d/60-postern.conf, then run `sysctl --system`";
    let (mut broken, mut other) = (Vec::new(), Vec::new());
    for (name, need) in SETTINGS {
        let is = kernel.settings.get(name).copied().flatten();
        let (met, wanted) = match (need, is) {
            (Need::Must(v) | Need::Should(v), is) => (is == Some(v), format!("{v}")),
            (Need::AtLeast(v), is) => (is.is_some_and(|is| is >= v), format!("at least {v}")),
        };
        if met {
            continue;
        }
        let is = is.map_or("absent".to_owned(), |is| is.to_string());
        let difference = format!("{name} is {is}, not {wanted}");
        // An absent one is its module's matter, which is a check of its own.
        match need {
            Need::Must(_) if is != "absent" => broken.push(difference),
            _ => other.push(difference),
        }
    }
    if broken.is_empty() && other.is_empty() {
        return Check::pass(
            NAME,
            format!("{} settings as k3s needs them", SETTINGS.len()),
        );
    }
    let failed = !broken.is_empty();
    broken.append(&mut other);
    let evidence = broken.join(", ");
    match failed {
        true => Check::fail(NAME, evidence, REMEDY),
        false => Check::warn(NAME, evidence, REMEDY),
    }
}

fn swap(kernel: &Kernel) -> Check {
    if kernel.swap.is_empty() {
        return Check::pass("swap", "none");
    }
    Check::warn(
        "swap",
        format!("this machine swaps to {}", kernel.swap.join(", ")),
        "turn swap off (`swapoff -a`, and remove it from /etc/fstab): with swap, memory limits of pods do not hold",
    )
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    /// Every file of a folder, in their order.
    fn all_of(folder: &str) -> String {
        let entries = fs_err::read_dir(folder).unwrap();
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        let texts = paths
            .iter()
            .map(|path| fs_err::read_to_string(path).unwrap());
        texts.collect()
    }

    /// A kernel as the appliance's files set it.
    fn appliance() -> Kernel {
        let text = all_of(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../overlays/appliance/usr/lib/sysctl.d"
        ));
        let set = |wanted: &str| {
            let lines = text.lines().filter_map(|line| line.split_once('='));
            let mut values = lines.filter(|(name, _)| name.trim() == wanted);
            values
                .next()
                .map(|(_, value)| value.trim().parse().unwrap())
        };
        let text = include_str!("../../../overlays/appliance/usr/lib/modules-load.d/postern.conf");
        let loaded = |name: &str| match text.lines().any(|line| line == name) {
            true => Presence::Here,
            false => Presence::Absent,
        };
        Kernel {
            release: "6.12.1".to_owned(),
            controllers: Some(CONTROLLERS.map(str::to_owned).into()),
            modules: modules().map(|name| (name, loaded(name))).collect(),
            settings: settings().map(|name| (name, set(name))).collect(),
            swap: Vec::new(),
        }
    }

    fn verdicts(of: &Kernel) -> Vec<(String, Verdict)> {
        let checks = kernel(of);
        for check in &checks {
            assert_eq!(check.remedy.is_none(), check.verdict == Verdict::Pass);
        }
        let all = checks.into_iter().map(|c| (c.name, c.verdict));
        all.filter(|(_, verdict)| *verdict != Verdict::Pass)
            .collect()
    }

    #[test]
    fn the_appliance_sets_what_is_needed() {
        assert_eq!(verdicts(&appliance()), []);
    }

    #[test]
    fn each_lack_is_named_with_its_weight() {
        type Change = fn(&mut Kernel);
        let rows: [(&str, Verdict, &str, Change); 10] = [
            ("cgroups", Verdict::Fail, "not cgroup v2", |k| {
                k.controllers = None
            }),
            ("cgroups", Verdict::Fail, "without memory", |k| {
                k.controllers.as_mut().unwrap().remove("memory");
            }),
            ("kernel", Verdict::Fail, "no vxlan for", |k| {
                k.modules.insert("vxlan", Presence::Absent);
            }),
            ("kernel", Verdict::Fail, "no nf_tables or ip_tables", |k| {
                k.modules.insert("nf_tables", Presence::Absent);
                k.modules.insert("ip_tables", Presence::Absent);
            }),
            ("kernel", Verdict::Warn, "not loaded overlay", |k| {
                k.modules.insert("overlay", Presence::Unknown);
            }),
            ("sysctl", Verdict::Fail, "ip_forward is 0, not 1", |k| {
                k.settings.insert("net.ipv4.ip_forward", Some(0));
            }),
            ("sysctl", Verdict::Warn, "iptables is absent", |k| {
                k.settings
                    .insert("net.bridge.bridge-nf-call-iptables", None);
            }),
            ("sysctl", Verdict::Warn, "is 128, not at least 8192", |k| {
                k.settings
                    .insert("fs.inotify.max_user_instances", Some(128));
            }),
            ("sysctl", Verdict::Warn, "kernel.panic is 0, not 10", |k| {
                k.settings.insert("kernel.panic", Some(0));
            }),
            ("swap", Verdict::Warn, "/swapfile", |k| {
                k.swap = vec!["/swapfile".to_owned()];
            }),
        ];
        for (name, verdict, words, change) in rows {
            let mut lacking = appliance();
            change(&mut lacking);
            assert_eq!(verdicts(&lacking), [(name.to_owned(), verdict)], "{words}");
            let checks = kernel(&lacking);
            let found = checks.iter().find(|c| c.name == name).unwrap();
            assert!(found.evidence.contains(words), "{found:?}");
        }
    }

    #[test]
    fn the_older_tables_of_rules_do_as_well() {
        let mut older = appliance();
        older.modules.insert("nf_tables", Presence::Absent);
        older.modules.insert("ip_tables", Presence::Loadable);
        assert_eq!(verdicts(&older), []);
    }
}
