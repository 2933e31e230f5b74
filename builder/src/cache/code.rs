//! Which code made a result: a newer builder does not reuse what an older one's
//! code would make otherwise. Written by `build.rs`, which says what belongs to what.

/// The code that decides the bytes of a result.
#[derive(Clone, Copy, Debug)]
pub struct Code {
    /// Digest of its sources.
    pub digest: &'static str,
    /// Where these are, from the crate's directory, with blanks between them.
    pub paths: &'static str,
}

/// Of a result that its inputs alone decide, whatever code wrote it down.
pub const NONE: Code = Code {
    digest: "",
    paths: "",
};

/// Of the packages' programs.
pub const TOOLS: Code = Code {
    digest: env!("POSTERN_CODE_TOOLS"),
    paths: env!("POSTERN_CODE_TOOLS_PATHS"),
};

/// Of the installed packages.
pub const BASE: Code = Code {
    digest: env!("POSTERN_CODE_BASE"),
    paths: env!("POSTERN_CODE_BASE_PATHS"),
};

/// Of the list of k3s' container images.
pub const IMAGES: Code = Code {
    digest: env!("POSTERN_CODE_IMAGES"),
    paths: env!("POSTERN_CODE_IMAGES_PATHS"),
};

/// Of the initrd.
pub const INITRD: Code = Code {
    digest: env!("POSTERN_CODE_INITRD"),
    paths: env!("POSTERN_CODE_INITRD_PATHS"),
};

/// Of the root file system.
pub const ROOT: Code = Code {
    digest: env!("POSTERN_CODE_ROOT"),
    paths: env!("POSTERN_CODE_ROOT_PATHS"),
};

/// Of its hash tree.
pub const VERITY: Code = Code {
    digest: env!("POSTERN_CODE_VERITY"),
    paths: env!("POSTERN_CODE_VERITY_PATHS"),
};

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// What may be used without being part of the code: it says where bytes come
    /// from and go to, not what they are.
    /// The tools' own digest is an input.
    const CARRIERS: [&str; 9] = [
        "crate::cache",
        "crate::extent",
        "crate::host::memory",
        "crate::lock",
        "crate::profile::Arch",
        "crate::profile::Packages",
        "crate::report",
        "crate::source",
        "crate::tools::Tools",
    ];

    /// The sources of the code, those of tests left out, as path and text.
    fn sources(code: Code) -> Vec<(String, String)> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let all = code.paths.split(' ').flat_map(|path| {
            let files = walkdir::WalkDir::new(here.join(path)).into_iter();
            let files = files.map(|entry| entry.unwrap().into_path());
            files.filter(|path| path.extension().is_some_and(|kind| kind == "rs"))
        });
        let text = |path: std::path::PathBuf| {
            let text = fs_err::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]").next().unwrap_or_default();
            (path.display().to_string(), text.to_owned())
        };
        all.filter(|path| !path.to_string_lossy().ends_with("_tests.rs"))
            .map(text)
            .collect()
    }

    /// Where a module of the crate is, without its ending.
    fn place(module: &str) -> String {
        module.replacen("crate", "src", 1).replace("::", "/")
    }

    #[test]
    fn what_decides_bytes_is_in_the_digest() {
        for code in [TOOLS, BASE, IMAGES, INITRD, ROOT, VERITY] {
            for (file, text) in sources(code) {
                for used in text.match_indices("crate::").map(|(at, _)| &text[at..]) {
                    let end = used.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
                    let used = used[..end.unwrap_or(used.len())].trim_end_matches(':');
                    let part = |path: &str| place(used).starts_with(path.trim_end_matches(".rs"));
                    let known = code.paths.split(' ').any(part)
                        || CARRIERS.iter().any(|carrier| used.starts_with(carrier));
                    assert!(
                        known,
                        "{file} uses {used}: add it to the code in build.rs, or here if it decides no byte"
                    );
                }
            }
        }
    }
}
