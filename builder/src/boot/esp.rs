//! What is on the EFI system partition, as data.

use postern_contract::digest::Digest;
use postern_contract::seed::SeedFile;

use super::bios;

/// How often systemd-boot tries a new UKI before it calls it bad
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

/// Every name that systemd-boot may give a version's UKI: booted well, new,
/// tried and not yet booted well, tried in vain. The best comes first.
pub fn uki_names(name: &str, version: &str) -> Vec<String> {
    let tried = (0..=TRIES).map(|done| match done {
        0 => format!("{name}_{version}+{TRIES}.efi"),
        done => format!("{name}_{version}+{}-{done}.efi", TRIES - done),
    });
    std::iter::once(uki_name(name, version))
        .chain(tried)
        .collect()
}

/// The files of the ESP, sorted by path. `loader` is systemd-boot, `uki` the
/// unified kernel image of the one version on the disk, and `grub` the script
/// for GRUB ([`super::bios`]), if a BIOS is to start the disk.
pub fn files(
    (name, version): (&str, &str),
    loader: Vec<u8>,
    uki: Vec<u8>,
    grub: Option<String>,
) -> Vec<EspFile> {
    let grub = grub.map(|script| (bios::CONFIG.to_owned(), script.into_bytes()));
    let mut files = vec![
        ("EFI/BOOT/BOOTX64.EFI".to_owned(), loader),
        (format!("EFI/Linux/{name}_{version}+{TRIES}.efi"), uki),
    ];
    files.extend(grub);
    files.push(("loader/loader.conf".to_owned(), LOADER_CONF.into()));
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
        let grub = Some("script".to_owned());
        let files = files(image, b"loader".to_vec(), b"uki".to_vec(), grub);
        let paths: Vec<_> = files.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "EFI/BOOT/BOOTX64.EFI",
                "EFI/Linux/edge_1.2-rc1+3.efi",
                "loader/grub.cfg",
                "loader/loader.conf"
            ]
        );
        assert!(paths.is_sorted());
        let digests = digests(&files);
        assert_eq!(digests[1].path, "EFI/Linux/edge_1.2-rc1+3.efi");
        // printf uki | sha256sum
        let expected = "80fb8ca4";
        assert_eq!(&digests[1].sha256.to_string()[..8], expected);
    }

    #[test]
    fn knows_every_name_that_counting_gives() {
        let names = uki_names("edge", "1.2");
        let expected = [
            "edge_1.2.efi",
            "edge_1.2+3.efi",
            "edge_1.2+2-1.efi",
            "edge_1.2+1-2.efi",
            "edge_1.2+0-3.efi",
        ];
        assert_eq!(names, expected);
        let written = files(("edge", "1.2"), Vec::new(), Vec::new(), None);
        assert_eq!(written[1].0, format!("EFI/Linux/{}", names[1]));
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
        let files = files(("edge", "1"), Vec::new(), Vec::new(), Some(String::new()));
        let found: Vec<_> = files
            .iter()
            .map(|(path, _)| path.to_lowercase())
            .filter(|path| searched.contains(&path.as_str()) || path.contains("shim"))
            .collect();
        assert_eq!(found, [searched[0]]);
    }
}
