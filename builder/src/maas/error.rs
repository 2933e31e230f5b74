//! What can go wrong with a region, in MAAS' words and with what to do.

use std::path::PathBuf;

use super::address::NotAnAddress;
use crate::artifact::ArtifactError;
use crate::host::http::HttpError;
use crate::host::maas::SettingsError;
use postern_contract::host::oauth::NotAKey;

/// Why an image did not get to MAAS. Never holds a credential, nor anything
/// that MAAS answered to a request that it did not authorize.
#[derive(Debug, thiserror::Error)]
pub enum MaasError {
    /// The key.
    #[error(transparent)]
    Key(#[from] NotAKey),
    /// The address.
    #[error(transparent)]
    Address(#[from] NotAnAddress),
    /// What the environment and files say.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// No image to upload.
    #[error(transparent)]
    Image(#[from] ArtifactError),
    /// An image without the disk that MAAS takes.
    #[error("{0} has no disk for MAAS\n  help: build it with the output ddgz")]
    NoDisk(PathBuf),
    /// A name that MAAS does not take.
    #[error(
        "MAAS takes no image called {name}: {why}\n  help: change name or version in the profile, build again"
    )]
    Name {
        /// The name.
        name: String,
        /// One clause.
        why: &'static str,
    },
    /// Not what MAAS calls a base image.
    #[error(
        "the base image {0:?} is not of the form OS/SERIES\n  help: name an Ubuntu release that MAAS has synced, such as ubuntu/noble"
    )]
    BaseImage(String),
    /// No client.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// Reading the image.
    #[error("reading the image: {0}")]
    Read(#[source] std::io::Error),
    /// The image's file is another one than its manifest says.
    #[error(
        "{0} was changed since it was built\n  help: build it again, or look with `postern verify`"
    )]
    Changed(PathBuf),
    /// Nobody answered, as often as it was tried.
    #[error("MAAS at {region} cannot be reached: {why}\n  help: {help}")]
    Unreachable {
        /// Its address.
        region: String,
        /// What was heard.
        why: String,
        /// What to do.
        help: &'static str,
    },
    /// Whoever answered is not MAAS' API.
    #[error(
        "what answers at {region} is not MAAS' API: {why}\n  help: give the address as http://REGION:5240/MAAS"
    )]
    NotMaas {
        /// The address.
        region: String,
        /// One clause.
        why: String,
    },
    /// The key is not one of this region's.
    #[error(
        "MAAS at {region} does not accept the API key\n  help: it may have been deleted or be another region's; `maas apikey --username NAME` on the region prints the valid ones"
    )]
    Unauthorized {
        /// The region.
        region: String,
    },
    /// An answer that says no.
    #[error("MAAS refused {doing}: {said} (HTTP {status})\n  help: {help}")]
    Refused {
        /// Gerund.
        doing: &'static str,
        /// What MAAS said, on one line.
        said: String,
        /// The status code.
        status: u16,
        /// What to do.
        help: &'static str,
    },
    /// The name is used.
    #[error(
        "MAAS already has an image {name} (resource {id}), with other content\n  help: give the profile a new version and build again; images are never replaced"
    )]
    Taken {
        /// The name.
        name: String,
        /// MAAS' number for it.
        id: u64,
    },
    /// What came of an earlier upload cannot be told.
    #[error(
        "MAAS has a part of {name} (resource {id}) that cannot be continued\n  help: `maas PROFILE boot-resource delete {id}`, then upload again"
    )]
    Unresumable {
        /// The name.
        name: String,
        /// MAAS' number for it.
        id: u64,
    },
    /// Another image has the same content.
    #[error(
        "MAAS has the same bytes as {name} under another name, {other} (resource {id}); sending them again would spoil that image\n  help: deploy custom/{other} instead, or delete it first, or change the profile so that the images differ and build again"
    )]
    Twin {
        /// The name.
        name: String,
        /// The other name.
        other: String,
        /// MAAS' number for the other.
        id: u64,
    },
    /// Somebody else sends to the same image.
    #[error(
        "another upload of {name} (resource {id}) is under way\n  help: wait for it, then upload again"
    )]
    Busy {
        /// The name.
        name: String,
        /// MAAS' number for it.
        id: u64,
    },
    /// All bytes are there, and MAAS does not make an image of them.
    #[error(
        "MAAS has all of {name} (resource {id}) but did not make it available within {minutes} minutes{}\n  help: every region controller must fetch it: start those that are down, or remove them from MAAS; upload again to wait longer",
        missing(.without)
    )]
    Pending {
        /// The name.
        name: String,
        /// MAAS' number for it.
        id: u64,
        /// How long it was waited for.
        minutes: u64,
        /// Region controllers that may not have it, by host name.
        without: Vec<String>,
    },
}

