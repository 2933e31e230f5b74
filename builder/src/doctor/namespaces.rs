//! Whether the build's sandbox can be entered.

use std::path::Path;

use fs_err as fs;
use nix::unistd::{Uid, User, geteuid};
use postern_contract::host::Command;

use super::{Check, Health, Work};

/// User and group IDs that packages need; `adduser` allocates this many.
const MIN_IDS: u64 = 65_536;

/// Settings that forbid user namespaces, by the value that does, and what to do.
const SYSCTLS: [(&str, &str, &str); 3] = [
    (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "run `sysctl kernel.apparmor_restrict_unprivileged_userns=0`, or give the builder an AppArmor profile with `userns`",
    ),
    (
        "/proc/sys/kernel/unprivileged_userns_clone",
        "0",
        "run `sysctl kernel.unprivileged_userns_clone=1`",
    ),
    (
        "/proc/sys/user/max_user_namespaces",
        "0",
        "run `sysctl user.max_user_namespaces=10000`",
    ),
];

/// Enters namespaces as a build does.
pub fn sandbox() -> Check {
    let unshare = Command::new("unshare")
        .args(["--mount", "--pid", "--net", "--ipc", "--uts", "--fork"])
        .arg("--kill-child");
    let root = geteuid().is_root();
    let unshare = match root {
        true => unshare,
        false => unshare.args(["--user", "--map-root-user", "--map-auto"]),
    };
    let name = "build sandbox";
    // A package's programs run in a user namespace inside it, whoever builds.
    let unshare = unshare.args(["--", "unshare", "--user", "--mount", "--", "true"]);
    match unshare.run() {
        Ok(_) if root => Check::new(Work::Build, name, Health::Good, "namespaces, as root"),
        Ok(_) => Check::new(Work::Build, name, Health::Good, "namespaces, without root"),
        Err(error) => {
            let message = error.to_string();
            let last = message.lines().last().unwrap_or_default();
            let last = last.trim_start_matches([' ', '|']).to_owned();
            Check::new(Work::Build, name, Health::Bad, last).remedy(remedy(root))
        }
    }
}

fn remedy(root: bool) -> &'static str {
    let forbids = |(file, value, _): &&(&str, &str, &str)| {
        fs::read_to_string(file).is_ok_and(|current| current.trim() == *value)
    };
    // The last is about root as well.
    let (unprivileged, everybody) = SYSCTLS.split_at(2);
    if let Some((.., remedy)) = everybody.iter().find(forbids) {
        return remedy;
    }
    if root {
        return "namespaces are forbidden here, as in an unprivileged container: build on a host, or in a container that may create them";
    }
    match unprivileged.iter().find(forbids) {
        Some((.., remedy)) => remedy,
        None => {
            "install uidmap and give your user a range in /etc/subuid and /etc/subgid, or build as root"
        }
    }
}

/// Without root, a range of user and group IDs for what packages install.
pub fn ranges() -> Vec<Check> {
    if geteuid().is_root() {
        return Vec::new();
    }
    let user = User::from_uid(geteuid()).ok().flatten();
    let user = user.map_or_else(|| geteuid().to_string(), |user| user.name);
    ["/etc/subuid", "/etc/subgid"]
        .map(|file| range(Path::new(file), &user))
        .to_vec()
}

fn range(file: &Path, user: &str) -> Check {
    let text = fs::read_to_string(file).unwrap_or_default();
    let (name, count) = (
        file.display().to_string(),
        allocated_ids(&text, user, geteuid()),
    );
    let health = match count >= MIN_IDS {
        true => Health::Good,
        false => Health::Bad,
    };
    let check = Check::new(Work::Build, name, health, format!("{count} for {user}"));
    match health {
        Health::Good => check,
        _ => check.remedy(format!(
            "run `usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}` as root"
        )),
    }
}

/// How many IDs `user` may use (subuid(5): `user:first:count`, where the user
/// stands by name or by number).
fn allocated_ids(text: &str, user: &str, uid: Uid) -> u64 {
    let mine = text.lines().filter_map(|line| {
        let mut fields = line.trim().split(':');
        let whose = fields.next()?;
        (whose == user || whose == uid.to_string()).then_some(())?;
        fields.nth(1)?.parse::<u64>().ok()
    });
    mine.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_the_ranges_of_one_user() {
        let text = "root:1:5\nbuilder:100000:65536\n1000:200000:1\n# x\nbuilder2:1:9\n";
        let ids = |text, user| allocated_ids(text, user, Uid::from_raw(1000));
        assert_eq!(ids(text, "builder"), 65_537);
        assert_eq!(ids(text, "nobody"), 1);
        assert_eq!(ids("10001:1:5\nbuilder:x\n", "builder"), 0);
    }
}
