//! The rules for single values of a profile: each takes what a person wrote and
//! gives the value or a complaint.

use postern_contract::digest::Digest;
use postern_contract::document::Complaint;
use postern_contract::gateway::rules;
use postern_contract::size::{self, MIB};
use url::Url;

use crate::boot::cmdline;

/// A word of `first` characters followed by `rest` ones.
fn word(text: &str, first: impl Fn(char) -> bool, rest: impl Fn(char) -> bool) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(first) && chars.all(rest)
}

fn complain<T>(text: &str, is_no: &str, remedy: &str) -> Result<T, Complaint> {
    Err(Complaint::new(format!("`{text}` is not {is_no}"), remedy))
}

/// The image's version; it ends up in file names and in the boot menu.
pub(super) fn version(text: &str) -> Result<String, Complaint> {
    let inner = |c: char| c.is_ascii_alphanumeric() || ".-".contains(c);
    if text.len() <= 64 && word(text, |c| c.is_ascii_alphanumeric(), inner) {
        return Ok(text.to_owned());
    }
    complain(
        text,
        "a version",
        "use letters, digits, dots and dashes: `1.4.2`",
    )
}

/// A suite, release or component: the words of a line in `sources.list`.
pub(super) fn archive_word(text: &str) -> Result<String, Complaint> {
    let inner = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if word(text, |c| c.is_ascii_alphanumeric(), inner) {
        return Ok(text.to_owned());
    }
    complain(
        text,
        "a name in an archive",
        "write it as in `sources.list`",
    )
}

/// A suite, or the directory of a flat archive (sources.list(5)).
pub(super) fn suite(text: &str) -> Result<String, Complaint> {
    let directory = text.strip_suffix('/').map(|path| path.split('/'));
    let is_flat = directory
        .is_some_and(|mut parts| parts.all(|part| part == "." || archive_word(part).is_ok()));
    match is_flat || text == "/" {
        true => Ok(text.to_owned()),
        false => archive_word(text),
    }
}

/// Archive path below the mirror's root.
pub(super) fn archive_path(text: &str) -> Result<String, Complaint> {
    let inner = |c: char| c.is_ascii_alphanumeric() || "-._:+~".contains(c);
    let part = |part| word(part, |c| c.is_ascii_alphanumeric(), inner);
    if text.split('/').all(part) {
        return Ok(text.to_owned());
    }
    complain(
        text,
        "a path below the mirror",
        "write it without slashes at the ends",
    )
}

/// `host`, or the address above the archives.
pub(super) fn mirror(text: &str) -> Result<String, Complaint> {
    if text == "host" {
        return Ok(text.to_owned());
    }
    if Url::parse(text).is_err() {
        let remedy = "write `host`, or the URL above the archive: `http://mirror.example`";
        return Err(Complaint::new("is neither `host` nor a URL", remedy));
    }
    mirror_url(text).map(String::from)
}

/// The address above an archive.
pub(super) fn mirror_url(text: &str) -> Result<Url, Complaint> {
    let remedy = "write the URL above the archive: `http://mirror.example`";
    let Ok(url) = Url::parse(text) else {
        return Err(Complaint::new("is not a URL", remedy));
    };
    if !matches!(url.scheme(), "http" | "https" | "file") {
        return Err(Complaint::new("is not an http, https or file URL", remedy));
    }
    without_user_info(&url)?;
    Ok(url)
}

/// The address of an archive itself.
pub(super) fn archive_url(text: &str) -> Result<Url, Complaint> {
    let remedy = "write the archive's URL, as in `sources.list`: `https://packages.example`";
    mirror_url(text).map_err(|complaint| Complaint::new(complaint.what, remedy))
}

/// How this machine reaches the archives.
pub(super) fn build_proxy(text: &str) -> Result<String, Complaint> {
    if text == "direct" {
        return Ok(text.to_owned());
    }
    let url = rules::proxy_url(text)?;
    if !url.username().is_empty() || url.password().is_some() {
        let remedy = "leave `base.proxy` out, and set `http_proxy` and `https_proxy` in the environment or `Acquire::http::Proxy` in apt's configuration";
        let what = "holds a user name or password, and a profile is kept in the open";
        return Err(Complaint::new(what, remedy));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// A user name that opens an archive.
pub(super) fn login_user(text: &str) -> Result<String, Complaint> {
    let plain = |c: char| c.is_ascii_graphic() && c != ':';
    match !text.is_empty() && text.chars().all(plain) {
        true => Ok(text.to_owned()),
        false => complain(text, "a user name", "write it without blanks and colons"),
    }
}

/// A priority of apt_preferences(5) that leaves the choice among archives.
pub(super) fn priority(text: &str) -> Result<u64, Complaint> {
    match text.parse() {
        Ok(priority @ 1..=1000) => Ok(priority),
        _ => complain(
            text,
            "a priority",
            "write a number from 1 to 1000; other archives have 500",
        ),
    }
}

/// A time as both distributions' snapshot services write it.
pub(super) fn snapshot(text: &str) -> Result<String, Complaint> {
    let shape = text.bytes().zip(*b"00000000T000000Z");
    let fits = shape.clone().all(|(byte, wanted)| match wanted {
        b'0' => byte.is_ascii_digit(),
        other => byte == other,
    });
    if text.len() == 16 && fits {
        return Ok(text.to_owned());
    }
    complain(text, "a time", "write it as `20260930T000000Z`, in UTC")
}

/// Where a download is fetched from.
pub(super) fn download_url(text: &str) -> Result<Url, Complaint> {
    let remedy = "write `https://host/path`; for a file on this machine use `file:`";
    let Ok(url) = Url::parse(text) else {
        return Err(Complaint::new("is not a URL", remedy));
    };
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Complaint::new("is not an http or https URL", remedy));
    }
    without_user_info(&url)?;
    Ok(url)
}

