//! The version of MAAS, and what follows from it for an upload.
//!
//! Read in the sources of 2.9, 3.4, 3.7 and 3.8 beta: `maasserver/models/largefile.py`,
//! `maasserver/utils/bootresource.py`, `maasservicelayer/utils/image_local_files.py`.

use serde::Deserialize;

/// The response to `GET version/`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Version {
    /// `3.7.3`; empty in builds from source.
    pub version: String,
}

/// The unit of a file's `progress`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgressUnit {
    /// Percent of the bytes that all region controllers together must have; since
    /// 3.5.
    Percent,
    /// The bytes of the whole divided by those that came, and 0 if none came;
    /// up to 3.4.
    Ratio,
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

    /// The unit of `progress`.
    pub fn progress_unit(&self) -> ProgressUnit {
        match self.numbers() {
            Some(numbers) if numbers < (3, 5) => ProgressUnit::Ratio,
            _ => ProgressUnit::Percent,
        }
    }

    /// Whether all uploads of the same content write to the final file itself.
    /// Then a duplicate piece, or one too large for the disk, removes the file,
    /// while MAAS keeps its old position: an upload of another run cannot be
    /// continued, and a complete image must not be uploaded under a second name.
    /// True of 3.8 beta, and assumed of later versions.
    pub fn writes_in_place(&self) -> bool {
        self.numbers().is_none_or(|numbers| numbers >= (3, 8))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_from_a_version() {
        for (version, progress_unit, in_place) in [
            ("2.9.2", ProgressUnit::Ratio, false),
            ("3.4.9", ProgressUnit::Ratio, false),
            ("3.5.0~beta1", ProgressUnit::Percent, false),
            ("3.7.3", ProgressUnit::Percent, false),
            ("3.8.0~beta6", ProgressUnit::Percent, true),
            ("3.10.1", ProgressUnit::Percent, true),
            ("4.0", ProgressUnit::Percent, true),
            ("", ProgressUnit::Percent, true),
        ] {
            let version = Version {
                version: version.into(),
            };
            assert_eq!(version.progress_unit(), progress_unit, "{version:?}");
            assert_eq!(version.writes_in_place(), in_place, "{version:?}");
        }
    }
}
