//! Values that may be kept elsewhere: written as they are, as `{file: …}` or as
//! `{env: …}`.

use secrecy::{ExposeSecret, SecretString};

use crate::document::{Complaint, Findings, Item, Value};

/// Where `{file: …}` and `{env: …}` are looked up. An error is one clause that
/// says what is wrong, and never the value.
pub trait Secrets {
    /// The text of a file; a relative path starts at the gateway file's directory.
    ///
    /// # Errors
    /// Why there is none.
    fn file(&self, path: &str) -> Result<SecretString, Complaint>;

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
    fn file(&self, _: &str) -> Result<SecretString, Complaint> {
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

/// The value of `item`, wherever it is kept, without the line feed at the end
/// that editors leave in files.
pub(super) fn read(
    item: &Item<'_>,
    secrets: &dyn Secrets,
    findings: &mut Findings,
) -> Option<SecretString> {
    let secret = match item.node.value {
        Value::Map(_) => elsewhere(item, secrets, findings)?,
        _ => SecretString::from(item.text(findings)?),
    };
    let trimmed = secret.expose_secret().trim_end_matches(['\r', '\n']);
    if trimmed.is_empty() {
        findings.add(item.problem(Complaint::new("is empty", "give the value")));
        return None;
    }
    Some(SecretString::from(trimmed))
}

fn elsewhere(
    item: &Item<'_>,
    secrets: &dyn Secrets,
    findings: &mut Findings,
) -> Option<SecretString> {
    let mut fields = item.fields(findings)?;
    let (file, env) = (fields.optional("file"), fields.optional("env"));
    let one_of = Complaint::new(
        "is not a value, nor one kept elsewhere",
        "write the value, `{file: path}` or `{env: NAME}`",
    );
    let refused = fields.problem(one_of);
    fields.finish(findings);
    let (place, found) = match (file, env) {
        (Some(file), None) => {
            let found = secrets.file(file.text(findings)?);
            (file, found)
        }
        (None, Some(env)) => {
            let found = secrets.env(env.text(findings)?);
            (env, found)
        }
        _ => {
            findings.add(refused);
            return None;
        }
    };
    match found {
        Ok(secret) => Some(secret),
        Err(complaint) => {
            findings.add(place.problem(complaint));
            None
        }
    }
}