impl MaasError {
    /// Whether a person gave what cannot be used.
    pub const fn is_input(&self) -> bool {
        matches!(
            self,
            Self::Key(_)
                | Self::Address(_)
                | Self::Settings(_)
                | Self::Image(_)
                | Self::NoDisk(_)
                | Self::Name { .. }
                | Self::BaseImage(_)
        )
    }

    /// Whether MAAS refused or could not be reached.
    pub const fn is_of_the_other_side(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::NotMaas { .. }
                | Self::Unauthorized { .. }
                | Self::Refused { .. }
                | Self::Taken { .. }
                | Self::Unresumable { .. }
                | Self::Busy { .. }
                | Self::Twin { .. }
                | Self::Pending { .. }
        )
    }

    /// Whether MAAS may have done all the same what it was asked, or may do it
    /// when it is asked again: look before anything else.
    pub fn may_have_worked(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            // MAAS itself says 503 when it has no addresses.
            Self::Refused { status, said, .. } => {
                matches!(status, 502..=504) && !said.contains("exhaustion")
            }
            _ => false,
        }
    }

    /// Whether an upload that met this can never be completed by another try.
    pub(super) fn is_final(&self) -> bool {
        match self {
            Self::Changed(_) | Self::Unresumable { .. } | Self::Twin { .. } => true,
            Self::Refused { status, said, .. } => *status < 500 || is_full(said),
            _ => false,
        }
    }

    /// Whether MAAS has other bytes than it was told of.
    pub(super) fn is_spoiled(&self) -> bool {
        matches!(self, Self::Refused { said, .. }
            if said.contains("does not match given SHA256") || said.contains("Too much data"))
    }

    /// Whether the region's disk is full.
    pub(super) fn is_full(&self) -> bool {
        matches!(self, Self::Refused { said, .. } if is_full(said))
    }

    /// Whether what was asked for does not exist any more.
    pub(super) fn is_gone(&self) -> bool {
        match self {
            Self::Refused {
                status: 404, said, ..
            } => !said.contains("Unknown API"),
            Self::Refused {
                status: 500, said, ..
            } => said.contains("query does not exist"),
            _ => false,
        }
    }

    /// Whether the web server before MAAS answered instead of it.
    pub(super) const fn is_of_a_gateway(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                status: 502..=504,
                ..
            }
        )
    }
}

/// Who may not have it.
fn missing(without: &[String]) -> String {
    match without {
        [] => String::new(),
        all => format!(": not at {}", all.join(", ")),
    }
}

/// Whether the region's disk is full: MAAS 3.8 refuses then, earlier ones fail.
pub(super) fn is_full(said: &str) -> bool {
    said.contains("No space left")
}

/// What to do about something that MAAS said.
pub(super) fn remedy(status: u16, said: &str) -> &'static str {
    let says = |words: &str| said.contains(words);
    if status == 403 {
        return "uploading needs the API key of an administrator of MAAS";
    }
    if status == 413 {
        return "a proxy before MAAS limits requests: let it pass bodies of 8 MB";
    }
    if is_full(said) {
        return "make room on the region controller, under MAAS' image storage";
    }
    if says("reserved name") || says("Unsupport") {
        return "change the name in the profile, build again";
    }
    if says("at most 255 characters") {
        return "give the image a shorter name or version in the profile, build again";
    }
    if says("is not a valid architecture") {
        return "MAAS takes images once an Ubuntu release of that architecture is synced on every region controller";
    }
    if says("base image") {
        return "give --base-image an Ubuntu release that MAAS has synced, such as ubuntu/noble";
    }
    if says("different size") {
        return "look with `postern verify` whether the image is as it was built";
    }
    if says("does not match given SHA256") {
        return "bytes were damaged or doubled on the way, twice: look for a proxy that changes them, and upload it from one place only; an image that was not brought by postern has to be deleted first";
    }
    if says("Unknown API endpoint") {
        return "give the address as http://REGION:5240/MAAS";
    }
    "look into the region's log (regiond.log)"
}
