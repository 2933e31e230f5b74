//! What the running kernel has and how it is set, read and not judged.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use fs_err as fs;

/// Controllers that cgroup v2 offers (Documentation/admin-guide/cgroup-v2.rst).
const CONTROLLERS: &str = "sys/fs/cgroup/cgroup.controllers";

/// Modules that have no folder of their own when they are built in, and the
/// settings that come with them.
const SIGNS: [(&str, &str); 2] = [
    ("br_netfilter", "proc/sys/net/bridge"),
    ("nf_conntrack", "proc/sys/net/netfilter"),
];

/// The running kernel, as far as it can be seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kernel {
    /// Its release, as `uname -r` has it.
    pub release: String,
    /// Controllers of cgroup v2; `None` if that is not what is mounted.
    pub controllers: Option<BTreeSet<String>>,
    /// Each module that was asked for.
    pub modules: BTreeMap<&'static str, Presence>,
    /// Each setting that was asked for; `None` if the kernel has none of that name.
    pub settings: BTreeMap<&'static str, Option<i64>>,
    /// What is swapped to.
    pub swap: Vec<String>,
}

/// How much of a module there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Loaded or built in.
    Here,
    /// Not loaded; it is among this kernel's modules.
    Loadable,
    /// Neither.
    Absent,
    /// Not loaded, and this kernel's list of modules cannot be read.
    Unknown,
}

impl Kernel {
    /// Looks under `root` for `modules` (by the kernel's names, with `_`) and
    /// `settings` (as sysctl(8) writes them).
    ///
    /// # Errors
    /// If `/proc` cannot be read at all.
    pub fn read(
        root: &Path,
        modules: impl IntoIterator<Item = &'static str>,
        settings: impl IntoIterator<Item = &'static str>,
    ) -> io::Result<Self> {
        let release = fs::read_to_string(root.join("proc/sys/kernel/osrelease"))?;
        let release = release.trim().to_owned();
        let filesystems = fs::read_to_string(root.join("proc/filesystems"))?;
        let lists = Lists::read(root, &release);
        let modules = modules.into_iter().map(|name| {
            let loaded = root.join("sys/module").join(name).exists();
            let mut signs = SIGNS.iter().filter(|(module, _)| *module == name);
            let shown = signs.any(|(_, path)| root.join(path).exists());
            let here = loaded || shown || filesystem_in(&filesystems, name);
            let presence = if here {
                Presence::Here
            } else {
                lists.presence(name)
            };
            (name, presence)
        });
        let swaps = fs::read_to_string(root.join("proc/swaps")).unwrap_or_default();
        Ok(Self {
            modules: modules.collect(),
            settings: settings
                .into_iter()
                .map(|name| (name, setting(root, name)))
                .collect(),
            controllers: controllers(root),
            swap: swaps_in(&swaps),
            release,
        })
    }
}

fn controllers(root: &Path) -> Option<BTreeSet<String>> {
    let text = fs::read_to_string(root.join(CONTROLLERS)).ok()?;
    Some(text.split_whitespace().map(str::to_owned).collect())
}

