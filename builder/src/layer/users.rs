//! Who may log in: with keys only, root never.
//!
//! The root file system is read-only, so homes are on the state partition and
//! made at boot; keys of the image are outside of them and found by sshd itself.

use std::collections::BTreeSet;

use super::{LayerBuilder, LayerError, SiteLayer};
use crate::profile::{User, is_user_name};
use crate::tree::Tree;

const NAME: &str = "users";
/// First uid and gid of people (Debian policy 9.2.2).
const FIRST_ID: u32 = 1000;
/// Last one.
const LAST_ID: u32 = 59_999;
/// Where homes are.
const HOMES: &str = "/var/home";
/// The home of root.
const ROOTS_HOME: &str = "/var/roothome";
/// How sshd finds the image's keys beside those in the homes.
const SSHD: &str = "\
# Keys of the image, besides those that cloud-init puts into the homes.
AuthorizedKeysFile .ssh/authorized_keys /etc/ssh/authorized_keys.d/%u
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin no
";

/// The base's databases of users, as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    /// `/etc/passwd`.
    pub passwd: String,
    /// `/etc/group`.
    pub group: String,
    /// `/etc/shadow`.
    pub shadow: String,
    /// `/etc/gshadow`.
    pub gshadow: String,
}

impl Accounts {
    /// Those of the merged base.
    ///
    /// # Errors
    /// If one is missing or is not text.
    pub fn of(base: &Tree) -> Result<Self, LayerError> {
        let text = |path: &str| {
            let bytes = base.read_file(path).map_err(|source| LayerError::Base {
                layer: NAME.to_owned(),
                source,
            })?;
            let text = String::from_utf8(bytes);
            text.map_err(|_| {
                refused(
                    format!("{path} of the base is not UTF-8"),
                    "repair the base",
                )
            })
        };
        Ok(Self {
            passwd: text("/etc/passwd")?,
            group: text("/etc/group")?,
            shadow: text("/etc/shadow")?,
            gshadow: text("/etc/gshadow")?,
        })
    }

    /// Adds a person without a password; returns the uid, which is the gid as well.
    fn add(&mut self, name: &str, days: u64) -> Result<u32, LayerError> {
        if !is_user_name(name) {
            let what = format!("`{}` is not a user name", name.escape_debug());
            let help = "use lower-case letters, digits, `-` and `_`, 32 at most";
            return Err(refused(what, help));
        }
        if names(&self.passwd).any(|n| n == name) || names(&self.group).any(|n| n == name) {
            let what = format!("the base has a user or group `{name}` already");
            return Err(refused(what, "choose another name in `users`"));
        }
        let taken: BTreeSet<u32> = ids(&self.passwd).chain(ids(&self.group)).collect();
        let id = (FIRST_ID..=LAST_ID).find(|id| !taken.contains(id));
        let id = id.ok_or_else(|| refused("no uid is free".to_owned(), "remove some `users`"))?;
        push(
            &mut self.passwd,
            &format!("{name}:x:{id}:{id}::{HOMES}/{name}:/bin/bash"),
        );
        push(&mut self.group, &format!("{name}:x:{id}:"));
        push(&mut self.shadow, &format!("{name}:!:{days}:0:99999:7:::"));
        push(&mut self.gshadow, &format!("{name}:!::"));
        Ok(id)
    }

    /// Sets root's password to one that nothing matches.
    fn lock_root(&mut self) {
        let locked = |line: &str| match line.strip_prefix("root:") {
            Some(rest) => {
                let rest = rest.split_once(':').map_or("", |(_, rest)| rest);
                format!("root:*:{rest}\n")
            }
            None => format!("{line}\n"),
        };
        self.shadow = self.shadow.lines().map(locked).collect();
    }

    /// Moves root's home off the read-only root: cloud-init writes keys there
    /// that only say "log in as somebody else".
    fn move_roots_home(&mut self) {
        let moved = |line: &str| {
            let mut fields: Vec<_> = line.split(':').collect();
            if let ["root", .., home, _] = fields.as_mut_slice() {
                *home = ROOTS_HOME;
            }
            fields.join(":") + "\n"
        };
        self.passwd = self.passwd.lines().map(moved).collect();
    }
}

