//! What runs in the image: k3s and the proxy it goes through.

use postern_contract::document::{Complaint, Findings, Item};
use postern_contract::gateway::{NoProxy, ProxySettings, Secrets, read_proxy};
use postern_contract::proxy as model;
use secrecy::SecretString;

use crate::profile::model::{Download, K3s, Origin};
use crate::profile::rules;

use super::files;

pub(super) fn k3s(item: &Item<'_>, findings: &mut Findings) -> Option<K3s> {
    let mut fields = item.fields(findings)?;
    let version = fields.required("version", "version: v1.31.8+k3s1", findings);
    let version = version.and_then(|item| item.parsed(findings, rules::k3s_version));
    let binary = fields.required("binary", "binary: {url: …, sha256: …}", findings);
    let binary = binary.and_then(|item| download(&item, findings));
    let images = fields.optional("images");
    let images = images.map(|item| download(&item, findings));
    fields.finish(findings);
    Some(K3s {
        version: version?,
        binary: binary?,
        images: match images {
            Some(images) => Some(images?),
            None => None,
        },
    })
}

/// `{url | file, sha256}`. Whether the digest is right is asked when it is fetched.
fn download(item: &Item<'_>, findings: &mut Findings) -> Option<Download> {
    let mut fields = item.fields(findings)?;
    let (url, file) = (fields.optional("url"), fields.optional("file"));
    let origin = match (url, file) {
        (Some(url), None) => url.parsed(findings, rules::download_url).map(Origin::Url),
        (None, Some(file)) => files::existing_file(&file, findings).map(Origin::File),
        (url, _) => {
            let what = match url {
                Some(_) => "has both a `url` and a `file`",
                None => "has neither a `url` nor a `file`",
            };
            let complaint = Complaint::new(what, "say where it is: `url: https://…` or `file: …`");
            findings.add(fields.problem(complaint));
            None
        }
    };
    let sha256 = fields.required("sha256", "sha256: …", findings);
    let sha256 = sha256.and_then(|item| item.parsed(findings, rules::sha256));
    fields.finish(findings);
    Some(Download {
        origin: origin?,
        sha256: sha256?,
    })
}

/// The image's proxy. Everybody who has the image can read it, so it may not
/// have a password.
pub(super) fn proxy(item: &Item<'_>, findings: &mut Findings) -> Option<ProxySettings> {
    let settings = read_proxy(item, NoProxy::Within, &NoneHere, findings)?;
    if model::has_password(&settings) {
        findings.add(item.problem(Complaint::new(
            "has a password, and a password in the image can be read by anyone with the image",
            "put the proxy in the gateway file, which only the machine gets",
        )));
        return None;
    }
    Some(settings)
}

/// A profile holds no secrets, so it has none kept elsewhere.
struct NoneHere;

impl Secrets for NoneHere {
    fn file(&self, _: &str) -> Result<SecretString, Complaint> {
        Err(Complaint::new(
            "refers to a secret, and a profile may hold none",
            "write the value here, or put it in the gateway file",
        ))
    }

    fn env(&self, name: &str) -> Result<SecretString, Complaint> {
        self.file(name)
    }
}
