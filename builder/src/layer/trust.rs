//! Private CAs: what `update-ca-certificates` would write, without running it.

use std::collections::BTreeSet;

use postern_contract::paths;
use postern_contract::trust::{Named, additions};

use super::{LayerBuilder, LayerError, SiteLayer};
use crate::tree::{Tree, TreePath};

const NAME: &str = "trust";
/// Where OpenSSL finds CAs by the hash of their subject.
const DIR: &str = "etc/ssl/certs";

/// What the base trusts already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BaseTrust {
    /// Text of [`paths::CA_BUNDLE`].
    pub bundle: String,
    /// Names in its directory.
    pub taken: BTreeSet<String>,
}

impl BaseTrust {
    /// What the merged base has.
    ///
    /// # Errors
    /// If the base has no CA bundle: it lacks the package ca-certificates.
    pub fn of(base: &Tree) -> Result<Self, LayerError> {
        let bundle = base.read_file(paths::CA_BUNDLE);
        let bundle = bundle.map_err(|source| LayerError::Base {
            layer: NAME.to_owned(),
            source,
        })?;
        let bundle = String::from_utf8(bundle).map_err(|_| not_a_bundle("is not text"))?;
        let dir = TreePath::new(DIR).map_err(|source| LayerError::Path {
            layer: NAME.to_owned(),
            path: DIR.to_owned(),
            source,
        })?;
        let names = base.below(&dir).map(|(path, _)| path.name());
        let taken = names.map(|name| String::from_utf8_lossy(name).into_owned());
        Ok(Self {
            bundle,
            taken: taken.collect(),
        })
    }
}

/// The layer of `extra`, on a base that trusts `base`: the certificates where
/// `update-ca-certificates` expects them, so that running it changes nothing,
/// the new bundle, and OpenSSL's links.
///
/// # Errors
/// If the base's bundle is not one, or two certificates have one name.
pub fn layer(base: &BaseTrust, extra: &[Named], epoch: u64) -> Result<SiteLayer, LayerError> {
    let added = additions(&base.bundle, extra, &base.taken)
        .map_err(|error| not_a_bundle(&error.to_string()))?;
    let mut layer = LayerBuilder::new(NAME, epoch);
    for Named { name, certificate } in extra {
        // A name that the base has already was given a number.
        let file = added.files.iter().find(|(_, pem)| **pem == certificate.pem);
        let stem = file
            .and_then(|(file, _)| file.strip_suffix(".pem"))
            .unwrap_or(name);
        let path = format!("{}/{stem}.crt", paths::IMAGE_CERTIFICATES);
        layer.add_file(&path, 0o644, certificate.pem.as_str())?;
        if let Some((file, _)) = file {
            layer.add_symlink(format!("{DIR}/{file}"), path)?;
        }
    }
    for (link, target) in added.links {
        layer.add_symlink(format!("{DIR}/{link}"), target)?;
    }
    layer.may_replace(paths::CA_BUNDLE)?;
    layer.add_file(paths::CA_BUNDLE, 0o644, added.bundle)?;
    Ok(layer.finish())
}

fn not_a_bundle(why: &str) -> LayerError {
    LayerError::Input {
        layer: NAME.to_owned(),
        what: format!("{} of the base {why}", paths::CA_BUNDLE),
        help: "install ca-certificates in the base".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Layer, MergePolicy, merge};
    use postern_contract::host::Command;
    use postern_contract::trust::parse;

    /// A new CA with this common name, by OpenSSL.
    fn authority(name: &str) -> Named {
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("key");
        let pem = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
            ])
            .args([
                "-nodes",
                "-days",
                "30",
                "-subj",
                &format!("/O=Example/CN={name}"),
                "-keyout",
            ])
            .arg(key)
            .run()
            .unwrap();
        let mut certificates = parse(std::str::from_utf8(&pem).unwrap()).unwrap();
        Named {
            name: name.to_owned(),
            certificate: certificates.remove(0),
        }
    }

    fn base(known: &[&Named]) -> Tree {
        let mut layer = LayerBuilder::new("base", 9);
        let bundle: String = known.iter().map(|n| n.certificate.pem.as_str()).collect();
        layer.add_file(paths::CA_BUNDLE, 0o644, bundle).unwrap();
        layer
            .add_file("etc/ssl/certs/corp.pem", 0o644, "taken")
            .unwrap();
        let site = layer.finish();
        merge([(&site.layer, &MergePolicy::AddOnly)], 9).unwrap()
    }

    #[test]
    fn openssl_finds_every_authority_in_the_tree() {
        let (old, corp, lab) = (authority("old"), authority("corp"), authority("lab"));
        let base_tree = base(&[&old]);
        let trust = BaseTrust::of(&base_tree).unwrap();
        let extra = [corp.clone(), lab.clone(), old.clone()];
        let site = layer(&trust, &extra, 9).unwrap();

        let mut below = Layer {
            name: "base".into(),
            ..Layer::default()
        };
        let entries = base_tree.iter().map(|(p, n)| (p.clone(), n.entry.clone()));
        below.entries = entries.collect();
        let layers = [(&below, &MergePolicy::AddOnly), (&site.layer, &site.policy)];
        let tree = merge(layers, 9).unwrap();
        assert_eq!(tree.read_file("/etc/ssl/certs/corp.pem").unwrap(), b"taken");
        let bundle = tree.read_file(paths::CA_BUNDLE).unwrap();
        assert_eq!(
            parse(std::str::from_utf8(&bundle).unwrap()).unwrap().len(),
            3
        );

        // On disk, with the absolute links led into the copy.
        let dir = tempfile::tempdir().unwrap();
        for (path, node) in tree.iter() {
            let at = dir.path().join(path.as_path());
            match &node.entry.kind {
                crate::tree::Kind::Dir => fs_err::create_dir_all(at).unwrap(),
                crate::tree::Kind::File(content) => {
                    fs_err::write(at, content.read().unwrap()).unwrap();
                }
                crate::tree::Kind::Symlink(target) => {
                    let target = std::str::from_utf8(target).unwrap();
                    let target = match target.strip_prefix('/') {
                        Some(inside) => dir.path().join(inside),
                        None => target.into(),
                    };
                    std::os::unix::fs::symlink(target, at).unwrap();
                }
                other => panic!("{other:?}"),
            }
        }
        for Named { name, certificate } in [&corp, &lab] {
            let file = dir.path().join(name);
            fs_err::write(&file, &certificate.pem).unwrap();
            let verify = Command::new("openssl")
                .args(["verify", "-no-CAfile", "-no-CAstore", "-CApath"])
                .arg(dir.path().join(DIR))
                .arg(&file);
            verify.run().unwrap();
        }
        let crt = dir
            .path()
            .join("usr/local/share/ca-certificates/corp-1.crt");
        assert_eq!(fs_err::read_to_string(crt).unwrap(), corp.certificate.pem);
    }

    #[test]
    fn a_base_without_a_bundle_is_an_error() {
        let error = BaseTrust::of(&Tree::default()).unwrap_err();
        let error = format!("{:#}", anyhow::Error::from(error));
        assert!(
            error.contains("no /etc/ssl/certs/ca-certificates.crt"),
            "{error}"
        );
    }
}
