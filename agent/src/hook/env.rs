//! The environment that curtin gives a hook, as a type.
//!
//! curtin sets these variables for `curtin/curtin-hooks` (curtin
//! `commands/install.py`, `WorkingDir.env`; `commands/curthooks.py`). A hook
//! gets no arguments.

use std::ffi::OsString;
use std::path::PathBuf;

/// Paths that curtin hands to the hook; all absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookEnv {
    /// `TARGET_MOUNT_POINT`: the seed partition, mounted read-write.
    pub target: PathBuf,
    /// `CONFIG`: curtin's whole merged configuration as JSON. Holds secrets.
    pub config: PathBuf,
    /// `OUTPUT_NETWORK_CONFIG`: the machine's network as curtin wrote it, YAML.
    pub network: PathBuf,
}

/// The environment is not curtin's: one entry for each variable at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "curtin's environment is incomplete: {}; only curtin may start this hook (curtin/curtin-hooks on the seed)",
    .0.join(", ")
)]
pub struct EnvError(pub Vec<String>);

impl HookEnv {
    /// Reads the contract from an environment, such as [`std::env::vars_os`].
    ///
    /// # Errors
    /// All variables that are missing, empty or not absolute paths, at once.
    pub fn from_vars(
        vars: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, EnvError> {
        let vars: std::collections::BTreeMap<OsString, OsString> = vars.into_iter().collect();
        let mut wrong = Vec::new();
        let mut path = |name: &str| {
            let path = vars
                .get(std::ffi::OsStr::new(name))
                .map(PathBuf::from)
                .unwrap_or_default();
            if path.as_os_str().is_empty() {
                wrong.push(format!("{name} is not set"));
            } else if !path.is_absolute() {
                wrong.push(format!("{name} is not an absolute path"));
            }
            path
        };
        let env = Self {
            target: path("TARGET_MOUNT_POINT"),
            config: path("CONFIG"),
            network: path("OUTPUT_NETWORK_CONFIG"),
        };
        if wrong.is_empty() {
            Ok(env)
        } else {
            Err(EnvError(wrong))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        pairs
            .iter()
            .map(|(key, value)| (key.into(), value.into()))
            .collect()
    }

    #[test]
    fn takes_what_curtin_sets() {
        let env = HookEnv::from_vars(vars(&[
            ("PATH", "/usr/bin"),
            ("TARGET_MOUNT_POINT", "/tmp/tmpx/target"),
            ("CONFIG", "/tmp/tmpx/state/config"),
            ("OUTPUT_NETWORK_CONFIG", "/tmp/tmpx/state/network_config"),
            ("WORKING_DIR", "/tmp/tmpx/scratch"),
        ]))
        .unwrap();
        assert_eq!(env.target, PathBuf::from("/tmp/tmpx/target"));
        assert_eq!(env.config, PathBuf::from("/tmp/tmpx/state/config"));
        assert_eq!(env.network, PathBuf::from("/tmp/tmpx/state/network_config"));
    }

    #[test]
    fn names_every_variable_at_fault() {
        let error = HookEnv::from_vars(vars(&[
            ("TARGET_MOUNT_POINT", ""),
            ("CONFIG", "state/config"),
        ]))
        .unwrap_err();
        assert_eq!(
            error.0,
            [
                "TARGET_MOUNT_POINT is not set",
                "CONFIG is not an absolute path",
                "OUTPUT_NETWORK_CONFIG is not set",
            ]
        );
        assert!(!error.to_string().contains('\n'));
    }
}
