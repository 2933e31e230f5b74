//! The accounts of an image, and which of them can log in.

use std::collections::BTreeMap;
use std::io;

use serde::Serialize;

use super::Root;

/// Shells that end a login at once.
const NO_SHELLS: [&str; 3] = ["nologin", "false", "true"];

/// One line of `/etc/passwd`, and more about the name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Login name.
    pub name: String,
    /// User number.
    pub uid: u32,
    /// Login shell.
    pub shell: String,
    /// What the password allows.
    pub login: Login,
    /// How many SSH keys the image has for it.
    pub keys: usize,
    /// Whether a rule in `/etc/sudoers.d` is for this name.
    pub sudo: bool,
}

/// What a password field allows (shadow(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Login {
    /// No password logs in.
    Locked,
    /// A password in the image logs in.
    Password,
    /// An empty password logs in.
    Open,
}

impl Account {
    /// Whether the shell allows a login.
    pub fn has_shell(&self) -> bool {
        let name = self.shell.rsplit('/').next().unwrap_or_default();
        // Without a shell it is /bin/sh (passwd(5)).
        !NO_SHELLS.contains(&name)
    }

    /// Whether somebody can log in with what is in the image.
    pub fn can_log_in(&self) -> bool {
        self.has_shell() && (self.login != Login::Locked || self.keys > 0)
    }
}

/// The accounts of a root, in the order of their lines.
pub(super) fn read(root: &Root<'_>) -> io::Result<Vec<Account>> {
    let (passwd, shadow) = (root.text("/etc/passwd")?, root.text("/etc/shadow")?);
    let mut accounts = parse(&passwd, &shadow);
    let mut rules = String::new();
    for (path, _) in root.children("/etc/sudoers.d") {
        rules.push_str(&root.text(&path.to_string())?);
        rules.push('\n');
    }
    for (account, home) in &mut accounts {
        let places = [
            format!("/etc/ssh/authorized_keys.d/{}", account.name),
            format!("{home}/.ssh/authorized_keys"),
        ];
        for place in places {
            account.keys += keys(&root.text(&place)?);
        }
        account.sudo = has_rule(&rules, &account.name);
    }
    Ok(accounts.into_iter().map(|(account, _)| account).collect())
}

/// Accounts and their homes. Malformed lines are skipped.
fn parse(passwd: &str, shadow: &str) -> Vec<(Account, String)> {
    let secrets: BTreeMap<&str, &str> = shadow
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(':');
            Some((fields.next()?, fields.next()?))
        })
        .collect();
    let account = |line: &str| {
        let fields: Vec<_> = line.split(':').collect();
        let [name, secret, uid, _, _, home, shell] = fields.as_slice() else {
            return None;
        };
        let login = match *secret {
            // No line in shadow: nothing matches.
            "x" => secrets.get(name).map_or(Login::Locked, |s| login(s)),
            secret => login(secret),
        };
        let account = Account {
            name: (*name).to_owned(),
            uid: uid.parse().ok()?,
            shell: (*shell).to_owned(),
            login,
            keys: 0,
            sudo: false,
        };
        Some((account, (*home).to_owned()))
    };
    passwd.lines().filter_map(account).collect()
}

fn login(secret: &str) -> Login {
    match secret.as_bytes().first() {
        None => Login::Open,
        Some(b'!' | b'*') => Login::Locked,
        Some(_) => Login::Password,
    }
}

/// Keys in an `authorized_keys` file (sshd(8)).
fn keys(text: &str) -> usize {
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .count()
}

fn has_rule(rules: &str, name: &str) -> bool {
    let mut firsts = rules.lines().filter_map(|l| l.split_whitespace().next());
    firsts.any(|first| first == name)
}

#[cfg(test)]
mod tests {
    use super::super::root::tests::with_root;
    use super::*;

    #[test]
    fn finds_who_can_log_in() {
        let fill = |layer: &mut crate::layer::LayerBuilder| {
            let files = [
                (
                    "/etc/passwd",
                    "root:x:0:0:root:/root:/bin/bash\nops:x:1000:1000::/var/home/ops:/bin/bash\n\
                     old::12:12::/:\nbad line\nd:x:1:1::/:/usr/sbin/nologin\nx:x:no:1::/:/bin/sh\n\
                     me:x:1001:1::/home/me:/bin/sh\n",
                ),
                ("/etc/shadow", "root:*:1::::::\nops:!:1::::::\nme:$6$x:::\n"),
                ("/etc/ssh/authorized_keys.d/ops", "# k\nssh-ed25519 A\n\n"),
                ("/home/me/.ssh/authorized_keys", "ssh-rsa A\nssh-rsa B\n"),
                ("/etc/sudoers.d/50", "ops ALL=(ALL) NOPASSWD: ALL\n"),
            ];
            for (path, text) in files {
                layer.add_file(path, 0o644, text).unwrap();
            }
        };
        let accounts = with_root(fill, |root| read(root).unwrap());
        let shown: Vec<_> = accounts
            .iter()
            .map(|a| {
                let may = a.can_log_in();
                format!(
                    "{} {} {:?} {} {} {may}",
                    a.name, a.uid, a.login, a.keys, a.sudo
                )
            })
            .collect();
        insta::assert_snapshot!(shown.join("\n"), @r"
        root 0 Locked 0 false false
        ops 1000 Locked 1 true true
        old 12 Open 0 false true
        d 1 Locked 0 false false
        me 1001 Password 2 false true
        ");
    }
}
