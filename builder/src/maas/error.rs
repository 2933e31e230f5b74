//! Errors of a region: MAAS' own words, and what to do.

use std::fmt;
use std::path::PathBuf;

use super::address::AddressError;
use crate::artifact::ArtifactError;
use crate::host::http::HttpError;
use crate::host::maas::SettingsError;
use postern_contract::host::oauth::ApiKeyError;

/// Why a request to MAAS failed. Holds no credential, and nothing of a response
/// to a request that MAAS did not authorize.
#[derive(Debug, thiserror::Error)]
pub enum MaasError {
    /// The API key is malformed.
    #[error(transparent)]
    Key(#[from] ApiKeyError),
    /// The address is malformed.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A setting is missing or cannot be read.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The image cannot be read.
    #[error(transparent)]
    Image(#[from] ArtifactError),
    /// The image has no disk for MAAS.
    #[error("{0} has no disk for MAAS\n  help: build it with the output ddgz")]
    NoDisk(PathBuf),
    /// MAAS does not accept the name.
    #[error(
        "MAAS does not accept the image name {name}: {reason}\n  help: change name or version in the profile and build again"
    )]
    Name {
        /// The name.
        name: String,
        /// One clause.
        reason: &'static str,
    },
    /// The base image is malformed.
    #[error(
        "the base image {0:?} is not of the form OS/SERIES\n  help: name an Ubuntu release that MAAS has synced, such as ubuntu/noble"
    )]
    BaseImage(String),
    /// The HTTP client cannot be made.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The image's file cannot be read.
    #[error("cannot read the image")]
    Read(#[source] std::io::Error),
    /// The system gives no random bytes to sign requests with.
    #[error("cannot prepare to sign requests")]
    Random(#[source] std::io::Error),
    /// The image's file differs from its manifest.
    #[error(
        "{0} changed after it was built\n  help: run `postern verify` on it, or build it again"
    )]
    Changed(PathBuf),
    /// The region does not answer, after all retries.
    #[error("cannot reach MAAS at {region}: {reason}\n  help: {help}")]
    Unreachable {
        /// Its address.
        region: String,
        /// The error of the connection.
        reason: String,
        /// What to do.
        help: &'static str,
    },
    /// The server is not MAAS' API.
    #[error(
        "the server at {region} is not MAAS' API: {reason}\n  help: give the address as http://REGION:5240/MAAS"
    )]
    NotMaas {
        /// The address is malformed.
        region: String,
        /// One clause.
        reason: String,
    },
    /// The key is not one of this region's.
    #[error(
        "MAAS at {region} does not accept the API key\n  help: use a key of this region that is not deleted: `maas apikey --username NAME` prints them on the region controller"
    )]
    Unauthorized {
        /// The region.
        region: String,
    },
    /// MAAS refused the request.
    #[error("MAAS refused to {action}: {message} (HTTP {status})\n  help: {help}")]
    Refused {
        /// Verb and object: `list machines`.
        action: &'static str,
        /// MAAS' message, on one line.
        message: String,
        /// The status code.
        status: u16,
        /// What to do.
        help: &'static str,
    },
    /// An image of the name exists.
    #[error(
        "MAAS already has an image {0} with other content\n  help: give the profile a new version and build again; postern never replaces an image"
    )]
    NameTaken(ImageId),
    /// An earlier upload cannot be continued.
    #[error(
        "MAAS has an incomplete upload of {0} that cannot be continued\n  help: run `maas PROFILE boot-resource delete {id}`, then upload again",
        id = .0.id
    )]
    Unresumable(ImageId),
    /// Another image has the same content.
    #[error(
        "MAAS has the content of {name} under another name, {other}; a second upload would damage that image\n  help: deploy custom/{} instead, or delete it first, or change the profile so that the images differ and build again",
        .other.name
    )]
    DuplicateContent {
        /// The name.
        name: String,
        /// The other image.
        other: ImageId,
    },
    /// Another run uploads the same image.
    #[error("another upload of {0} is running\n  help: wait until it ends, then upload again")]
    Busy(ImageId),
    /// All bytes are uploaded, and MAAS does not complete the image.
    #[error(
        "MAAS has all of {image} but did not make it available within {minutes} minutes{}\n  help: every region controller must fetch it: start those that are down, or remove them from MAAS; to wait longer, upload again",
        missing(.without)
    )]
    Pending {
        /// The image.
        image: ImageId,
        /// How long the run waited.
        minutes: u64,
        /// Region controllers that may not have it, by host name.
        without: Vec<String>,
    },
}

/// An image of the region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageId {
    /// Its name.
    pub name: String,
    /// MAAS' number for it.
    pub id: u64,
}

impl fmt::Display for ImageId {
    /// `edge-1.2 (resource 4)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (resource {})", self.name, self.id)
    }
}

impl MaasError {
    /// Whether the user's input is wrong.
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

    /// Whether MAAS refused or cannot be reached.
    pub const fn is_remote(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::NotMaas { .. }
                | Self::Unauthorized { .. }
                | Self::Refused { .. }
                | Self::NameTaken(_)
                | Self::Unresumable(_)
                | Self::Busy(_)
                | Self::DuplicateContent { .. }
                | Self::Pending { .. }
        )
    }

    /// Whether MAAS may have carried out the request all the same, or may do so
    /// if it is sent again: read its state before anything else.
    pub fn may_have_worked(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            // MAAS itself says 503 when it has no addresses.
            Self::Refused {
                status, message, ..
            } => matches!(status, 502..=504) && !message.contains("exhaustion"),
            _ => false,
        }
    }

    /// Whether another attempt cannot complete the upload either.
    pub(super) fn is_final(&self) -> bool {
        match self {
            Self::Changed(_) | Self::Unresumable(_) | Self::DuplicateContent { .. } => true,
            Self::Refused {
                status, message, ..
            } => *status < 500 || is_full(message),
            _ => false,
        }
    }

    /// Whether MAAS has other bytes than were announced.
    pub(super) fn is_corrupted(&self) -> bool {
        matches!(self, Self::Refused { message, .. }
            if message.contains("does not match given SHA256") || message.contains("Too much data"))
    }

    /// Whether the region's disk is full.
    pub(super) fn is_full(&self) -> bool {
        matches!(self, Self::Refused { message, .. } if is_full(message))
    }

    /// Whether the requested object no longer exists.
    pub(super) fn is_gone(&self) -> bool {
        match self {
            Self::Refused {
                status: 404,
                message,
                ..
            } => !message.contains("Unknown API"),
            Self::Refused {
                status: 500,
                message,
                ..
            } => message.contains("query does not exist"),
            _ => false,
        }
    }

    /// Whether the web server in front of MAAS answered instead of it.
    pub(super) const fn is_bad_gateway(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                status: 502..=504,
                ..
            }
        )
    }
}

/// The region controllers that may lack the image.
fn missing(without: &[String]) -> String {
    match without {
        [] => String::new(),
        all => format!(": not at {}", all.join(", ")),
    }
}

/// Whether the region's disk is full: MAAS 3.8 refuses then, earlier ones fail.
pub(super) fn is_full(message: &str) -> bool {
    message.contains("No space left")
}
