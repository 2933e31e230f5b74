//! Which security modules the kernel starts.

/// The modules that the kernel with this `config` starts by itself (`CONFIG_LSM`,
/// Linux, security/Kconfig), without `bpf`, whose program made systemd wait half a
/// minute in emulation and that nothing here uses. `None` if the config says none.
pub fn without_bpf(config: &str) -> Option<String> {
    let mut lines = config.lines();
    let list = lines.find_map(|line| line.strip_prefix("CONFIG_LSM="))?;
    let modules = list.trim_matches('"').split(',');
    let modules: Vec<_> = modules.filter(|m| !m.is_empty() && *m != "bpf").collect();
    (!modules.is_empty()).then(|| modules.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_the_kernel_was_built_with() {
        let config = "CONFIG_LSM_MMAP_MIN_ADDR=0\n\
            CONFIG_LSM=\"landlock,lockdown,yama,integrity,apparmor,bpf\"\n";
        let expected = "landlock,lockdown,yama,integrity,apparmor";
        assert_eq!(without_bpf(config).as_deref(), Some(expected));
        assert_eq!(without_bpf("CONFIG_LSM=\"bpf\"\n"), None);
        assert_eq!(without_bpf("# CONFIG_LSM is not set\n"), None);
    }
}
