//! The operator's API key for Palette: from the environment or a file, never from
//! an argument, which other users of the machine could read.

use std::path::Path;

use fs_err as fs;
use secrecy::SecretString;

/// The variable that holds the key (Palette's own tools read the same).
const KEY: &str = "SPECTROCLOUD_APIKEY";
/// The variable with the host of the Palette that the key is for.
const HOST: &str = "SPECTROCLOUD_HOST";

/// The key, if there is one: from `file` if one is given, else from the
/// environment.
///
/// # Errors
/// If the file cannot be read.
pub fn key(file: Option<&Path>) -> std::io::Result<Option<SecretString>> {
    match file {
        Some(path) => Ok(Some(fs::read_to_string(path)?.trim().into())),
        None => Ok(variable(KEY).map(SecretString::from)),
    }
}

/// Host of the Palette that the key is for, if the environment says so.
pub fn host() -> Option<String> {
    let host = variable(HOST)?;
    let host = host.strip_prefix("https://").unwrap_or(&host);
    Some(host.trim_end_matches('/').to_owned())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads Palette's variables, because clap would offer the key as an argument"
)]
fn variable(name: &str) -> Option<String> {
    // CI services set variables to nothing where others unset them.
    let value = std::env::var(name).ok()?;
    let value = value.trim();
    (!value.is_empty()).then(|| value.to_owned())
}
