//! Sizes as people write them: `256MiB`, `60GiB`.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};

use crate::problem::Complaint;

const UNITS: [(&str, u64); 4] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// Bytes in one MiB.
pub const MIB: u64 = 1 << 20;
/// Bytes in one GiB.
pub const GIB: u64 = 1 << 30;

/// The bytes of a whole number with a binary unit.
///
/// # Errors
/// Anything else, such as `1GB`, `1.5GiB` or a bare number.
pub fn parse(text: &str) -> Result<u64, Complaint> {
    let split = text.find(|c: char| !c.is_ascii_digit());
    let (digits, unit) = text.split_at(split.unwrap_or(text.len()));
    let unit = UNITS.iter().find(|(name, _)| *name == unit.trim_start());
    let bytes = digits.parse::<u64>().ok().zip(unit);
    bytes
        .and_then(|(number, (_, unit))| number.checked_mul(*unit))
        .ok_or_else(|| {
            Complaint::new(
                format!("`{text}` is not a size"),
                "write a whole number with KiB, MiB, GiB or TiB, such as `256MiB`",
            )
        })
}

/// `bytes` for a person, in binary units with up to three digits: `999 B`,
/// `1.5 KiB`, `103 MiB`.
pub fn approximate(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    // 999.5 would round to 1000 below.
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    match unit {
        0 => format!("{bytes} B"),
        _ if value < 9.95 => format!("{value:.1} {}", UNITS[unit]),
        _ => format!("{value:.0} {}", UNITS[unit]),
    }
}

/// The shortest way to write `bytes`, such that [`parse`] gives it back.
pub fn display(bytes: u64) -> String {
    let fits = |(_, unit): &&(&str, u64)| bytes != 0 && bytes.is_multiple_of(*unit);
    match UNITS.iter().rev().find(fits) {
        Some((name, unit)) => format!("{}{name}", bytes / unit),
        None => format!("{bytes} bytes"),
    }
}

/// For serde's `with`: a size as [`display`] writes it.
///
/// # Errors
/// Those of `serializer`.
pub fn serialize<S: Serializer>(bytes: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&display(*bytes))
}

/// For serde's `with`: a size, or a number of bytes.
///
/// # Errors
/// Anything else.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    let bytes = text.parse().ok().or_else(|| parse(&text).ok());
    bytes.ok_or_else(|| D::Error::custom("not a size"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_binary_units_only() {
        for (text, bytes) in [
            ("128MiB", Some(128 * MIB)),
            ("60 GiB", Some(60 * GIB)),
            ("1TiB", Some(1024 * GIB)),
            ("0KiB", Some(0)),
            ("1GB", None),
            ("1.5GiB", None),
            ("512", None),
            ("MiB", None),
            ("-1MiB", None),
            ("", None),
            ("99999999999TiB", None),
        ] {
            assert_eq!(parse(text).ok(), bytes, "{text}");
        }
    }

    #[test]
    fn approximates_with_three_digits() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (10_200, "10 KiB"),
            (1023 << 10, "1.0 MiB"),
            (128 * MIB, "128 MiB"),
            (60 * GIB, "60 GiB"),
            (u64::MAX, "16777216 TiB"),
        ] {
            assert_eq!(approximate(bytes), text);
        }
    }

    #[test]
    fn shows_what_it_reads() {
        for text in ["128MiB", "60GiB", "1TiB", "1025KiB"] {
            assert_eq!(display(parse(text).unwrap()), text);
        }
    }
}
