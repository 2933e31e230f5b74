//! The file through which workloads take this machine's proxy and private CAs.

use std::io;
use std::os::unix::fs::PermissionsExt;

use fs_err as fs;
use ipnet::IpNet;
use postern_contract::paths;
use secrecy::ExposeSecret;

use super::settings::Settings;
use crate::cluster::workloads::{MANIFEST, render};
use crate::host::files::{put, take_away};
use crate::host::world::Root;

/// k3s keeps its own keys there, so it is root's alone, as k3s makes it.
const SERVER: &str = "/var/lib/rancher/k3s/server";

/// Writes it, for a machine in `subnets`. A machine that joins a cluster has
/// none: it would overwrite the first one's, over and over.
///
/// # Errors
/// Any I/O error, naming the path.
pub fn write(root: &Root, settings: &Settings, subnets: &[IpNet]) -> io::Result<()> {
    if settings.part.joins() {
        return take_away(root, MANIFEST);
    }
    let proxy = settings.proxy(subnets);
    let mut certificates = of_image(root)?;
    certificates.extend(settings.certificates.iter().cloned());
    let nothing = proxy.is_none() && certificates.is_empty();
    if nothing && !root.at(MANIFEST).exists() {
        return Ok(());
    }
    let server = root.at(SERVER);
    if !server.exists() {
        fs::create_dir_all(&server)?;
        fs::set_permissions(&server, std::fs::Permissions::from_mode(0o700))?;
    }
    let text = render(proxy.as_ref(), &certificates);
    put(root, MANIFEST, text.expose_secret().as_bytes(), 0o600)
}

/// The private CAs that the image brings, PEM, by file name.
fn of_image(root: &Root) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(root.at(paths::IMAGE_CERTIFICATES)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|kind| kind == "crt") {
            files.push(path);
        }
    }
    files.sort();
    files.iter().map(fs::read_to_string).collect()
}
