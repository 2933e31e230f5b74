//! The settings of a private apt (apt.conf(5)).

use std::path::Path;

use secrecy::ExposeSecret;

use crate::host::http::Proxies;
use crate::profile::Base;

/// The settings of an apt whose directories are in `dir`. apt reads `APT_CONFIG`
/// before any other file, so it never reads the host's directories.
pub fn config(dir: &Path, base: &Base, proxies: Option<&Proxies>) -> String {
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
    if let Some(proxies) = proxies {
        let mut proxy = |scheme: &str, proxy: Option<&str>| {
            let value = proxy.unwrap_or("DIRECT").replace(['"', '\\', '\n'], "");
            config.push_str(&format!("Acquire::{scheme}::Proxy \"{value}\";\n"));
        };
        proxy("http", proxies.http.as_ref().map(|p| p.expose_secret()));
        proxy("https", proxies.https.as_ref().map(|p| p.expose_secret()));
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
