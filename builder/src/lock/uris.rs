//! Packages as apt lists them, read from `apt-get --print-uris`.

use percent_encoding::percent_decode_str;
use url::Url;

use super::model::{LockedPackage, Reason};
use crate::source::Archives;

/// Reads `'URI' name_version_arch.deb SIZE SHA256:HEX`, where the parts of the
/// file's name are percent-encoded: a package that was requested. `None` if the
/// line is not of this form, or the URI in none of the archives.
pub fn read(line: &str, archives: &Archives) -> Option<LockedPackage> {
    let (uri, rest) = line.strip_prefix('\'')?.split_once("' ")?;
    let [file, size, hash] = rest.split(' ').collect::<Vec<_>>()[..] else {
        return None;
    };
    let parts: Vec<_> = file.strip_suffix(".deb")?.split('_').collect();
    let [name, version, arch] = parts[..] else {
        return None;
    };
    let uri = Url::parse(uri).ok()?;
    let (archive, path) = archives
        .bases()
        .find_map(|(archive, base)| Some((archive.to_owned(), below(base, &uri)?)))?;
    Some(LockedPackage {
        name: decoded(name),
        version: decoded(version),
        arch: decoded(arch),
        archive,
        path,
        size: size.parse().ok()?,
        sha256: hash.strip_prefix("SHA256:")?.parse().ok()?,
        reason: Reason::Requested,
        essential: false,
    })
}

/// The path of `uri` below `base`, decoded; `None` if it is elsewhere. apt
/// spells some URLs in its own way (`file:/x`, no password), so parts are
/// compared, not text.
fn below(base: &Url, uri: &Url) -> Option<String> {
    let place = |url: &Url| {
        let host = url.host_str().unwrap_or_default().to_owned();
        (url.scheme().to_owned(), host, url.port_or_known_default())
    };
    if place(base) != place(uri) {
        return None;
    }
    let (base, path) = (decoded(base.path()), decoded(uri.path()));
    let rest = path.strip_prefix(base.trim_end_matches('/'))?;
    rest.strip_prefix('/').map(str::to_owned)
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::testing::profile;
    use crate::profile::Mirror;

    #[test]
    fn reads_a_line_of_apt() {
        let mut base = profile().base;
        base.mirror = Mirror::Url("http://m.example/".parse().unwrap());
        let archives = Archives::of(&base).unwrap();
        let sha256 = "ab".repeat(32);
        let line = format!(
            "'http://m.example/debian/pool/main/g/g%2b%2b_14%7erc1_amd64.deb' g++_4%3a14~rc1_amd64.deb 7 SHA256:{sha256}"
        );
        let package = read(&line, &archives).unwrap();
        assert_eq!(
            (package.name.as_str(), package.version.as_str()),
            ("g++", "4:14~rc1")
        );
        assert_eq!(package.path, "pool/main/g/g++_14~rc1_amd64.deb");
        assert_eq!((package.archive.as_str(), package.size), ("debian", 7));
        let bad = [
            line.replace("SHA256", "MD5Sum"),
            line.replace("m.example", "n.example"),
            line.replace(" 7 ", " x "),
            line.replace("_amd64.deb 7", ".deb 7"),
        ];
        for bad in bad {
            assert_eq!(read(&bad, &archives), None, "{bad}");
        }
    }

    #[test]
    fn finds_what_is_below_an_archive() {
        let url = |text: &str| Url::parse(text).unwrap();
        let cases = [
            (
                "http://m.example/debian",
                "http://m.example/debian/pool/a%2bb.deb",
                Some("pool/a+b.deb"),
            ),
            (
                "http://u:p@m.example/debian",
                "http://m.example/debian/pool/a.deb",
                Some("pool/a.deb"),
            ),
            (
                "file:///srv/debian",
                "file:/srv/debian/pool/a.deb",
                Some("pool/a.deb"),
            ),
            (
                "http://m.example/debian",
                "http://m.example/debian-security/a.deb",
                None,
            ),
            (
                "http://m.example/debian",
                "http://n.example/debian/a.deb",
                None,
            ),
            (
                "http://m.example:80/debian",
                "http://m.example/debian/a.deb",
                Some("a.deb"),
            ),
        ];
        for (base, uri, expected) in cases {
            assert_eq!(below(&url(base), &url(uri)).as_deref(), expected, "{uri}");
        }
    }
}
