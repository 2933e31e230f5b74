use proptest::prelude::*;

use super::*;

const A: &str = "aaaa";
const B: &str = "bbbb";

fn resource(sets: &str) -> BootResource {
    let text = format!(
        r#"{{"id":2,"type":"Uploaded","name":"edge-1","architecture":"amd64/generic",
        "resource_uri":"/MAAS/api/2.0/boot-resources/2/","last_deployed":null,
        "subarches":"generic","title":"Edge","base_image":"ubuntu/noble","sets":{{{sets}}}}}"#
    );
    serde_json::from_str(&text).unwrap()
}

fn set(version: &str, sha256: &str, complete: bool) -> String {
    let upload = match complete {
        true => String::new(),
        false => r#","progress":41.94304,"upload_uri":"/u/4/""#.to_owned(),
    };
    format!(
        r#""{version}":{{"version":"{version}","label":"uploaded","size":10000000,
        "complete":{complete},"files":{{"root-dd.gz":{{"filename":"root-dd.gz",
        "filetype":"root-dd.gz","sha256":"{sha256}","size":10000000,
        "complete":{complete}{upload}}}}}}}"#
    )
}

#[test]
fn what_a_resource_means_for_an_upload() {
    let leftover = r#""20261119":{"files":{}}"#.to_owned();
    let begun = |sets: &[String]| match resource(&sets.join(",")).upload_state(A) {
        UploadState::Incomplete(file) => file.received(ProgressUnit::Percent, 1),
        other => panic!("{other:?}"),
    };
    assert_eq!(begun(&[set("20261120", A, false)]), Some(4 << 20));
    assert_eq!(
        begun(&[set("1", A, false), leftover.clone()]),
        Some(4 << 20)
    );
    assert_eq!(
        begun(&[set("20261120.10", A, false), set("20261120.9", B, false)]),
        Some(4 << 20)
    );
    for (sets, wanted) in [
        (vec![], UploadState::Empty),
        (vec![leftover.clone()], UploadState::Empty),
        (vec![set("1", A, true)], UploadState::Complete),
        (vec![set("1", "AAAA", true)], UploadState::Complete),
        (vec![leftover, set("1", A, true)], UploadState::Complete),
        (
            vec![set("2", B, false), set("1", A, true)],
            UploadState::Complete,
        ),
        (vec![set("1", B, true)], UploadState::Other),
        (vec![set("1", B, false)], UploadState::Other),
        (
            vec![set("2", A, false), set("1", B, true)],
            UploadState::Other,
        ),
        (
            vec![set("1.9", B, false), set("1.10", A, false)],
            UploadState::Other,
        ),
    ] {
        assert_eq!(
            resource(&sets.join(",")).upload_state(A),
            wanted,
            "{sets:?}"
        );
    }
}

#[test]
fn a_list_has_no_sets() {
    let text = r#"[{"id":1,"name":"x","architecture":"amd64/generic","type":"Uploaded"}]"#;
    let list: Vec<BootResource> = serde_json::from_str(text).unwrap();
    assert_eq!(list[0].upload_state(A), UploadState::Empty);
    assert!(!list[0].summary().complete);
}

fn file(size: u64, progress: Option<f64>) -> ImageFile {
    ImageFile {
        sha256: A.into(),
        size,
        complete: false,
        progress,
        upload_uri: None,
    }
}

#[test]
fn a_percentage_that_makes_no_sense_is_not_believed() {
    assert_eq!(file(10, None).received(ProgressUnit::Percent, 1), None);
    assert_eq!(
        file(1000, Some(0.05)).received(ProgressUnit::Percent, 1),
        None
    );
    assert_eq!(
        file(1000, Some(101.0)).received(ProgressUnit::Percent, 1),
        None
    );
    assert_eq!(
        file(1000, Some(-1.0)).received(ProgressUnit::Percent, 1),
        None
    );
    assert_eq!(
        file(1000, Some(f64::NAN)).received(ProgressUnit::Percent, 1),
        None
    );
    assert_eq!(
        file(1000, Some(50.0)).received(ProgressUnit::Percent, 2),
        Some(1000)
    );
    assert_eq!(
        file(1000, Some(75.0)).received(ProgressUnit::Percent, 2),
        Some(1000),
        "the second one fetches"
    );
}

#[test]
fn of_several_incomplete_sets_the_oldest_counts() {
    let older = set("1", A, false).replace("/u/4/", "/u/2/");
    let two = resource(&[set("2", A, false), older].join(","));
    let UploadState::Incomplete(file) = two.upload_state(A) else {
        panic!("{two:?}");
    };
    assert_eq!(file.upload_uri.as_deref(), Some("/u/2/"));
    assert!(two.has_only(A) && !two.has_only(B));
}

proptest! {
    #[test]
    fn every_position_comes_back_from_old_maas(
        (size, at) in (1_u64..1 << 40).prop_flat_map(|size| (Just(size), 0..=size)),
    ) {
        let inverse = if at == 0 { 0.0 } else { size as f64 / at as f64 };
        let received = file(size, Some(inverse)).received(ProgressUnit::Ratio, 3);
        prop_assert_eq!(received, Some(at));
    }

    #[test]
    fn every_position_comes_back(
        (size, at) in (1_u64..1 << 40).prop_flat_map(|size| (Just(size), 0..=size)),
        regions in 1_u64..4,
    ) {
        let percent = 100.0 * at as f64 / (size * regions) as f64;
        prop_assert_eq!(file(size, Some(percent)).received(ProgressUnit::Percent, regions), Some(at));
    }
}