fn without_user_info(url: &Url) -> Result<(), Complaint> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(());
    }
    Err(Complaint::new(
        "holds a user name or password",
        "remove it: a profile is kept in the open; give access by other means",
    ))
}

/// The image's proxy.
pub(super) fn proxy_url(text: &str) -> Result<Url, Complaint> {
    let url = rules::proxy_url(text)?;
    if url.password().is_some() {
        return Err(Complaint::new(
            "has a password, and a password in the image can be read by anyone with the image",
            "put the proxy in the gateway file, which only the machine gets",
        ));
    }
    Ok(url)
}

/// SHA-256 as `sha256sum` prints it.
pub(super) fn sha256(text: &str) -> Result<String, Complaint> {
    let remedy = "write the 64 lower-case digits that `sha256sum` prints";
    match text.parse::<Digest>() {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => complain(text, "a SHA-256", remedy),
    }
}

/// Whether a package may have this name (Debian Policy §5.6.1).
pub fn is_package_name(text: &str) -> bool {
    let first = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.len() >= 2 && word(text, first, |c| first(c) || "+-.".contains(c))
}

/// A package name.
pub(super) fn package(text: &str) -> Result<String, Complaint> {
    if is_package_name(text) {
        return Ok(text.to_owned());
    }
    complain(
        text,
        "a package name",
        "write it as `apt` shows it, without a version",
    )
}

/// An answer for debconf (debconf-set-selections(1), debconf-devel(7), "Type").
pub(super) fn debconf(text: &str) -> Result<String, Complaint> {
    const TYPES: [&str; 7] = [
        "boolean",
        "error",
        "multiselect",
        "note",
        "select",
        "string",
        "text",
    ];
    let mut words = text.split_whitespace();
    let (owner, question, kind) = (words.next(), words.next(), words.next());
    let whole = owner.is_some_and(is_package_name) && question.is_some_and(|q| q.contains('/'));
    match kind {
        // It is not repeated: it may hold the password.
        Some("password") => Err(Complaint::new(
            "a password, which everybody with the image could read",
            "let the machine set it at its first boot",
        )),
        Some(kind) if whole && TYPES.contains(&kind) && !text.contains('\n') => Ok(text.to_owned()),
        _ => complain(
            text,
            "an answer for debconf",
            "write package, question, type and value: `acme acme/accept-licence boolean true`",
        ),
    }
}

/// One word for the kernel's command line.
pub(super) fn cmdline_word(text: &str) -> Result<String, Complaint> {
    cmdline::check_word(text).map(|()| text.to_owned())
}

/// A k3s release: the Kubernetes version and k3s' own, such as `v1.31.8+k3s1`.
pub(super) fn k3s_version(text: &str) -> Result<String, Complaint> {
    let parts = text.strip_prefix('v').and_then(|t| t.split_once("+k3s"));
    let numbers = |t: &str| t.split('.').filter(|n| n.parse::<u32>().is_ok()).count();
    let suffix = |t: &str| {
        let inner = |c: char| c.is_ascii_alphanumeric() || ".-".contains(c);
        word(t, |c| c.is_ascii_digit(), inner)
    };
    match parts {
        Some((kubernetes, k3s))
            if numbers(kubernetes) == 3 && kubernetes.matches('.').count() == 2 && suffix(k3s) =>
        {
            Ok(text.to_owned())
        }
        _ => complain(
            text,
            "a k3s version",
            "write it as k3s does: `v1.31.8+k3s1`",
        ),
    }
}

/// Whether every tool on the way accepts this login name (shadow, `useradd(8)`,
/// "CAVEATS").
pub fn is_user_name(text: &str) -> bool {
    let first = |c: char| c.is_ascii_lowercase() || c == '_';
    let inner = |c: char| first(c) || c.is_ascii_digit() || c == '-';
    text.len() <= 32 && word(text, first, inner)
}

/// A login name; root has no login here.
pub(super) fn user(text: &str) -> Result<String, Complaint> {
    if text == "root" {
        let remedy = "name another user with `sudo: true`";
        return Err(Complaint::new("root is always locked", remedy));
    }
    if is_user_name(text) {
        return Ok(text.to_owned());
    }
    complain(
        text,
        "a user name",
        "use lower-case letters, digits, `-` and `_`",
    )
}

