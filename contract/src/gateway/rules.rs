//! The rules for single values, shared by the gateway file and the profile.
//!
//! Each takes what a person wrote and gives the value or a complaint. Nothing
//! here repeats a value that could hold a password.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};
use url::Url;

use crate::document::Complaint;

/// An RFC 1123 label: the name of a host or of a Kubernetes object.
///
/// # Errors
/// Anything else.
pub fn label(text: &str) -> Result<String, Complaint> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let dashed = text.starts_with('-') || text.ends_with('-');
    if !text.is_empty() && text.len() <= 63 && !dashed && text.chars().all(inner) {
        return Ok(text.to_owned());
    }
    Err(Complaint::new(
        format!("`{text}` is not a name"),
        "use up to 63 lower-case letters, digits and dashes, no dash at either end (RFC 1123)",
    ))
}

/// The endpoint of Palette: `https://host[:port]` and nothing more. A trailing
/// slash is the first entry on Palette's own list of pairing mistakes
/// (docs.spectrocloud.com, "Private Cloud Gateway" troubleshooting).
///
/// # Errors
/// Anything else.
pub fn endpoint(text: &str) -> Result<Url, Complaint> {
    let example = "write `https://host` or `https://host:port`";
    let complain = |what: &str| Err(Complaint::new(what, example));
    let Ok(url) = Url::parse(text) else {
        return complain("is not a URL");
    };
    if url.scheme() != "https" {
        return complain("is not an https URL");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return complain("holds a user name or password");
    }
    if text.ends_with('/') {
        return complain("ends in a slash");
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return complain("has more than a host and a port");
    }
    Ok(url)
}

/// A proxy: `http(s)://[user[:password]@]host:port`. The port is asked for
/// because programs do not agree on what it is when left out.
///
/// # Errors
/// Anything else.
pub fn proxy_url(text: &str) -> Result<Url, Complaint> {
    let example = "write `http://host:port`, special characters in a password %-encoded";
    let complain = |what: &str| Err(Complaint::new(what, example));
    let Ok(url) = Url::parse(text) else {
        return complain("is not a URL");
    };
    if !matches!(url.scheme(), "http" | "https") {
        return complain("is not an http or https URL");
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return complain("has more than a host and a port");
    }
    // Go takes no proxy at all then, and says nothing.
    let escapes = text.split('%').skip(1).map(|rest| rest.as_bytes());
    let mut escapes = escapes.map(|rest| rest.get(..2).unwrap_or_default());
    let hex = |pair: &[u8]| pair.len() == 2 && pair.iter().all(u8::is_ascii_hexdigit);
    if !escapes.all(hex) {
        let what = "has a `%` that is not followed by two hexadecimal digits";
        return Err(Complaint::new(
            what,
            "write `%25` for a `%` in a user name or password",
        ));
    }
    // `Url` forgets a port that is the scheme's own, so the text is asked.
    let authority = text.trim_end_matches('/').rsplit(['@', '/']).next();
    let port = authority.and_then(|a| a.rsplit_once(':'));
    if port.is_none_or(|(_, port)| port.parse::<u16>().is_err()) {
        return complain("has no port");
    }
    Ok(url)
}

/// A value that should be a host, as a message may repeat it: whoever writes a whole
/// URL there may have written a password too.
fn masked(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((_, rest)) => format!("***@{rest}"),
        None => text.to_owned(),
    }
}

/// An entry of `no-proxy` in the one form that curl, Go, reqwest and apt all
/// understand: a name (with its subdomains), a `.suffix`, an address or a network.
///
/// # Errors
/// Anything else, such as `*`, a port or a list in one entry.
pub fn no_proxy(text: &str) -> Result<String, Complaint> {
    if text.parse::<IpAddr>().is_ok() || text.parse::<IpNet>().is_ok() {
        return Ok(text.to_owned());
    }
    let name = text.strip_prefix('*').filter(|rest| rest.starts_with('.'));
    let name = name.unwrap_or(text);
    if host_name(name.strip_prefix('.').unwrap_or(name)) {
        return Ok(name.to_ascii_lowercase());
    }
    Err(Complaint::new(
        format!("`{}` is not a name, address or network", masked(text)),
        "write `host.example`, `.example`, `10.0.0.1` or `10.0.0.0/8`, one an entry, no port",
    ))
}

