use std::collections::BTreeSet;

use super::*;
use crate::host::Command;

/// The CA bundle of this machine: some 140 subjects of every make.
const SYSTEM_BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";

fn authority() -> &'static str {
    include_str!("../../../tests/fixtures/rehearsal-ca.pem")
}

fn openssl(args: &[&str], input: &str) -> String {
    let out = Command::new("openssl")
        .args(args)
        .run_with_input(input.as_bytes());
    String::from_utf8(out.unwrap()).unwrap()
}

fn self_signed(subject: &str, more: &[&str]) -> String {
    let request = [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-nodes",
        "-keyout",
        "/dev/null",
    ];
    let curve = ["-pkeyopt", "ec_paramgen_curve:P-256", "-subj", subject];
    openssl(&[&request[..], &curve, more].concat(), "")
}

#[test]
fn links_the_system_bundle_as_openssl_does() {
    let text = fs_err::read_to_string(SYSTEM_BUNDLE).unwrap();
    let certificates = parse(&text).unwrap();
    assert!(certificates.len() > 50, "{}", certificates.len());
    let named = |(i, certificate)| Named {
        name: format!("{i:03}"),
        certificate,
    };
    let named: Vec<_> = certificates.into_iter().enumerate().map(named).collect();
    let ours = additions("", &named, &BTreeSet::new()).unwrap();

    let dir = tempfile::tempdir().unwrap();
    for (name, text) in &ours.files {
        fs_err::write(dir.path().join(name), text).unwrap();
    }
    openssl(&["rehash", dir.path().to_str().unwrap()], "");
    let theirs: std::collections::BTreeMap<_, _> = fs_err::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_symlink())
        .map(|link| {
            let target = fs_err::read_link(link.path()).unwrap();
            let text = |s: std::ffi::OsString| s.into_string().unwrap();
            (text(link.file_name()), text(target.into_os_string()))
        })
        .collect();
    assert_eq!(ours.links, theirs);
}

#[test]
fn says_what_openssl_says() {
    let [certificate] = &parse(authority()).unwrap()[..] else {
        panic!("one certificate");
    };
    let info = &certificate.info;
    assert_eq!(info.subject, "CN=Postern Rehearsal CA (test only)");
    assert_eq!(info.issuer, info.subject);
    let args = [
        "x509",
        "-noout",
        "-fingerprint",
        "-sha256",
        "-enddate",
        "-dateopt",
        "iso_8601",
    ];
    let said = openssl(&args, authority());
    let fingerprint = said.lines().next().unwrap().split('=').next_back().unwrap();
    assert_eq!(info.sha256, fingerprint.replace(':', "").to_lowercase());
    let end = info.not_after.to_string().replace('T', " ");
    assert!(said.contains(&format!("notAfter={end}")), "{said} {end}");
    assert_eq!(certificate.pem, authority(), "openssl writes the same PEM");
    certificate.as_authority(info.not_before).unwrap();
}

#[test]
fn reads_pem_as_people_keep_it() {
    let comment = openssl(&["x509", "-text"], authority());
    let windows = authority().replace('\n', "\r\n");
    let indented = authority().replace('\n', "\n  ");
    let body: String = authority()
        .lines()
        .filter(|l| !l.starts_with('-'))
        .collect();
    let one_line = format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----");
    for text in [comment, windows, indented, one_line] {
        assert_eq!(parse(&text).unwrap()[0].pem, authority(), "{text}");
    }
}

#[test]
fn refuses_what_is_no_certificate() {
    let key = include_str!("../../../tests/fixtures/rehearsal-ca.key");
    let cut = &authority()[..authority().len() / 2];
    let bent = authority().replace("MII", "MIJ").replacen("BQA", "AAA", 1);
    let wrong = authority().replacen('M', "!", 1);
    for (text, error) in [
        (String::new(), TrustError::Empty),
        ("CN=Example".to_owned(), TrustError::Empty),
        (format!("{}{key}", authority()), TrustError::PrivateKey),
        (cut.to_owned(), TrustError::Pem(1)),
        (format!("{}{cut}", authority()), TrustError::Pem(2)),
        (wrong, TrustError::Pem(1)),
        (
            authority().replace("CERTIFICATE", "CERTIFICATE REQUEST"),
            TrustError::Other("CERTIFICATE REQUEST".to_owned()),
        ),
    ] {
        assert_eq!(parse(&text).unwrap_err(), error, "{text}");
    }
    assert_ne!(bent, authority());
    assert_eq!(parse(&bent).unwrap_err(), TrustError::X509(1));
}