fn setting(root: &Path, name: &str) -> Option<i64> {
    let path = root.join("proc/sys").join(name.replace('.', "/"));
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// kmod's lists of a kernel's modules (modules.builtin and modules.dep of
/// depmod(8)); `None` for one that cannot be read.
struct Lists {
    builtin: Option<String>,
    loadable: Option<String>,
}

impl Lists {
    fn read(root: &Path, release: &str) -> Self {
        let list = |name: &str| {
            let dirs = ["lib/modules", "usr/lib/modules"].into_iter();
            let mut paths = dirs.map(|dir| root.join(dir).join(release).join(name));
            paths.find_map(|path| fs::read_to_string(path).ok())
        };
        Self {
            builtin: list("modules.builtin"),
            loadable: list("modules.dep"),
        }
    }

    fn presence(&self, module: &str) -> Presence {
        let names = |list: &Option<String>| list.as_ref().is_some_and(|l| listed_in(l, module));
        if names(&self.builtin) {
            Presence::Here
        } else if names(&self.loadable) {
            Presence::Loadable
        } else if self.builtin.is_some() && self.loadable.is_some() {
            Presence::Absent
        } else {
            Presence::Unknown
        }
    }
}

/// `/proc/filesystems`: an optional `nodev`, then the name.
fn filesystem_in(table: &str, name: &str) -> bool {
    let mut names = table.lines().filter_map(|l| l.split_whitespace().last());
    names.any(|listed| listed == name)
}

/// Lines of paths such as `kernel/net/bridge/br_netfilter.ko.xz: kernel/…`;
/// file names may have `-` where the kernel says `_`.
fn listed_in(list: &str, module: &str) -> bool {
    list.lines().any(|line| {
        let path = line.split(':').next().unwrap_or_default();
        let file = path.rsplit('/').next().unwrap_or_default();
        let stem = file.split(".ko").next().unwrap_or_default();
        file.contains(".ko") && stem.replace('-', "_") == module
    })
}

/// `/proc/swaps`: a head, then one line for each, its first word the path.
fn swaps_in(table: &str) -> Vec<String> {
    let lines = table.lines().skip(1);
    lines
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_contract::host::files::write_atomic;

    #[test]
    fn sees_what_is_loaded_built_in_loadable_and_missing() {
        let dir = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            write_atomic(&dir.path().join(path), text.as_bytes(), 0o644).unwrap();
        };
        put("proc/sys/kernel/osrelease", "6.12.1-amd64\n");
        put("proc/sys/net/ipv4/ip_forward", "1\n");
        put("proc/filesystems", "nodev\tproc\nnodev\toverlay\n\text4\n");
        put(
            "proc/swaps",
            "Filename\tType\tSize\tUsed\tPriority\n/dev/sda2 partition 1 0 -2\n",
        );
        put("sys/module/nf_conntrack/refcnt", "1");
        put(
            "sys/fs/cgroup/cgroup.controllers",
            "cpuset cpu memory pids\n",
        );
        let lib = "usr/lib/modules/6.12.1-amd64";
        put(
            &format!("{lib}/modules.builtin"),
            "kernel/net/ipv4/ip_tables.ko\n",
        );
        let modules = [
            "overlay",
            "nf_conntrack",
            "ip_tables",
            "br_netfilter",
            "vxlan",
        ];
        let read = || {
            let settings = ["net.ipv4.ip_forward", "vm.panic_on_oom"];
            Kernel::read(dir.path(), modules, settings).unwrap()
        };
        assert_eq!(read().modules["vxlan"], Presence::Unknown, "half the lists");
        put(
            &format!("{lib}/modules.dep"),
            "kernel/net/bridge/br-netfilter.ko.xz: kernel/net/bridge/bridge.ko.xz\nkernel/vxlan-extras.ko:\n",
        );
        put("proc/sys/net/netfilter/nf_conntrack_max", "1");
        fs::remove_dir_all(dir.path().join("sys/module")).unwrap();
        let kernel = read();
        use Presence::{Absent, Here, Loadable};
        let found: Vec<_> = modules.map(|name| kernel.modules[name]).into();
        assert_eq!(found, [Here, Here, Here, Loadable, Absent]);
        assert_eq!(kernel.settings["net.ipv4.ip_forward"], Some(1));
        assert_eq!(kernel.settings["vm.panic_on_oom"], None);
        assert_eq!(kernel.swap, ["/dev/sda2"]);
        assert!(kernel.controllers.unwrap().contains("memory"));
    }

    #[test]
    fn this_machines_kernel_can_be_read() {
        let settings = ["kernel.panic", "no.such.setting"];
        let kernel = Kernel::read(Path::new("/"), ["no_such_module"], settings).unwrap();
        assert!(!kernel.release.is_empty());
        assert!(kernel.settings["kernel.panic"].is_some());
        assert_eq!(kernel.settings["no.such.setting"], None);
        assert_ne!(kernel.modules["no_such_module"], Presence::Here);
    }
}
