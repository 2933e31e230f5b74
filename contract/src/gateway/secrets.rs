//! Values that may be kept elsewhere: written as they are, as `{file: …}` or as
//! `{env: …}`.

use secrecy::{ExposeSecret, SecretString};

use crate::document::{Complaint, Findings, Item, Value};
use crate::host::secrets::Secrets;

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
