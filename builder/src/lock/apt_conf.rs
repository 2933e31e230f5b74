//! The settings of a private apt (apt.conf(5)).

use std::path::Path;

use secrecy::ExposeSecret;

use crate::host::proxies::{Proxies, Route};
use crate::profile::Base;

/// The settings of an apt whose directories are in `dir`. apt reads `APT_CONFIG`
/// before any other file, so it never reads the host's directories.
pub fn config(dir: &Path, base: &Base, proxies: &Proxies) -> String {
    let dir = dir.display();
    let mut config = format!(
        r#"Dir "{dir}";
Dir::State "state/";
Dir::State::status "{dir}/state/status";
Dir::Cache "cache/";
Dir::Log "log/";
Dir::Etc "empty/";
Dir::Etc::main "{dir}/empty/none";
Dir::Etc::parts "{dir}/empty";
Dir::Etc::sourcelist "{dir}/sources.list";
Dir::Etc::sourceparts "{dir}/empty";
Dir::Etc::preferences "{dir}/preferences";
Dir::Etc::preferencesparts "{dir}/empty";
Dir::Etc::trusted "{dir}/empty/none";
Dir::Etc::trustedparts "{dir}/empty";
Dir::Etc::netrc "{dir}/auth.conf";
Dir::Etc::netrcparts "{dir}/empty";
APT::Architecture "{arch}";
APT::Architectures {{ "{arch}"; }};
"#,
        arch = base.arch.debian()
    );
    config.push_str(FIXED);
    if base.snapshot.is_some() {
        // Old states of an archive are expired.
        config.push_str("Acquire::Check-Valid-Until \"false\";\n");
    }
    // Each is named: of its environment apt gets nothing.
    let mut proxy = |key: String, route: &Route| {
        let value = route.as_ref().map_or("DIRECT", |p| p.expose_secret());
        let value = value.replace(['"', '\\', '\n'], "");
        config.push_str(&format!("Acquire::{key} \"{value}\";\n"));
    };
    proxy("http::Proxy".to_owned(), &proxies.http);
    proxy("https::Proxy".to_owned(), &proxies.https);
    for ((scheme, host), route) in &proxies.servers {
        if host.contains(':') {
            continue; // apt takes the colons of IPv6 for the ends of names
        }
        proxy(format!("{scheme}::Proxy::{host}"), route);
    }
    config
}

/// Settings that are the same for every profile.
/// - The user `_apt` cannot read a private directory, and our own downloads
///   run as our own user, too.
/// - Phased updates depend on the machine unless all are taken.
/// - Only exact names: apt takes `python3.9` for a pattern.
const FIXED: &str = r#"APT::Sandbox::User "root";
APT::Install-Recommends "false";
APT::Install-Suggests "false";
APT::Cmd::Pattern-Only "true";
APT::Get::Assume-Yes "true";
APT::Get::AllowUnauthenticated "false";
APT::Get::Always-Include-Phased-Updates "true";
Acquire::AllowInsecureRepositories "false";
Acquire::AllowWeakRepositories "false";
Acquire::AllowDowngradeToInsecureRepositories "false";
Acquire::Check-Valid-Until "true";
Acquire::Check-Date "true";
Acquire::ForceHash "SHA256";
Acquire::Languages "none";
Acquire::PDiffs "false";
Acquire::Retries "2";
Acquire::http::Timeout "30";
Acquire::https::Timeout "30";
Debug::NoLocking "true";
"#;
