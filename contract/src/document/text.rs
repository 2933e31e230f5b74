//! Bytes of a file that a person made, as text.

/// The text in `bytes`: UTF-8, or UTF-16 that begins with a byte order mark
/// (RFC 2781), as some editors and shells write it; without that mark. `None` if it
/// is neither.
pub fn decode(bytes: &[u8]) -> Option<String> {
    let unit: fn([u8; 2]) -> u16 = match bytes {
        [0xff, 0xfe, ..] => u16::from_le_bytes,
        [0xfe, 0xff, ..] => u16::from_be_bytes,
        _ => {
            let text = std::str::from_utf8(bytes).ok()?;
            return Some(text.strip_prefix('\u{feff}').unwrap_or(text).to_owned());
        }
    };
    let (units, rest) = bytes[2..].as_chunks::<2>();
    let text = char::decode_utf16(units.iter().map(|pair| unit(*pair)));
    text.collect::<Result<_, _>>()
        .ok()
        .filter(|_| rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_understood_and_dropped() {
        let utf16 = |mark: [u8; 2], bytes: fn(u16) -> [u8; 2]| {
            let units = "né\r\n".encode_utf16().flat_map(bytes);
            mark.into_iter().chain(units).collect::<Vec<u8>>()
        };
        for bytes in [
            "né\r\n".into(),
            "\u{feff}né\r\n".into(),
            utf16([0xff, 0xfe], u16::to_le_bytes),
            utf16([0xfe, 0xff], u16::to_be_bytes),
        ] {
            assert_eq!(decode(&bytes).as_deref(), Some("né\r\n"), "{bytes:?}");
        }
        for bytes in [&b"n\xe9"[..], b"\xff\xfen", b"\xff\xfe\x00\xd8n\0"] {
            assert_eq!(decode(bytes), None, "{bytes:?}");
        }
    }
}
