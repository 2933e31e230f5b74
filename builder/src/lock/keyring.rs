//! The packages that bring the distributions' archive keyrings to a machine.

use std::path::Path;

/// The package of a machine whose distribution is `host` (`ID=` of os-release(5)) that
/// has the keyring `file`, and where it is if not in the usual place.
///
/// Read in the packages: Debian has Ubuntu's in 13 and in 12's backports, under the
/// same name; `ubuntu-archive-keyring` is a transition to it. Ubuntu has Debian's in
/// universe.
pub fn package(file: &Path, host: &str) -> Option<&'static str> {
    let name = file.strip_prefix("/usr/share/keyrings").ok()?.to_str()?;
    match (name, host) {
        ("debian-archive-keyring.gpg", "debian") => Some("debian-archive-keyring"),
        ("debian-archive-keyring.gpg", "ubuntu") => Some("debian-archive-keyring, of universe"),
        ("ubuntu-archive-keyring.gpg", "ubuntu") => Some("ubuntu-keyring"),
        ("ubuntu-archive-keyring.gpg", "debian") => {
            Some("ubuntu-keyring, on Debian 12 from bookworm-backports")
        }
        _ => None,
    }
}

/// What to do about a keyring that is missing.
pub fn remedy(file: &Path, host: &str) -> String {
    match package(file, host) {
        Some(package) => format!("install the package {package}"),
        None => "check `base.keyring` and the keyrings in `base.archives`, or install the distribution's keyring package".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_has_its_own_package() {
        let ubuntu = Path::new("/usr/share/keyrings/ubuntu-archive-keyring.gpg");
        let on_debian = remedy(ubuntu, "debian");
        assert!(
            on_debian.contains("ubuntu-keyring, on Debian 12"),
            "{on_debian}"
        );
        assert_eq!(
            remedy(ubuntu, "ubuntu"),
            "install the package ubuntu-keyring"
        );
        for (file, host) in [
            ("/etc/acme.gpg", "debian"),
            ("/usr/share/keyrings/x.gpg", "ubuntu"),
        ] {
            assert!(remedy(Path::new(file), host).contains("`base.keyring`"));
        }
    }
}
