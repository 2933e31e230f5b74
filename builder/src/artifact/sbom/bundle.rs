//! The names of the container images in an air-gap bundle.
//!
//! k3s' bundles are what `docker save` writes, compressed or not: a tar with
//! `manifest.json`, which lists for each image its names and its configuration,
//! whose file is named by its SHA-256 (Docker image specification v1.2,
//! "Combined Image JSON + Filesystem Changeset Format"; newer ones call the
//! file `blobs/sha256/…`).

use std::io::{self, BufReader, Read};
use std::path::Path;

use fs_err as fs;
use postern_contract::digest::Digest;
use serde::{Deserialize, Serialize};

/// Most bytes of a `manifest.json` that are read.
const MAX_MANIFEST_BYTES: u64 = 16 << 20;
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const GZIP: [u8; 2] = [0x1f, 0x8b];
const BZIP2: &[u8] = b"BZh";
const LZ4: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];

/// A container image in a bundle.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Bundled {
    /// Repository, such as `docker.io/rancher/mirrored-pause`.
    pub name: String,
    /// Tag.
    pub tag: String,
    /// Of its configuration, which names the image; `None` if the bundle names
    /// it otherwise.
    pub sha256: Option<Digest>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
}

/// The images in the bundle at `path`, sorted. One without `manifest.json` has
/// none that can be named, nor has one packed with bzip2 or lz4, which k3s reads
/// and this builder does not.
///
/// # Errors
/// If it is not a tar.
pub fn images(path: &Path) -> io::Result<Vec<Bundled>> {
    let mut head = Vec::new();
    fs::File::open(path)?.take(4).read_to_end(&mut head)?;
    if head.starts_with(BZIP2) || head.starts_with(&LZ4) {
        return Ok(Vec::new());
    }
    let file = BufReader::new(fs::File::open(path)?);
    let plain: Box<dyn Read> = if head.starts_with(&ZSTD) {
        Box::new(zstd::Decoder::with_buffer(file)?)
    } else if head.starts_with(&GZIP) {
        Box::new(flate2::bufread::MultiGzDecoder::new(file))
    } else {
        Box::new(file)
    };
    let mut tar = tar::Archive::new(plain);
    for entry in tar.entries()? {
        let mut entry = entry?;
        if &*entry.path_bytes() == b"manifest.json" {
            let mut json = Vec::new();
            entry
                .by_ref()
                .take(MAX_MANIFEST_BYTES)
                .read_to_end(&mut json)?;
            return Ok(parse(&json)?);
        }
    }
    Ok(Vec::new())
}

fn parse(json: &[u8]) -> serde_json::Result<Vec<Bundled>> {
    let listed: Vec<Listed> = serde_json::from_slice(json)?;
    let mut images: Vec<_> = listed
        .iter()
        .flat_map(|listed| {
            let sha256 = digest(&listed.config);
            let tags = listed.repo_tags.iter().flatten();
            tags.map(move |tag| {
                // A colon before the last slash is a registry's port.
                let split = tag.rsplit_once(':').filter(|(_, t)| !t.contains('/'));
                let (name, tag) = split.unwrap_or((tag, "latest"));
                Bundled {
                    name: name.to_owned(),
                    tag: tag.to_owned(),
                    sha256,
                }
            })
        })
        .collect();
    images.sort();
    images.dedup();
    Ok(images)
}

/// `<digest>.json` or `blobs/sha256/<digest>`.
fn digest(config: &str) -> Option<Digest> {
    let name = config.rsplit('/').next()?;
    name.strip_suffix(".json").unwrap_or(name).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn manifest() -> String {
        let (a, b) = ("a".repeat(64), "b".repeat(64));
        format!(
            r#"[{{"Config":"blobs/sha256/{b}","RepoTags":["reg:5000/x/pause:3.6"],"Layers":[]}},
                {{"Config":"{a}.json","RepoTags":["docker.io/rancher/a:v1","docker.io/rancher/a"]}},
                {{"Config":"odd","RepoTags":null}}]"#
        )
    }

    #[test]
    fn reads_names_tags_and_digests_however_it_is_compressed() {
        let dir = tempfile::tempdir().unwrap();
        let mut tar = tar::Builder::new(Vec::new());
        let json = manifest();
        for (name, bytes) in [("blobs/x", "layer"), ("manifest.json", &json)] {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            tar.append_data(&mut header, name, bytes.as_bytes())
                .unwrap();
        }
        let plain = tar.into_inner().unwrap();
        let zstd = zstd::encode_all(plain.as_slice(), 1).unwrap();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&plain).unwrap();
        for bytes in [plain, zstd, gzip.finish().unwrap()] {
            let path = dir.path().join("bundle");
            fs::write(&path, bytes).unwrap();
            let shown: Vec<_> = images(&path)
                .unwrap()
                .iter()
                .map(|i| {
                    let digest = i.sha256.map(|s| s.to_string()[..2].to_owned());
                    format!("{} {} {digest:?}", i.name, i.tag)
                })
                .collect();
            assert_eq!(
                shown,
                [
                    r#"docker.io/rancher/a latest Some("aa")"#,
                    r#"docker.io/rancher/a v1 Some("aa")"#,
                    r#"reg:5000/x/pause 3.6 Some("bb")"#,
                ]
            );
        }
    }

    #[test]
    fn what_is_not_a_bundle_is_an_error_or_has_no_images() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bundle");
        fs::write(
            &path,
            "not a tar, but long enough to be a header".repeat(30),
        )
        .unwrap();
        assert!(images(&path).is_err());
        fs::write(&path, tar::Builder::new(Vec::new()).into_inner().unwrap()).unwrap();
        assert_eq!(images(&path).unwrap(), []);
        assert!(parse(b"{}").is_err());
    }
}
