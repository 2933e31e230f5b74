//! `os-release`, as the boot loader reads it from a UKI.

/// The distribution's `os-release` with `IMAGE_ID` and `IMAGE_VERSION` set.
///
/// systemd-boot sorts entries by `IMAGE_ID` and then by `IMAGE_VERSION`
/// (UAPI group, Boot Loader Specification, type 2 entries), so these two
/// decide that the newest version boots first. The same text belongs in the
/// root's `/usr/lib/os-release`.
pub fn for_image(distribution: &str, name: &str, version: &str) -> String {
    let mut text: String = distribution
        .lines()
        .filter(|line| !line.starts_with("IMAGE_ID=") && !line.starts_with("IMAGE_VERSION="))
        .map(|line| format!("{line}\n"))
        .collect();
    text.push_str(&format!("IMAGE_ID={name}\nIMAGE_VERSION={version}\n"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_the_image_once() {
        let once = for_image("ID=debian\nIMAGE_ID=old\nPRETTY_NAME=\"D\"", "edge", "1.2");
        assert_eq!(
            once,
            "ID=debian\nPRETTY_NAME=\"D\"\nIMAGE_ID=edge\nIMAGE_VERSION=1.2\n"
        );
        assert_eq!(for_image(&once, "edge", "1.2"), once);
    }
}
