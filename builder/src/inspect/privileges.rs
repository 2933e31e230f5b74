//! Files that run with more rights than the user who starts them.

use std::fmt::Write;

use serde::Serialize;

use super::Root;
use crate::fs::unsquash::Kind;

/// Where Linux keeps the capabilities of a file.
const XATTR: &str = "security.capability";
const SET_UID: u32 = 0o4000;
const SET_GID: u32 = 0o2000;

/// Capabilities by their number (Linux, `include/uapi/linux/capability.h`).
const NAMES: [&str; 41] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

/// A file with set-user-ID, set-group-ID or capabilities.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Privileged {
    /// The file.
    pub path: String,
    /// Permission bits in octal: `4755`.
    pub mode: String,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// As `getcap` prints them: `cap_net_raw=ep`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<String>,
}

/// The privileged files of a root, by path. A set-group-ID directory gives no
/// rights and is not one.
pub(super) fn read(root: &Root<'_>) -> Vec<Privileged> {
    let mut found = Vec::new();
    for (path, entry) in root.iter() {
        let value = entry.xattrs.get(XATTR);
        let set_id = entry.mode & (SET_UID | SET_GID) != 0;
        if matches!(entry.kind, Kind::File(_)) && (set_id || value.is_some()) {
            let shown = |value: &Vec<u8>| {
                let unknown = || format!("unreadable: {}", hex::encode(value));
                capabilities(value).unwrap_or_else(unknown)
            };
            found.push(Privileged {
                path: path.to_string(),
                mode: format!("{:04o}", entry.mode),
                uid: entry.uid,
                gid: entry.gid,
                capabilities: value.map(shown),
            });
        }
    }
    found
}

/// What `getcap` would print for a value of [`XATTR`] (`struct vfs_cap_data`,
/// revisions 1 to 3); `None` if it is none.
fn capabilities(value: &[u8]) -> Option<String> {
    let (words, rest) = value.as_chunks::<4>();
    let words: Vec<u32> = words.iter().map(|word| u32::from_le_bytes(*word)).collect();
    let (head, sets) = words.split_first()?;
    let pairs = match (head >> 24, sets.len()) {
        (1, 2) => 1,
        (2, 4) | (3, 5) => 2,
        _ => return None,
    };
    if !rest.is_empty() {
        return None;
    }
    let set = |from: usize| {
        let words = sets[..pairs * 2].iter().skip(from).step_by(2);
        let pairs = words.enumerate();
        pairs.fold(0_u64, |set, (i, word)| set | u64::from(*word) << (32 * i))
    };
    let (permitted, inheritable) = (set(0), set(1));
    let effective = head & 1 == 1;
    let mut text = String::new();
    for (with_i, with_p) in [(false, true), (true, true), (true, false)] {
        let of = |set: u64, with: bool| if with { set } else { !set };
        let these = of(permitted, with_p) & of(inheritable, with_i);
        let names: Vec<_> = (0..64).filter(|bit| these >> bit & 1 == 1).collect();
        if names.is_empty() {
            continue;
        }
        let names: Vec<_> = names.into_iter().map(name).collect();
        let flags = [(effective, 'e'), (with_i, 'i'), (with_p, 'p')];
        let flags = flags.iter().filter(|(on, _)| *on).map(|(_, flag)| flag);
        let space = if text.is_empty() { "" } else { " " };
        // Writing to a string cannot fail.
        let flags: String = flags.collect();
        let _ = write!(text, "{space}{}={flags}", names.join(","));
    }
    Some(text)
}

fn name(bit: usize) -> String {
    match NAMES.get(bit) {
        Some(name) => format!("cap_{name}"),
        None => bit.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::root::tests::with_tree;
    use super::*;
    use crate::fs::squashfs;

    #[test]
    fn capabilities_read_as_getcap_prints_them() {
        let value = |head: u32, words: &[u32]| {
            let words = std::iter::once(&head).chain(words);
            words.flat_map(|w| w.to_le_bytes()).collect::<Vec<_>>()
        };
        for (value, expected) in [
            (
                value(0x0200_0001, &[1 << 13, 0, 0, 0]),
                Some("cap_net_raw=ep"),
            ),
            (
                value(0x0200_0000, &[1 << 13, 0, 0, 0]),
                Some("cap_net_raw=p"),
            ),
            (
                value(0x0200_0001, &[0b11, 0b10, 1 << 8, 0]),
                Some("cap_chown,cap_checkpoint_restore=ep cap_dac_override=eip"),
            ),
            (
                value(0x0300_0001, &[1, 0, 0, 0, 1000]),
                Some("cap_chown=ep"),
            ),
            (value(0x0100_0000, &[0, 1]), Some("cap_chown=i")),
            (
                value(0x0200_0001, &[1 << 31, 0, 1 << 31, 0]),
                Some("cap_setfcap,63=ep"),
            ),
            (value(0x0200_0001, &[0, 0]), None),
            (value(0x0900_0001, &[0, 0, 0, 0]), None),
            (vec![1, 2], None),
        ] {
            assert_eq!(capabilities(&value).as_deref(), expected, "{value:?}");
        }
    }

    #[test]
    fn finds_what_the_squashfs_tests_have() {
        let found = with_tree(&squashfs::tests::tree(), read);
        let shown: Vec<_> = found
            .iter()
            .map(|p| format!("{} {} {} {:?}", p.path, p.mode, p.uid, p.capabilities))
            .collect();
        insta::assert_snapshot!(shown.join("\n"), @r#"
        /usr/bin/ping 0755 12345678 Some("cap_net_raw,cap_sys_rawio,cap_sys_ptrace=ep")
        /usr/bin/su 4755 0 None
        /usr/bin/su2 4755 0 None
        "#);
    }
}