/// A partition's size in bytes: whole MiB, and at least `least`.
pub(super) fn partition(text: &str, least: u64) -> Result<u64, Complaint> {
    let bytes = size::parse(text)?;
    if !bytes.is_multiple_of(MIB) {
        return complain(
            text,
            "a whole number of MiB",
            "partitions are aligned to 1MiB",
        );
    }
    if bytes < least {
        let remedy = format!("use {} or more", size::display(least));
        return Err(Complaint::new(format!("`{text}` is too small"), remedy));
    }
    Ok(bytes)
}

/// Most bytes of a disk: a size, or a bare number of bytes.
pub(super) fn budget(text: &str) -> Result<u64, Complaint> {
    let bytes = match text.parse() {
        Ok(bytes) => bytes,
        Err(_) => size::parse(text)?,
    };
    if bytes == 0 {
        let remedy = "write what a disk may have: `1GiB`";
        return Err(Complaint::new(format!("`{text}` leaves no room"), remedy));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_a_size_or_bytes() {
        for (text, bytes) in [
            ("1GiB", Some(1 << 30)),
            ("1073741825", Some((1 << 30) + 1)),
            ("0", None),
            ("0MiB", None),
            ("1GB", None),
            ("-1", None),
        ] {
            assert_eq!(budget(text).ok(), bytes, "{text}");
        }
    }

    #[test]
    fn answers_are_lines_without_a_password() {
        debconf("acme acme/accept-licence boolean true").unwrap();
        debconf("acme acme/name string").unwrap();
        for bad in [
            "acme",
            "acme accept boolean true",
            "acme acme/x bool true",
            "a a/b note x\ny",
        ] {
            debconf(bad).unwrap_err();
        }
        let refused = debconf("acme acme/root password hush").unwrap_err();
        assert!(!format!("{refused:?}").contains("hush"), "{refused:?}");
    }

    #[test]
    fn good_values_pass() {
        for text in ["0.1.0", "1", "2026-11-21.rc1"] {
            version(text).unwrap();
        }
        for text in ["v1.31.8+k3s1", "v1.31.8+k3s1-stand-in", "v1.33.0+k3s2"] {
            k3s_version(text).unwrap();
        }
        for text in ["systemd-sysv", "libstdc++6", "python3.13", "7zip"] {
            package(text).unwrap();
        }
        for text in [
            "quiet",
            "console=ttyS0,115200n8",
            "systemd.unified_cgroup_hierarchy=1",
        ] {
            cmdline_word(text).unwrap();
        }
        mirror("host").unwrap();
        mirror("file:///srv/mirror").unwrap();
        sha256(&"0af".repeat(22)[..64]).unwrap();
        assert_eq!(partition("64MiB", MIB).unwrap(), 64 * MIB);
        archive_path("debian-security").unwrap();
        archive_path("mirrors/debian").unwrap();
        archive_path("mirrors:8/debian").unwrap();
        for text in ["noble-security", "/", "./", "amd64/", "a/./b/"] {
            suite(text).unwrap();
        }
        build_proxy("direct").unwrap();
        build_proxy("http://proxy.example:3128").unwrap();
        assert_eq!(priority("990").unwrap(), 990);
    }

    #[test]
    fn bad_values_do_not() {
        for text in ["", "-1", "1/2", "1 2", "é", &"1".repeat(65)] {
            version(text).unwrap_err();
        }
        for text in [
            "1.31.8+k3s1",
            "v1.31.8",
            "v1.31+k3s1",
            "v1.31.8+k3s",
            "v1.a.8+k3s1",
        ] {
            k3s_version(text).unwrap_err();
        }
        for text in ["", "a", "Curl", "curl=8", "-x", "linux image"] {
            package(text).unwrap_err();
        }
        for text in ["", "a b", "root=/dev/sda1", "roothash=1", "ro"] {
            cmdline_word(text).unwrap_err();
        }
        for text in [
            "mirror.example",
            "ftp://mirror.example",
            "http://me:SESAME@mirror",
        ] {
            let complaint = mirror(text).unwrap_err();
            assert!(!complaint.what.contains("SESAME"), "{complaint:?}");
        }
        for text in ["", &"A".repeat(64), &"0".repeat(63)] {
            sha256(text).unwrap_err();
        }
        for text in ["1025KiB", "1MiB", "0MiB", "64"] {
            partition(text, 2 * MIB).unwrap_err();
        }
        for text in ["/debian", "debian/", "a//b", "../x", ""] {
            archive_path(text).unwrap_err();
        }
        for text in ["//", "../", "a//", "/a/", "a b"] {
            suite(text).unwrap_err();
        }
        for text in ["none", "http://proxy.example", "ftp://proxy.example:1"] {
            build_proxy(text).unwrap_err();
        }
        let complaint = build_proxy("http://joe:SESAME@proxy.example:3128").unwrap_err();
        assert!(
            !format!("{complaint:?}").contains("SESAME"),
            "{complaint:?}"
        );
        for text in ["0", "1001", "-1", "high"] {
            priority(text).unwrap_err();
        }
        for text in ["root", "Me", "1me", ""] {
            user(text).unwrap_err();
        }
        for text in ["2026-09-30", "20260930T000000", "20260930 000000Z"] {
            snapshot(text).unwrap_err();
        }
    }
}
