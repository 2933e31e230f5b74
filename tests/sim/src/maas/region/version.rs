//! Which MAAS a region pretends to be.

/// Releases of MAAS that answer differently. One stands for all that follow it
/// until the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Release {
    /// 2.9 to 3.3.
    V2_9,
    /// 3.4.
    V3_4,
    /// 3.5 to 3.7.
    V3_7,
    /// 3.8.
    V3_8,
}

impl Release {
    /// The release that a `version` such as `3.4.2` belongs to; the newest one
    /// if it has no numbers.
    pub fn of(version: &str) -> Self {
        let mut numbers = version.split(['.', '~', '-']).map(str::parse::<u64>);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => match (major, minor) {
                (..3, _) | (3, ..4) => Self::V2_9,
                (3, 4) => Self::V3_4,
                (3, ..8) => Self::V3_7,
                _ => Self::V3_8,
            },
            _ => Self::V3_8,
        }
    }
}
