//! What is on the EFI system partition, as data.

use postern_contract::digest::Digest;
use postern_contract::seed::SeedFile;

/// systemd-boot's settings: nobody waits for a menu or edits a command line, and
/// since version 258 a UKI that cannot be loaded ends in a restart, not in the
/// firmware (older ones pass over the line; loader.conf(5)).
const LOADER_CONF: &str = "timeout 0\neditor no\nreboot-on-error auto\n";

/// A path from the root of the ESP, with slashes, and the bytes of the file.
pub type EspFile = (String, Vec<u8>);

/// What a version is called on the ESP: `edge_1.2`.
pub fn entry(name: &str, version: &str) -> String {
    format!("{name}_{version}")
}

/// File name of a version's UKI that has booted well: `edge_1.2.efi`. That of an
/// image is one from the start: systemd-boot counts tries only in names with a
/// counter (`edge_1.2+1.efi`; UAPI group, Boot Loader Specification, "Boot
/// counting"), and a first version that counted itself down in good boots would
/// rank no better than a broken update.
pub fn uki_name(name: &str, version: &str) -> String {
    format!("{}.efi", entry(name, version))
}

/// The files of the ESP, sorted by path. `loader` is systemd-boot, `uki` the
/// unified kernel image of the one version on the disk, and `grub` what GRUB
/// reads ([`super::bios`]), if a BIOS is to start the disk.
pub fn files(
    (name, version): (&str, &str),
    loader: Vec<u8>,
    uki: Vec<u8>,
    grub: Vec<EspFile>,
) -> Vec<EspFile> {
    let mut files = vec![
        ("EFI/BOOT/BOOTX64.EFI".to_owned(), loader),
        (format!("EFI/Linux/{}", uki_name(name, version)), uki),
        ("loader/loader.conf".to_owned(), LOADER_CONF.into()),
    ];
    files.extend(grub);
    files.sort_unstable();
    files
}

/// What the install hook checks on the ESP.
pub fn digests(files: &[EspFile]) -> Vec<SeedFile> {
    files
        .iter()
        .map(|(path, bytes)| SeedFile {
            path: path.clone(),
            sha256: Digest::of(bytes),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_loader_settings_and_one_version() {
        let image = ("edge", "1.2-rc1");
        let grub = vec![("loader/grub.cfg".to_owned(), b"script".to_vec())];
        let files = files(image, b"loader".to_vec(), b"uki".to_vec(), grub);
        let paths: Vec<_> = files.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "EFI/BOOT/BOOTX64.EFI",
                "EFI/Linux/edge_1.2-rc1.efi",
                "loader/grub.cfg",
                "loader/loader.conf"
            ]
        );
        assert!(paths.is_sorted());
        let digests = digests(&files);
        assert_eq!(digests[1].path, "EFI/Linux/edge_1.2-rc1.efi");
        // printf uki | sha256sum
        let expected = "80fb8ca4";
        assert_eq!(&digests[1].sha256.to_string()[..8], expected);
    }

    /// A machine that netboots is sent to the first of MAAS' paths that any
    /// disk has (MAAS' `config.local.amd64.template`).
    #[test]
    fn only_one_path_that_maas_searches_is_there() {
        let searched = [
            "efi/boot/bootx64.efi",
            "efi/ubuntu/shimx64.efi",
            "efi/ubuntu/grubx64.efi",
            "efi/microsoft/boot/bootmgfw.efi",
        ];
        let files = files(("edge", "1"), Vec::new(), Vec::new(), Vec::new());
        let found: Vec<_> = files
            .iter()
            .map(|(path, _)| path.to_lowercase())
            .filter(|path| searched.contains(&path.as_str()) || path.contains("shim"))
            .collect();
        assert_eq!(found, [searched[0]]);
    }
}
