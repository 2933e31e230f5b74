//! The kernel's command line.
//!
//! The root hash is in it, and it is in the UKI: whoever trusts the UKI trusts
//! the root file system. It names no slot, because systemd finds both
//! partitions by the hash (systemd-veritysetup-generator(8)); so one UKI per
//! version boots from slot A and from slot B.

use std::fmt;

use postern_contract::document::Complaint;

use crate::verity::RootHash;

/// Words of every image, unless the profile has the same key.
///
/// - `console`: the last one is `/dev/console`; both show the boot, and a
///   machine without a serial port falls back to the first.
/// - `panic`, `oops`: a machine that nobody can walk to restarts, so that a
///   version on trial makes room for the one before.
/// - `systemd.watchdog_sec`: so does one whose systemd hangs, by whatever watchdog
///   the kernel has (systemd(1); `postern-watchdog.service` brings one).
///
/// `systemd.gpt_auto=0` is left out on purpose: with `root=` given, all that
/// systemd-gpt-auto-generator(8) finds on this disk is the ESP.
const DEFAULTS: [(&str, &str); 5] = [
    ("console", "tty0"),
    ("console", "ttyS0,115200"),
    ("panic", "30"),
    ("oops", "panic"),
    ("systemd.watchdog_sec", "60"),
];

/// Keys that say which root is booted, what it starts and how it is verified.
const RESERVED_KEYS: [&str; 9] = [
    "init",
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
pub const MAX_BYTES: usize = 2047 - 34;

/// A command line that boots a verified root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cmdline(Vec<String>);

/// The command line is longer than the kernel keeps.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the kernel command line has {0} bytes, and the kernel keeps {MAX_BYTES}\n  help: remove words from `kernel.cmdline`"
)]
pub struct CmdlineError(pub usize);

impl Cmdline {
    /// The command line for one root file system, of type `fstype` (`squashfs`),
    /// and a kernel with the security modules `lsm` (see [`super::lsm`]), with the
    /// profile's further words, each of which [`check_word`] has accepted.
    ///
    /// # Errors
    /// [`CmdlineError`].
    pub fn new(
        root: &RootHash,
        fstype: &str,
        lsm: Option<&str>,
        extra: &[String],
    ) -> Result<Self, CmdlineError> {
        let mut words = vec![
            format!("roothash={root}"),
            "root=/dev/mapper/root".to_owned(),
            format!("rootfstype={fstype}"),
            "ro".to_owned(),
            // A changed block stops the machine, not only the program that reads it.
            "systemd.verity_root_options=panic-on-corruption".to_owned(),
        ];
        let given = |key: &str| extra.iter().any(|word| key_of(word) == key);
        let lsm = lsm.map(|modules| ("lsm", modules));
        let defaults = DEFAULTS.into_iter().chain(lsm);
        words.extend(
            defaults
                .filter(|(key, _)| !given(key))
                .map(|(key, value)| format!("{key}={value}")),
        );
        words.extend(extra.iter().cloned());
        let line = Self(words);
        let length = line.to_string().len();
        match length > MAX_BYTES {
            true => Err(CmdlineError(length)),
            false => Ok(line),
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

/// Whether a profile may add this word.
///
/// # Errors
/// What is wrong with it.
pub fn check_word(word: &str) -> Result<(), Complaint> {
    let key = key_of(word);
    let plain = |b: u8| b.is_ascii_graphic() && b != b'"';
    if word.is_empty() || !word.bytes().all(plain) {
        let what = format!("`{word}` is not one plain ASCII word");
        return Err(Complaint::new(what, "write one `- key=value` a line"));
    }
    if word.contains(['\'', '\\']) {
        let what = format!("`{word}` would reach the kernel changed where a BIOS boots");
        let remedy = "write it without quotes and backslashes";
        return Err(Complaint::new(what, remedy));
    }
    if RESERVED_KEYS.contains(&key) || key.starts_with("systemd.verity_") {
        let what = format!("`{key}` is set by the build: it selects the verified root");
        return Err(Complaint::new(what, "remove it"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(extra: &[&str]) -> Result<String, CmdlineError> {
        let extra: Vec<_> = extra.iter().map(ToString::to_string).collect();
        let lsm = Some("landlock,yama");
        Cmdline::new(&RootHash::new([0xab; 32]), "squashfs", lsm, &extra).map(|l| l.to_string())
    }

    #[test]
    fn boots_the_verified_root() {
        insta::assert_snapshot!(line(&["quiet"]).unwrap(), @"roothash=abababababababababababababababababababababababababababababababab root=/dev/mapper/root rootfstype=squashfs ro systemd.verity_root_options=panic-on-corruption console=tty0 console=ttyS0,115200 panic=30 oops=panic systemd.watchdog_sec=60 lsm=landlock,yama quiet");
    }

    #[test]
    fn the_profile_replaces_defaults_key_by_key() {
        let line = line(&["console=ttyS1", "lsm=yama"]).unwrap();
        assert!(
            line.ends_with(
                "panic-on-corruption panic=30 oops=panic systemd.watchdog_sec=60 console=ttyS1 lsm=yama"
            ),
            "{line}"
        );
    }

    #[test]
    fn a_profile_adds_plain_words_that_do_not_select_the_root() {
        for bad in [
            "root=/dev/sda1",
            "a b",
            "",
            "ro",
            "init=/bin/sh",
            "systemd.verity_root_data=/x",
            "é",
            "it's",
            r"a\x2db",
        ] {
            check_word(bad).unwrap_err();
        }
        check_word("ok").unwrap();
        let error = line(&[&"x".repeat(2000)]).unwrap_err().to_string();
        assert!(error.contains("2013"), "{error}");
    }

    #[test]
    fn the_root_hash_can_be_read_back() {
        let hash = RootHash::new([0xab; 32]);
        assert_eq!(root_hash(&line(&[]).unwrap()), Some(hash));
        assert_eq!(root_hash("quiet roothash=zz"), None);
    }
}
