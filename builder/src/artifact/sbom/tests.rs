//! An independent reader takes the bill for a good one.

use cyclonedx_bom::models::component::{Classification, Component as Read};
use cyclonedx_bom::prelude::*;

use super::*;
use crate::lock::{LockedDownload, LockedPackage};

fn digest(digit: &str) -> Digest {
    digit.repeat(64).parse().unwrap()
}

fn package(name: &str, version: &str, reason: Reason) -> LockedPackage {
    LockedPackage {
        name: name.to_owned(),
        version: version.to_owned(),
        arch: "amd64".to_owned(),
        archive: "debian".to_owned(),
        path: format!("pool/{name}"),
        size: 1,
        sha256: digest("a"),
        reason,
        essential: false,
    }
}

fn lock() -> Lock {
    let needed = |by: &str| Reason::NeededBy(by.to_owned());
    Lock {
        schema: 1,
        inputs: digest("0"),
        source_date_epoch: 1_700_000_000,
        suites: Vec::new(),
        packages: vec![
            package("bash", "1:5.2+x~1-2", Reason::Essential),
            package("libstdc++6", "14.2", needed("bash")),
            package(
                "linux-image-6.12.0-amd64",
                "6.12.1-1",
                needed("linux-image-amd64"),
            ),
            package("linux-image-amd64", "6.12.1-1", Reason::Requested),
        ],
        boot: vec![package("systemd-boot-efi", "257", Reason::Requested)],
        tools: vec![package("squashfs-tools", "1:4.6.1-1", Reason::Requested)],
        downloads: vec![LockedDownload {
            name: "k3s".to_owned(),
            sha256: digest("b"),
        }],
    }
}

fn bundled() -> Vec<Bundled> {
    let image = |name: &str, tag: &str| Bundled {
        name: name.to_owned(),
        tag: tag.to_owned(),
        sha256: Some(digest("c")),
    };
    vec![
        image("docker.io/rancher/mirrored-pause", "3.6"),
        image("reg.example:5000/x", "v1+k"),
    ]
}

fn bill(change: impl FnOnce(&mut Materials<'_>)) -> Vec<u8> {
    let (lock, images) = (lock(), bundled());
    let k3s = digest("f");
    let copyright = "Format: x\nLicense: GPL-3+\n".to_owned();
    let mut materials = Materials {
        image: ("edge", "1.2"),
        distro: ("debian", "trixie"),
        root_hash: digest("4"),
        lock: &lock,
        kernel: ("6.12.0-amd64", digest("d")),
        agent: digest("e"),
        k3s: K3sMaterials {
            version: "v1.31.8+k3s1",
            sha256: k3s,
            stand_in: false,
            images: Some(("images.tar", k3s, &images)),
        },
        copyrights: BTreeMap::from([("bash".to_owned(), copyright)]),
    };
    change(&mut materials);
    sbom(&materials).unwrap()
}

fn component<'b>(bom: &'b Bom15, name: &str) -> &'b Read {
    let all = &bom.components.as_ref().unwrap().0;
    let found = all.iter().find(|c| c.name.to_string() == name);
    found.unwrap_or_else(|| panic!("no {name}"))
}

type Bom15 = cyclonedx_bom::prelude::Bom;

#[test]
fn another_reader_finds_everything_and_no_fault() {
    let bytes = bill(|_| {});
    let bom = Bom15::parse_from_json_v1_5(bytes.as_slice()).unwrap();
    let result = bom.validate_version(SpecVersion::V1_5);
    assert!(result.passed(), "{result:?}");
    assert_eq!(bom.components.as_ref().unwrap().0.len(), 4 + 1 + 4 + 2);
    let bash = component(&bom, "bash");
    assert_eq!(bash.component_type, Classification::Library);
    let purl = bash.purl.as_ref().unwrap().to_string();
    assert_eq!(
        purl,
        "pkg:deb/debian/bash@1:5.2%2Bx~1-2?arch=amd64&distro=trixie"
    );
    assert_eq!(bash.hashes.as_ref().unwrap().0[0].content.0, "a".repeat(64));
    assert!(bash.licenses.is_some());
    let purl = |name| component(&bom, name).purl.as_ref().unwrap().to_string();
    assert!(purl("libstdc++6").contains("/libstdc%2B%2B6@14.2?"));
    assert_eq!(purl("k3s"), "pkg:github/k3s-io/k3s@v1.31.8%2Bk3s1");
    assert_eq!(
        purl("docker.io/rancher/mirrored-pause"),
        "pkg:docker/rancher/mirrored-pause@3.6"
    );
    assert_eq!(
        purl("reg.example:5000/x"),
        "pkg:docker/x@v1%2Bk?repository_url=reg.example:5000"
    );

    // Every edge leads from a component to a component, and from the image to all.
    let edges: BTreeMap<_, _> = bom
        .dependencies
        .as_ref()
        .unwrap()
        .0
        .iter()
        .map(|d| (d.dependency_ref.clone(), d.dependencies.clone()))
        .collect();
    let mut reached = BTreeSet::from([IMAGE.to_owned()]);
    let mut todo = vec![IMAGE.to_owned()];
    while let Some(at) = todo.pop() {
        for next in &edges[&at] {
            if reached.insert(next.clone()) {
                todo.push(next.clone());
            }
        }
    }
    let all = &bom.components.as_ref().unwrap().0;
    let refs: BTreeSet<_> = all.iter().filter_map(|c| c.bom_ref.clone()).collect();
    assert_eq!(refs.len(), all.len(), "every reference once");
    reached.remove(IMAGE);
    assert_eq!(reached, refs);
    assert_eq!(edges[KERNEL].len(), 1, "{edges:?}");
}

#[test]
fn the_serial_number_follows_from_what_it_says() {
    let serial = |bytes: &[u8]| {
        let json: serde_json::Value = serde_json::from_slice(bytes).unwrap();
        let text = json["serialNumber"].as_str().unwrap().to_owned();
        let uuid = text.strip_prefix("urn:uuid:").unwrap();
        assert_eq!(Uuid::parse_str(uuid).unwrap().get_version_num(), 5);
        text
    };
    let one = bill(|_| {});
    assert_eq!(one, bill(|_| {}));
    let other = bill(|materials| materials.image = ("edge", "1.3"));
    assert_ne!(serial(&one), serial(&other));
}

#[test]
fn a_stand_in_is_not_called_k3s_release() {
    let bytes = bill(|materials| materials.k3s.stand_in = true);
    let text = String::from_utf8(bytes).unwrap();
    assert!(!text.contains("pkg:github"), "{text}");
    assert!(text.contains("A stand-in for tests and demos"));
}
