//! OpenSSL's hash of a subject, which names the links it finds certificates by.
//!
//! It is the first four bytes, little-endian, of the SHA-1 of the subject's
//! canonical form: the attributes' strings as UTF-8 in lower case with spaces
//! folded, and no outer SEQUENCE (OpenSSL `crypto/x509/x_name.c`,
//! `x509_name_canon`).

use sha1::{Digest, Sha1};
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::der::asn1::{Any, SetOfVec};
use x509_cert::der::{Encode, Tag, Tagged};
use x509_cert::name::Name;

/// The hash of a subject; `None` if one of its strings is not text.
pub(super) fn hash(subject: &Name) -> Option<u32> {
    let mut canonical = Vec::new();
    for name in subject.iter_rdn() {
        let mut set = SetOfVec::new();
        for attribute in name.iter() {
            set.insert(canonical_attribute(attribute)?).ok()?;
        }
        set.encode_to_vec(&mut canonical).ok()?;
    }
    let digest = Sha1::digest(&canonical);
    let first = digest.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*first))
}

fn canonical_attribute(attribute: &AttributeTypeAndValue) -> Option<AttributeTypeAndValue> {
    let mut attribute = attribute.clone();
    if let Some(text) = text(&attribute.value) {
        attribute.value = Any::new(Tag::Utf8String, fold(&text).into_bytes()).ok()?;
    }
    Some(attribute)
}

/// The text of the string types that OpenSSL folds (`ASN1_MASK_CANON`).
fn text(value: &Any) -> Option<String> {
    let bytes = value.value();
    match value.tag() {
        Tag::Utf8String => String::from_utf8(bytes.to_vec()).ok(),
        // OpenSSL reads the 8-bit types as Latin-1.
        Tag::PrintableString | Tag::Ia5String | Tag::TeletexString | Tag::VisibleString => {
            Some(bytes.iter().copied().map(char::from).collect())
        }
        Tag::BmpString => {
            let (units, rest) = bytes.as_chunks::<2>();
            let units = units.iter().map(|unit| u16::from_be_bytes(*unit));
            let text: String = char::decode_utf16(units).collect::<Result<_, _>>().ok()?;
            rest.is_empty().then_some(text)
        }
        _ => None,
    }
}

/// ASCII lower case, no blanks at the ends, one space for each run of them.
fn fold(text: &str) -> String {
    // The blanks of `isspace` in C, which include the vertical tab.
    let blank = |c: char| matches!(c, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r');
    let words = text.split(blank).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ").to_ascii_lowercase()
}