/// A host by name or address.
///
/// # Errors
/// Anything else.
pub fn host(text: &str) -> Result<String, Complaint> {
    if text.parse::<IpAddr>().is_ok() || host_name(text) {
        return Ok(text.to_owned());
    }
    let what = format!("`{}` is not a host name or address", masked(text));
    Err(Complaint::new(what, "write `ntp.example` or `10.0.0.1`"))
}

/// An IP address.
///
/// # Errors
/// Anything else.
pub fn address(text: &str) -> Result<IpAddr, Complaint> {
    text.parse().map_err(|_| {
        let what = format!("`{}` is not an IP address", masked(text));
        Complaint::new(what, "write an address such as `10.0.0.53`")
    })
}

fn host_name(text: &str) -> bool {
    let label = |label: &str| {
        let inner = |c: char| c.is_ascii_alphanumeric() || c == '-';
        !label.is_empty() && label.len() <= 63 && label.chars().all(inner)
    };
    // All digits and dots is an address gone wrong, not a name.
    let numeric = text.chars().all(|c| c.is_ascii_digit() || c == '.');
    text.len() <= 253 && !numeric && text.split('.').all(label)
}

/// An IPv4 network between prefix lengths `widest` and `narrowest`.
///
/// # Errors
/// Host bits, IPv6, another prefix length, or no network at all.
pub fn network(text: &str, widest: u8, narrowest: u8) -> Result<IpNet, Complaint> {
    let example = "write an IPv4 network such as `10.42.0.0/16`";
    let net = match text.parse::<IpNet>() {
        Ok(IpNet::V4(net)) => net,
        Ok(IpNet::V6(_)) => {
            let what = format!("`{text}` is an IPv6 network, which is not supported yet");
            return Err(Complaint::new(what, example));
        }
        Err(_) => {
            let what = format!("`{text}` is not a network");
            return Err(Complaint::new(what, example));
        }
    };
    if net != net.trunc() {
        let what = format!("`{text}` is an address in a network");
        return Err(Complaint::new(what, format!("write `{}`", net.trunc())));
    }
    if !(widest..=narrowest).contains(&net.prefix_len()) {
        let what = format!("`{text}` has a prefix length of {}", net.prefix_len());
        let remedy = format!("use one from /{widest} to /{narrowest}");
        return Err(Complaint::new(what, remedy));
    }
    Ok(Ipv4Net::into(net))
}

