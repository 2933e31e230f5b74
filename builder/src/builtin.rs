//! What comes with the program, so that it needs no checkout: overlays, which are one
//! with the builder and the agent, and the profiles that others extend. `build.rs` makes
//! the lists from `overlays/` and `profiles/base/`.

/// A directory that mirrors a root.
#[derive(Clone, Copy, Debug)]
pub struct Overlay {
    /// As its directory is named.
    pub name: &'static str,
    /// What is in it, by path.
    pub entries: &'static [Entry],
}

/// A file or symbolic link of an overlay.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Relative to the root.
    pub path: &'static str,
    /// What is there.
    pub content: Content,
}

/// What is at a path.
#[derive(Clone, Copy, Debug)]
pub enum Content {
    /// A file, 0755 if it is executable, otherwise 0644.
    File {
        /// Whether it is a program.
        executable: bool,
        /// All of it.
        bytes: &'static [u8],
    },
    /// A symbolic link with this target.
    Symlink(&'static str),
}

/// A profile that others extend.
#[derive(Clone, Copy, Debug)]
pub struct BaseProfile {
    /// What follows `postern:` where it is extended.
    pub name: &'static str,
    /// As in the repository.
    pub text: &'static str,
}

/// Makes a distribution a gateway: over every image.
pub const APPLIANCE: Overlay = Overlay {
    name: "appliance",
    entries: include!(concat!(env!("OUT_DIR"), "/appliance.rs")),
};

/// Over every initrd.
pub const INITRD: Overlay = Overlay {
    name: "initrd",
    entries: include!(concat!(env!("OUT_DIR"), "/initrd.rs")),
};

/// By name.
pub const PROFILES: &[BaseProfile] = include!(concat!(env!("OUT_DIR"), "/profiles.rs"));

impl Content {
    /// The permissions of a file.
    pub const fn mode(executable: bool) -> u32 {
        if executable { 0o755 } else { 0o644 }
    }
}
