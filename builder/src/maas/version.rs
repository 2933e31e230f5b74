//! Which MAAS it is, and what follows from that for an upload.
//!
//! Read in the sources of 2.9, 3.4, 3.7 and 3.8 beta: `maasserver/models/largefile.py`,
//! `maasserver/utils/bootresource.py`, `maasservicelayer/utils/image_local_files.py`.

use serde::Deserialize;

/// What `GET version/` tells.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Version {
    /// `3.7.3`; empty in builds from source.
    pub version: String,
}

/// What MAAS means by the `progress` of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counting {
    /// Percent of the bytes that all region controllers shall have; since 3.5.
    Percent,
    /// The bytes of the whole divided by those that came, and 0 if none came;
    /// up to 3.4.
    Inverse,
}

impl Version {
    /// Major and minor number; `None` for builds from source.
    fn numbers(&self) -> Option<(u64, u64)> {
        let mut numbers = self.version.split(['.', '~', '-']).map(str::parse::<u64>);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => Some((major, minor)),
            _ => None,
        }
    }

    /// What `progress` is.
    pub fn counting(&self) -> Counting {
        match self.numbers() {
            Some(numbers) if numbers < (3, 5) => Counting::Inverse,
            _ => Counting::Percent,
        }
    }

    /// Whether all uploads of the same content write to the final file itself.
    /// Then a piece too many, or one too large for the disk, removes the file,
    /// while MAAS goes on counting from where it was: what another run began
    /// cannot be trusted, nor may a complete image be uploaded under a second
    /// name. So it is in 3.8 beta, and later ones are taken to be alike.
    pub fn writes_in_place(&self) -> bool {
        self.numbers().is_none_or(|numbers| numbers >= (3, 8))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_from_a_version() {
        for (version, counting, in_place) in [
            ("2.9.2", Counting::Inverse, false),
            ("3.4.9", Counting::Inverse, false),
            ("3.5.0~beta1", Counting::Percent, false),
            ("3.7.3", Counting::Percent, false),
            ("3.8.0~beta6", Counting::Percent, true),
            ("3.10.1", Counting::Percent, true),
            ("4.0", Counting::Percent, true),
            ("", Counting::Percent, true),
        ] {
            let version = Version {
                version: version.into(),
            };
            assert_eq!(version.counting(), counting, "{version:?}");
            assert_eq!(version.writes_in_place(), in_place, "{version:?}");
        }
    }
}