/// The kinds of key that OpenSSH still accepts by default (sshd_config(5),
/// `PubkeyAcceptedAlgorithms`).
const KEY_TYPES: [&str; 7] = [
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

/// A public key in `authorized_keys` form, without options: `type base64 [comment]`.
///
/// # Errors
/// Anything else; a private key above all.
pub fn ssh_key(text: &str) -> Result<String, Complaint> {
    let remedy = "give a line from a `.pub` file: `ssh-ed25519 AAAA… comment`";
    let complain = |what: &str| Err(Complaint::new(what, remedy));
    let text = text.trim();
    if text.contains("-----BEGIN") {
        return complain("is not a public key (is it a private one?)");
    }
    if text.contains(['\n', '\r']) {
        return complain("is more than one line");
    }
    let mut words = text.split_whitespace();
    let (kind, body) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    if !KEY_TYPES.contains(&kind) {
        return complain("does not begin with a known kind of key");
    }
    let base64 = |c: char| c.is_ascii_alphanumeric() || "+/=".contains(c);
    // The shortest key, ed25519, is 51 bytes: 68 characters.
    if body.len() < 68 || !body.len().is_multiple_of(4) || !body.chars().all(base64) {
        return complain("is cut short or not base64");
    }
    if !body.starts_with(&key_prefix(kind)) {
        return complain("is a key of another kind than it says");
    }
    Ok(text.to_owned())
}

/// How the base64 of every key of this kind begins: its length and name (RFC 4253 §6.6).
fn key_prefix(kind: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let length = u32::try_from(kind.len()).unwrap_or(u32::MAX);
    let bytes = [&length.to_be_bytes()[..], kind.as_bytes()].concat();
    let (whole, _) = bytes.as_chunks::<3>();
    let digit = |bits: u32| char::from(DIGITS[(bits & 63) as usize]);
    whole
        .iter()
        .map(|[a, b, c]| u32::from_be_bytes([0, *a, *b, *c]))
        .flat_map(|bits| [bits >> 18, bits >> 12, bits >> 6, bits].map(digit))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint<T: std::fmt::Debug>(result: Result<T, Complaint>) -> String {
        result.unwrap_err().what
    }

    #[test]
    fn labels() {
        for good in ["a", "edge-1", &"x".repeat(63)] {
            assert_eq!(label(good).unwrap(), good);
        }
        for bad in ["", "-a", "a-", "A", "a.b", "a_b", "é", &"x".repeat(64)] {
            label(bad).unwrap_err();
        }
    }

    #[test]
    fn endpoints() {
        for good in [
            "https://console.spectrocloud.com",
            "https://10.0.0.1:8443",
            "https://[::1]",
        ] {
            endpoint(good).unwrap();
        }
        for (bad, what) in [
            ("https://host/", "ends in a slash"),
            ("https://host/path", "has more than a host and a port"),
            ("https://host?x", "has more than a host and a port"),
            ("https://me:SESAME@host", "holds a user name or password"),
            ("http://host", "is not an https URL"),
            ("console.spectrocloud.com", "is not a URL"),
            ("https://", "is not a URL"),
        ] {
            assert_eq!(complaint(endpoint(bad)), what, "{bad}");
        }
    }

    #[test]
    fn proxies() {
        for good in [
            "http://proxy:3128",
            "http://proxy:80",
            "https://proxy.example:443/",
            "http://me:p%40ss@10.0.0.1:3128",
            "http://[fd00::1]:3128",
        ] {
            proxy_url(good).unwrap();
        }
        for (bad, what) in [
            ("http://proxy", "has no port"),
            ("http://me:SESAME@proxy", "has no port"),
            ("http://[fd00::1]", "has no port"),
            ("socks5://proxy:1080", "is not an http or https URL"),
            ("proxy:3128", "is not an http or https URL"),
            ("http://proxy:3128/path", "has more than a host and a port"),
            ("http://proxy:port", "is not a URL"),
        ] {
            assert_eq!(complaint(proxy_url(bad)), what, "{bad}");
        }
    }

    #[test]
    fn no_proxy_entries() {
        for (text, kept) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("fd00::/8", "fd00::/8"),
            ("10.0.0.1", "10.0.0.1"),
            ("MAAS.example", "maas.example"),
            (".svc", ".svc"),
            ("*.corp.example", ".corp.example"),
            ("localhost", "localhost"),
        ] {
            assert_eq!(no_proxy(text).unwrap(), kept);
        }
        for bad in [
            "*",
            "",
            ".",
            "a,b",
            "a b",
            "host:443",
            "http://a",
            "10.0.0",
            "10.0.0.0/33",
        ] {
            no_proxy(bad).unwrap_err();
        }
    }

    #[test]
    fn a_password_where_a_host_belongs_is_not_repeated() {
        let url = "http://me:SES@ME@proxy.example:3128";
        let messages = [
            no_proxy(url).unwrap_err(),
            host(url).unwrap_err(),
            address(url).unwrap_err(),
        ];
        for message in messages.map(|complaint| format!("{complaint:?}")) {
            assert!(message.contains("`***@proxy.example:3128`"), "{message}");
            assert!(!message.contains("SES"), "{message}");
        }
    }

    #[test]
    fn networks() {
        assert_eq!(
            network("10.42.0.0/16", 8, 24).unwrap().to_string(),
            "10.42.0.0/16"
        );
        for (bad, remedy) in [
            ("10.42.1.0/16", "write `10.42.0.0/16`"),
            ("10.42.0.0", "write an IPv4 network such as `10.42.0.0/16`"),
            ("fd00::/48", "write an IPv4 network such as `10.42.0.0/16`"),
            ("10.42.0.0/30", "use one from /8 to /24"),
        ] {
            assert_eq!(network(bad, 8, 24).unwrap_err().remedy, remedy);
        }
    }

    const KEY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIG5yYWwga2V5IGJ1dCBhIHZlcnkgZ29vZCBsZW5ndGgh";

    #[test]
    fn ssh_keys() {
        ssh_key(&format!("ssh-ed25519 {KEY} me@home")).unwrap();
        ssh_key(&format!(" ssh-ed25519 {KEY}\n")).unwrap();
        for bad in [
            String::new(),
            KEY.to_owned(),
            format!("ssh-rsa {KEY}"),
            format!("ssh-ed25519 {}", &KEY[..40]),
            format!("ssh-ed25519 {KEY}\nssh-ed25519 {KEY}"),
            "-----BEGIN OPENSSH PRIVATE KEY-----".to_owned(),
        ] {
            let complaint = ssh_key(&bad).unwrap_err();
            assert!(
                !format!("{complaint:?}").contains("AAAAC3"),
                "{complaint:?}"
            );
        }
    }
}
