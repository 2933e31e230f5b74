//! Bytes by name.

use std::collections::BTreeMap;

use serde::Serialize;

/// Something and the bytes of the files in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Weight {
    /// A package, a directory or a file.
    pub name: String,
    /// Bytes of its files.
    pub size: u64,
}

/// Those with any bytes, the largest first.
pub(super) fn largest_first(weights: BTreeMap<String, u64>) -> Vec<Weight> {
    let weight = |(name, size)| Weight { name, size };
    let mut weights: Vec<_> = weights.into_iter().map(weight).collect();
    weights.retain(|weight| weight.size > 0);
    // A stable sort: equal sizes stay sorted by name.
    weights.sort_by_key(|weight| std::cmp::Reverse(weight.size));
    weights
}