/// The layer of `users` on a base with `accounts`.
///
/// # Errors
/// If a name is bad or taken, or a key is not one line.
pub fn layer(accounts: &Accounts, users: &[User], epoch: u64) -> Result<SiteLayer, LayerError> {
    let mut accounts = accounts.clone();
    let mut layer = LayerBuilder::new(NAME, epoch);
    let mut homes = format!("d {HOMES} 0755 root root -\nd {ROOTS_HOME} 0700 root root -\n");
    accounts.lock_root();
    accounts.move_roots_home();
    for user in users {
        let id = accounts.add(&user.name, epoch / 86_400)?;
        homes.push_str(&format!("d {HOMES}/{} 0700 {id} {id} -\n", user.name));
        add_keys(&mut layer, user)?;
        if user.sudo {
            // sudo skips names with a dot, and our names have none.
            let path = format!("/etc/sudoers.d/50-postern-{}", user.name);
            let rule = format!("{} ALL=(ALL:ALL) NOPASSWD: ALL\n", user.name);
            layer.add_file(path, 0o440, rule)?;
        }
    }
    layer.add_file("/usr/lib/tmpfiles.d/postern-homes.conf", 0o644, homes)?;
    layer.add_file("/etc/ssh/sshd_config.d/50-postern.conf", 0o644, SSHD)?;
    add_accounts(&mut layer, accounts)?;
    Ok(layer.finish())
}

fn add_keys(layer: &mut LayerBuilder, user: &User) -> Result<(), LayerError> {
    if user.ssh_authorized_keys.is_empty() {
        return Ok(());
    }
    let mut text = String::new();
    for key in &user.ssh_authorized_keys {
        let key = key.trim();
        if key.is_empty() || key.contains(['\n', '\r']) {
            let what = format!(
                "an SSH key of `{}` is empty or has several lines",
                user.name
            );
            return Err(refused(what, "give each key as one line"));
        }
        push(&mut text, key);
    }
    layer.add_file(
        format!("/etc/ssh/authorized_keys.d/{}", user.name),
        0o644,
        text,
    )
}

/// Replaces the base's databases, with the owners and modes that Debian's
/// package passwd gives them: PAM's helper is in the group `shadow`.
fn add_accounts(layer: &mut LayerBuilder, accounts: Accounts) -> Result<(), LayerError> {
    let shadow = accounts.group.lines().find_map(|line| {
        let rest = line.strip_prefix("shadow:")?;
        rest.split(':').nth(1)?.parse().ok()
    });
    let (secret, group) = shadow.map_or((0o600, 0), |gid| (0o640, gid));
    let files = [
        ("/etc/passwd", 0o644, 0, accounts.passwd),
        ("/etc/group", 0o644, 0, accounts.group),
        ("/etc/shadow", secret, group, accounts.shadow),
        ("/etc/gshadow", secret, group, accounts.gshadow),
    ];
    for (path, mode, group, text) in files {
        layer.may_replace(path)?;
        layer.add_file(path, mode, text)?;
        layer.set_group(path, group)?;
    }
    Ok(())
}

fn push(database: &mut String, line: &str) {
    if !database.is_empty() && !database.ends_with('\n') {
        database.push('\n');
    }
    database.push_str(line);
    database.push('\n');
}

fn names(database: &str) -> impl Iterator<Item = &str> {
    database.lines().filter_map(|line| line.split(':').next())
}

/// The third field of each line: uid in passwd, gid in group.
fn ids(database: &str) -> impl Iterator<Item = u32> {
    let third = |line: &str| line.split(':').nth(2)?.parse().ok();
    database.lines().filter_map(third)
}

