//! Values that a gateway file keeps elsewhere: in files and in the environment.

use std::path::{Path, PathBuf};

use fs_err as fs;
use secrecy::{SecretSlice, SecretString};

use crate::document::Complaint;

/// A secret, a certificate bundle or a manifest is not larger than this, in bytes.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// Where `{file: …}` and `{env: …}` are looked up. An error is one clause that
/// says what is wrong, and never the value.
pub trait Secrets {
    /// The bytes of a file; a relative path starts at the gateway file's directory.
    ///
    /// # Errors
    /// Why there are none.
    fn file(&self, path: &str) -> Result<SecretSlice<u8>, Complaint>;

    /// The value of an environment variable.
    ///
    /// # Errors
    /// Why there is none.
    fn env(&self, name: &str) -> Result<SecretString, Complaint>;

    /// Whether `{from: palette}` may stand for what Palette is asked for later.
    ///
    /// # Errors
    /// Why it may not.
    fn palette(&self) -> Result<(), Complaint> {
        Ok(())
    }
}

/// Only values as they are: a delivered gateway file refers to nothing.
#[derive(Clone, Copy, Debug)]
pub struct LiteralOnly;

impl Secrets for LiteralOnly {
    fn file(&self, _: &str) -> Result<SecretSlice<u8>, Complaint> {
        Err(not_here("a file"))
    }

    fn env(&self, _: &str) -> Result<SecretString, Complaint> {
        Err(not_here("the environment"))
    }

    fn palette(&self) -> Result<(), Complaint> {
        Err(not_here("Palette"))
    }
}

fn not_here(place: &str) -> Complaint {
    Complaint::new(
        format!("refers to {place}, which a delivered gateway file may not"),
        "make the user-data with `postern user-data`, which puts the value in",
    )
}

/// Looks values up on this machine.
#[derive(Clone, Debug)]
pub struct HostSecrets {
    base: PathBuf,
}

impl HostSecrets {
    /// For a gateway file at `file`: relative paths in it start at its directory.
    pub fn beside(file: &Path) -> Self {
        let base = file.parent().unwrap_or(Path::new("")).to_owned();
        Self { base }
    }
}

impl Secrets for HostSecrets {
    fn file(&self, path: &str) -> Result<SecretSlice<u8>, Complaint> {
        let path = self.base.join(path);
        let remedy = "name a readable file, relative to the file that names it";
        let complain = |what: String| Complaint::new(what, remedy);
        let size = fs::metadata(&path).map_err(|error| complain(error.to_string()))?;
        if !size.is_file() || size.len() > MAX_FILE_BYTES {
            let what = format!(
                "{} is not a file of at most {MAX_FILE_BYTES} bytes",
                path.display()
            );
            return Err(complain(what));
        }
        let bytes = fs::read(&path).map_err(|error| complain(error.to_string()))?;
        Ok(SecretSlice::from(bytes))
    }

    fn env(&self, name: &str) -> Result<SecretString, Complaint> {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the door for variables that a gateway file names"
        )]
        let value = std::env::var(name);
        value.map(SecretString::from).map_err(|_| {
            let what = format!("the environment variable `{name}` is not set");
            Complaint::new(what, format!("set it: `export {name}=…`"))
        })
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn files_are_relative_to_the_gateway_file() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("code"), "SESAME\n").unwrap();
        let secrets = HostSecrets::beside(&dir.path().join("edge.yaml"));
        assert_eq!(secrets.file("code").unwrap().expose_secret(), b"SESAME\n");
        let absolute = dir.path().join("code");
        secrets.file(absolute.to_str().unwrap()).unwrap();
        let missing = secrets.file("other").unwrap_err();
        assert!(missing.what.contains("other"), "{missing:?}");
        let directory = secrets.file(".").unwrap_err();
        assert!(directory.what.contains("is not a file"), "{directory:?}");
    }

    #[test]
    fn variables_are_read_or_named() {
        let secrets = HostSecrets::beside(Path::new("edge.yaml"));
        secrets.env("PATH").unwrap();
        let missing = secrets.env("POSTERN_NO_SUCH_VARIABLE").unwrap_err();
        assert!(
            missing.what.contains("POSTERN_NO_SUCH_VARIABLE"),
            "{missing:?}"
        );
    }
}
