//! The kernel's command line.
//!
//! The root hash is in it, and it is in the UKI: whoever trusts the UKI trusts
//! the root file system. It names no slot, because systemd finds both
//! partitions by the hash (systemd-veritysetup-generator(8)); so one UKI per
//! version boots from slot A and from slot B.

use std::fmt;

use crate::verity::RootHash;

/// Words every image has unless the profile gives the same key.
///
/// - `console`: the last one is `/dev/console`; both show the boot, and a
///   machine without a serial port falls back to the first.
/// - `lsm`: Debian's and Ubuntu's usual list without `bpf`, whose program made
///   systemd wait half a minute in emulation and that nothing here uses.
/// - `panic`: a machine nobody can walk to restarts, so that boot counting
///   can fall back to the other slot.
///
/// `systemd.gpt_auto=0` is left out on purpose: with `root=` given, all that
/// systemd-gpt-auto-generator(8) finds on this disk is the ESP, which
/// `systemd-bless-boot.service` needs mounted to mark a UKI as good.
const DEFAULTS: [(&str, &str); 4] = [
    ("console", "tty0"),
    ("console", "ttyS0,115200"),
    ("lsm", "lockdown,yama,apparmor"),
    ("panic", "30"),
];

/// Keys that say which root is booted and how it is verified.
const OURS: [&str; 8] = [
    "ro",
    "rw",
    "root",
    "rootfstype",
    "rootflags",
    "roothash",
    "systemd.verity",
    "rd.systemd.verity",
];

/// Longest command line the x86-64 kernel keeps, in bytes without the final
/// zero (`COMMAND_LINE_SIZE`, arch/x86/include/asm/setup.h), less what GRUB
/// puts in front of it: `BOOT_IMAGE=(uki)N+N `, twice eight digits.
const LONGEST: usize = 2047 - 34;

/// A command line that boots a verified root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cmdline(Vec<String>);

/// Words the profile may not add, each with the reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("kernel command line: {}", .0.join("; "))]
pub struct CmdlineError(pub Vec<String>);

impl Cmdline {
    /// The command line for one root file system, of type `fstype`
    /// (`squashfs`), with the profile's further words.
    ///
    /// # Errors
    /// [`CmdlineError`] with every word that cannot be taken.
    pub fn new(root: &RootHash, fstype: &str, extra: &[String]) -> Result<Self, CmdlineError> {
        let mut problems: Vec<String> = extra.iter().filter_map(|word| problem(word)).collect();
        let mut words = vec![
            format!("roothash={root}"),
            "root=/dev/mapper/root".to_owned(),
            format!("rootfstype={fstype}"),
            "ro".to_owned(),
            // A changed block stops the machine, not just the one who reads it.
            "systemd.verity_root_options=panic-on-corruption".to_owned(),
        ];
        let given = |key: &str| extra.iter().any(|word| key_of(word) == key);
        words.extend(
            DEFAULTS
                .iter()
                .filter(|(key, _)| !given(key))
                .map(|(key, value)| format!("{key}={value}")),
        );
        words.extend(extra.iter().cloned());
        let line = Self(words);
        let length = line.to_string().len();
        if length > LONGEST {
            problems.push(format!(
                "{length} bytes are more than the kernel keeps ({LONGEST})"
            ));
        }
        if problems.is_empty() {
            Ok(line)
        } else {
            Err(CmdlineError(problems))
        }
    }
}

impl fmt::Display for Cmdline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

/// The root hash that a command line names, if it names one.
pub fn root_hash(line: &str) -> Option<RootHash> {
    line.split_ascii_whitespace()
        .find_map(|word| word.strip_prefix("roothash="))?
        .parse()
        .ok()
}

fn key_of(word: &str) -> &str {
    word.split_once('=').map_or(word, |(key, _)| key)
}

fn problem(word: &str) -> Option<String> {
    let key = key_of(word);
    if word.is_empty() {
        Some("an empty word".to_owned())
    } else if !word.bytes().all(|b| b.is_ascii_graphic() && b != b'"') {
        Some(format!(
            "`{word}` is not one plain ASCII word: write one word per entry"
        ))
    } else if word.contains(['\'', '\\']) {
        Some(format!(
            "`{word}` would reach the kernel changed where a BIOS boots: write it without quotes and backslashes"
        ))
    } else if OURS.contains(&key) || key.starts_with("systemd.verity_") {
        Some(format!(
            "`{key}` is set by the build: it names the verified root"
        ))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(extra: &[&str]) -> Result<String, CmdlineError> {
        let extra: Vec<_> = extra.iter().map(ToString::to_string).collect();
        Cmdline::new(&RootHash::new([0xab; 32]), "squashfs", &extra).map(|l| l.to_string())
    }

    #[test]
    fn boots_the_verified_root() {
        insta::assert_snapshot!(line(&["quiet"]).unwrap(), @"roothash=abababababababababababababababababababababababababababababababab root=/dev/mapper/root rootfstype=squashfs ro systemd.verity_root_options=panic-on-corruption console=tty0 console=ttyS0,115200 lsm=lockdown,yama,apparmor panic=30 quiet");
    }

    #[test]
    fn the_profile_replaces_defaults_key_by_key() {
        let line = line(&["console=ttyS1", "lsm=yama"]).unwrap();
        assert!(
            line.ends_with("panic-on-corruption panic=30 console=ttyS1 lsm=yama"),
            "{line}"
        );
    }

    #[test]
    fn every_bad_word_is_told() {
        let CmdlineError(problems) = line(&[
            "root=/dev/sda1",
            "a b",
            "",
            "ro",
            "systemd.verity_root_data=/x",
            "ok",
            "é",
            "it's",
            r"a\x2db",
        ])
        .unwrap_err();
        assert_eq!(problems.len(), 8, "{problems:?}");
        let CmdlineError(problems) = line(&[&"x".repeat(2000)]).unwrap_err();
        assert!(problems[0].contains("2013"), "{problems:?}");
    }

    #[test]
    fn the_root_hash_can_be_read_back() {
        let hash = RootHash::new([0xab; 32]);
        assert_eq!(root_hash(&line(&[]).unwrap()), Some(hash));
        assert_eq!(root_hash("quiet roothash=zz"), None);
    }
}