fn refused(what: String, help: &str) -> LayerError {
    LayerError::Input {
        layer: NAME.to_owned(),
        what,
        help: help.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{MergePolicy, merge};

    const EPOCH: u64 = 86_400 * 20_000;

    fn base() -> Accounts {
        Accounts {
            passwd: "root:x:0:0:root:/root:/bin/bash\nold:x:1000:1000::/:/bin/sh\n".into(),
            group: "root:x:0:\nshadow:x:42:\nold:x:1000:\ntaken:x:1001:".into(),
            shadow: "root::19000:0:99999:7:::\nold:*:19000:0:99999:7:::\n".into(),
            gshadow: "root:*::\nold:!::\n".into(),
        }
    }

    fn user(name: &str, keys: &[&str]) -> User {
        User {
            name: name.to_owned(),
            ssh_authorized_keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            sudo: name == "spectro",
        }
    }

    fn tree(users: &[User]) -> Tree {
        let site = layer(&base(), users, EPOCH).unwrap();
        merge([(&site.layer, &MergePolicy::AddOnly)], EPOCH).unwrap()
    }

    fn text(tree: &Tree, path: &str) -> String {
        String::from_utf8(tree.read_file(path).unwrap()).unwrap()
    }

    #[test]
    fn adds_people_and_locks_root() {
        let users = [
            user("spectro", &["ssh-ed25519 AAAA me ", "ssh-rsa BBBB"]),
            user("ops", &[]),
        ];
        let tree = tree(&users);
        assert_eq!(
            text(&tree, "/etc/passwd")
                .lines()
                .skip(2)
                .collect::<Vec<_>>(),
            [
                "spectro:x:1002:1002::/var/home/spectro:/bin/bash",
                "ops:x:1003:1003::/var/home/ops:/bin/bash"
            ]
        );
        assert_eq!(
            text(&tree, "/etc/group").lines().nth(4),
            Some("spectro:x:1002:")
        );
        assert_eq!(
            text(&tree, "/etc/shadow"),
            "root:*:19000:0:99999:7:::\nold:*:19000:0:99999:7:::\n\
             spectro:!:20000:0:99999:7:::\nops:!:20000:0:99999:7:::\n"
        );
        assert_eq!(
            text(&tree, "/etc/ssh/authorized_keys.d/spectro"),
            "ssh-ed25519 AAAA me\nssh-rsa BBBB\n"
        );
        assert!(tree.get("/etc/ssh/authorized_keys.d/ops").is_none());
        assert!(tree.get("/etc/sudoers.d/50-postern-ops").is_none());
        assert!(text(&tree, "/etc/passwd").contains(":/var/roothome:"));
        let modes = |path: &str| tree.get(path).unwrap().entry.mode;
        assert_eq!(modes("/etc/sudoers.d/50-postern-spectro"), 0o440);
        assert_eq!(modes("/etc/shadow"), 0o640);
        assert_eq!(tree.get("/etc/gshadow").unwrap().entry.gid, 42);
        assert_eq!(
            text(&tree, "/usr/lib/tmpfiles.d/postern-homes.conf"),
            "d /var/home 0755 root root -\nd /var/roothome 0700 root root -\nd /var/home/spectro 0700 1002 1002 -\n\
             d /var/home/ops 0700 1003 1003 -\n"
        );
    }

    #[test]
    fn the_first_person_of_a_fresh_base_is_1000() {
        let mut accounts = base();
        accounts.passwd = "root:x:0:0:root:/root:/bin/bash".into();
        accounts.group = "root:x:0:\n".into();
        assert_eq!(accounts.add("spectro", 1).unwrap(), 1000);
        assert_eq!(accounts.passwd.lines().count(), 2);
    }

    #[test]
    fn refuses_what_would_break_a_database() {
        for (user, says) in [
            (user("a:b", &[]), "not a user name"),
            (user("Root", &[]), "not a user name"),
            (user("", &[]), "not a user name"),
            (user("root", &[]), "already"),
            (user("taken", &[]), "already"),
            (user("x", &["ssh-rsa A\nssh-rsa B"]), "several lines"),
        ] {
            let error = layer(&base(), &[user], EPOCH).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
