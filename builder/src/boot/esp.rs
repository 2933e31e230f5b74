//! What is on the EFI system partition, as data.

use postern_agent::contract::seed::SeedFile;
use sha2::{Digest, Sha256};

/// Boots systemd-boot may try before it calls a new UKI bad
/// (UAPI group, Boot Loader Specification, "Boot counting").
const TRIES: u32 = 3;

/// systemd-boot's settings: nobody waits for a menu or edits a command line.
const LOADER_CONF: &str = "timeout 0\neditor no\n";

/// A path from the root of the ESP, with slashes, and the bytes of the file.
pub type EspFile = (String, Vec<u8>);

/// File name of a version's UKI once it has booted well: `edge_1.2.efi`.
pub fn uki_name(name: &str, version: &str) -> String {
    format!("{name}_{version}.efi")
}

/// The files of the ESP, sorted by path. `loader` is systemd-boot and `uki`
/// the unified kernel image of the one version on the disk.
pub fn files(name: &str, version: &str, loader: Vec<u8>, uki: Vec<u8>) -> Vec<EspFile> {
    vec![
        ("EFI/BOOT/BOOTX64.EFI".to_owned(), loader),
        (format!("EFI/Linux/{name}_{version}+{TRIES}.efi"), uki),
        ("loader/loader.conf".to_owned(), LOADER_CONF.into()),
    ]
}

/// What the install hook checks on the ESP.
pub fn digests(files: &[EspFile]) -> Vec<SeedFile> {
    files
        .iter()
        .map(|(path, bytes)| SeedFile {
            path: path.clone(),
            sha256: hex::encode(Sha256::digest(bytes)),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_loader_settings_and_one_version() {
        let files = files("edge", "1.2-rc1", b"loader".to_vec(), b"uki".to_vec());
        let paths: Vec<_> = files.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "EFI/BOOT/BOOTX64.EFI",
                "EFI/Linux/edge_1.2-rc1+3.efi",
                "loader/loader.conf"
            ]
        );
        assert!(paths.is_sorted());
        let digests = digests(&files);
        assert_eq!(digests[1].path, "EFI/Linux/edge_1.2-rc1+3.efi");
        // printf uki | sha256sum
        let expected = "80fb8ca4";
        assert_eq!(&digests[1].sha256[..8], expected);
    }
}