#[test]
fn only_a_valid_authority_is_one() {
    let leaf = self_signed(
        "/CN=leaf",
        &["-addext", "basicConstraints=critical,CA:FALSE"],
    );
    let leaf = &parse(&leaf).unwrap()[0];
    let now = leaf.info.not_before;
    assert_eq!(
        leaf.as_authority(now).unwrap_err(),
        DistrustReason::NotAuthority("CN=leaf".to_owned())
    );
    let authority = &parse(authority()).unwrap()[0];
    let late = "2127-01-01T00:00:00Z".parse().unwrap();
    let error = authority.as_authority(late).unwrap_err();
    assert!(error.to_string().contains("expired on 2126-"), "{error}");
}

#[test]
fn additions_are_what_openssl_finds() {
    let ours = Named::all("rehearsal", parse(authority()).unwrap());
    let twice = [ours.clone(), ours.clone()].concat();
    let system = fs_err::read_to_string(SYSTEM_BUNDLE).unwrap();
    let added = additions(&system, &twice, &BTreeSet::new()).unwrap();
    assert_eq!(added.bundle, format!("{system}{}", authority()));

    let dir = tempfile::tempdir().unwrap();
    for (name, text) in &added.files {
        fs_err::write(dir.path().join(name), text).unwrap();
    }
    for (name, target) in &added.links {
        std::os::unix::fs::symlink(target, dir.path().join(name)).unwrap();
    }
    let said = openssl(
        &[
            "verify",
            "-no-CAfile",
            "-no-CAstore",
            "-CApath",
            dir.path().to_str().unwrap(),
        ],
        authority(),
    );
    assert!(said.contains("OK"), "{said}");

    let again = additions(&added.bundle, &ours, &BTreeSet::new()).unwrap();
    assert_eq!(again.bundle, added.bundle, "a second time adds nothing");
    assert!(again.links.is_empty() && again.files.is_empty());
}

#[test]
fn names_that_are_taken_are_left_alone() {
    let ours = Named::all("rehearsal", parse(authority()).unwrap());
    let hash = ours[0].certificate.subject_hash();
    let taken = BTreeSet::from([format!("{hash:08x}.0"), "rehearsal.pem".to_owned()]);
    let added = additions("", &ours, &taken).unwrap();
    assert_eq!(
        added.links,
        [(format!("{hash:08x}.1"), "rehearsal-1.pem".to_owned())].into()
    );
    assert_eq!(added.bundle, authority());
}

#[test]
fn several_certificates_of_one_file_are_numbered() {
    let system = fs_err::read_to_string(SYSTEM_BUNDLE).unwrap();
    let two = parse(&system).unwrap().into_iter().take(2);
    let names: Vec<_> = Named::all("corp", two.collect())
        .into_iter()
        .map(|n| n.name)
        .collect();
    assert_eq!(names, ["corp-1", "corp-2"]);
}

#[test]
fn takes_files_as_people_keep_them() {
    let der = Command::new("openssl").args(["x509", "-outform", "DER"]);
    let der = der.run_with_input(authority().as_bytes()).unwrap();
    let marked = format!("\u{feff}{}", authority()).into_bytes();
    let latin1 = [b"# f\xfcr alle\n", authority().as_bytes()].concat();
    let wide = [0xfeff].into_iter().chain(authority().encode_utf16());
    let wide: Vec<u8> = wide.flat_map(u16::to_le_bytes).collect();
    for bytes in [
        authority().as_bytes().to_vec(),
        der.clone(),
        marked,
        latin1,
        wide,
    ] {
        let text = text_of(&bytes).unwrap();
        assert_eq!(parse(&text).unwrap()[0].pem, authority());
    }
    let dir = tempfile::tempdir().unwrap();
    let pem = dir.path().join("ca.pem");
    fs_err::write(&pem, authority()).unwrap();
    let pkcs7 = Command::new("openssl").args(["crl2pkcs7", "-nocrl", "-certfile"]);
    let text = String::from_utf8(pkcs7.clone().arg(&pem).run().unwrap()).unwrap();
    let error = parse(&text).unwrap_err().complaint();
    assert!(
        error.remedy.contains("openssl pkcs7 -print_certs"),
        "{error:?}"
    );
    let binary = pkcs7.arg(&pem).args(["-outform", "DER"]).run().unwrap();
    assert_eq!(text_of(&binary).unwrap_err(), TrustError::Binary);
}

/// RFC 5280 wants 20 octets at most; roots of before 2008 have more.
#[test]
fn takes_a_serial_of_23_octets() {
    let serial = "0x7f112233445566778899aabbccddeeff00112233445566";
    let root = self_signed("/CN=long", &["-set_serial", serial]);
    let parsed = &parse(&root).unwrap()[0];
    parsed.as_authority(parsed.info.not_before).unwrap();
    assert_eq!(parsed.pem, root);
}
