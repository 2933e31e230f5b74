//! The proxy as each program that uses it reads it.
//!
//! A text with a password is for root alone, so it comes with its mode. The
//! password still reaches the environment of services, as it must; that is why
//! a profile may not have one and a gateway file may.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use secrecy::SecretString;

use crate::paths;

use super::{Proxy, Reader, address};

/// Environment of every service, read by systemd before anything else starts.
pub const SYSTEMD_CONF: &str = "/etc/systemd/system.conf.d/50-postern-proxy.conf";
/// Environment of login shells.
pub const PROFILE_SCRIPT: &str = "/etc/profile.d/50-postern-proxy.sh";
/// apt's own settings.
pub const APT_CONF: &str = "/etc/apt/apt.conf.d/50postern-proxy";

/// A file that tells a program of the proxy. `Debug` hides the text.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// Where it goes, absolute.
    pub path: &'static Path,
    /// Permission bits: 0600 if anything in it is secret.
    pub mode: u32,
    /// The whole file.
    pub text: SecretString,
}

impl Proxy {
    /// Drop-in for systemd's system manager (systemd-system.conf(5)), which
    /// hands both spellings to every service it starts.
    pub fn systemd_environment(&self) -> Rendered {
        let mut text = header("#");
        text.push_str("[Manager]\nDefaultEnvironment=");
        let words = self.both_spellings().map(|(key, value)| {
            // In unit files `%` begins a specifier; in quotes `\` and `"` are special.
            let value = escaped(&value, "\\\"").replace('%', "%%");
            format!("\"{key}={value}\"")
        });
        text.push_str(&words.collect::<Vec<_>>().join(" \\\n  "));
        text.push('\n');
        self.rendered(SYSTEMD_CONF, 0o644, text)
    }

    /// Script that login shells read.
    pub fn profile_script(&self) -> Rendered {
        let mut text = header("#");
        for (key, value) in self.both_spellings() {
            let _ = writeln!(text, "export {key}='{}'", value.replace('\'', r"'\''"));
        }
        self.rendered(PROFILE_SCRIPT, 0o644, text)
    }

    /// apt's settings (apt-transport-http(1)). apt takes host names only as
    /// exceptions here; for the rest it asks `no_proxy` of the environment.
    pub fn apt_conf(&self) -> Rendered {
        let mut text = header("//");
        let proxies = [
            ("http", &self.settings.http),
            ("https", &self.settings.https),
        ];
        for (method, url) in proxies {
            let _ = writeln!(text, "Acquire::{method}::Proxy \"{}\";", address(url));
            for host in self.direct.iter().filter(|entry| is_host(entry)) {
                let _ = writeln!(text, "Acquire::{method}::Proxy::{host} \"DIRECT\";");
            }
        }
        self.rendered(APT_CONF, 0o644, text)
    }

    /// `EnvironmentFile=` of the k3s service. k3s hands the plain names to the
    /// kubelet and the `CONTAINERD_` ones to containerd alone; containerd falls
    /// back to the plain ones in new versions only, so it gets its own.
    pub fn k3s_environment(&self) -> Rendered {
        let mut text = header("#");
        for prefix in ["", "CONTAINERD_"] {
            for (key, value) in self.variables(Reader::Go) {
                // systemd reads this file much like a shell would, without expanding.
                let value = escaped(&value, "\\\"`$");
                let _ = writeln!(text, "{prefix}{key}=\"{value}\"");
            }
        }
        self.rendered(paths::K3S_ENV, 0o600, text)
    }

    /// Environment of pods, both spellings; with the password, if there is one.
    pub fn for_pods(&self) -> BTreeMap<String, String> {
        self.both_spellings().collect()
    }

    fn variables(&self, reader: Reader) -> [(&'static str, String); 3] {
        [
            ("HTTP_PROXY", address(&self.settings.http)),
            ("HTTPS_PROXY", address(&self.settings.https)),
            ("NO_PROXY", self.no_proxy(reader)),
        ]
    }

    fn both_spellings(&self) -> impl Iterator<Item = (String, String)> {
        let upper = self.variables(Reader::Everyone);
        let upper = upper.map(|(key, value)| (key.to_owned(), value));
        let lower = upper
            .clone()
            .map(|(key, value)| (key.to_lowercase(), value));
        upper.into_iter().chain(lower)
    }

    fn rendered(&self, path: &'static str, mode: u32, text: String) -> Rendered {
        Rendered {
            path: Path::new(path),
            mode: if self.has_password() { 0o600 } else { mode },
            text: text.into(),
        }
    }
}

fn header(comment: &str) -> String {
    format!("{comment} Written by Postern from the gateway file or the image's profile.\n")
}

/// `value` with a backslash before each of `special`.
fn escaped(value: &str, special: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for c in value.chars() {
        if special.contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

fn is_host(entry: &str) -> bool {
    !entry.starts_with('.') && !entry.contains(['/', ':'])
}
