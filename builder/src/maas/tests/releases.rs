//! Every interruption, on every release of MAAS.

use super::*;

/// One of each kind.
const RELEASES: [&str; 4] = ["2.9.2", "3.4.2", "3.7.3", "3.8.0~beta6"];

/// Whether another run's upload can be continued there.
fn resumes(release: &str) -> bool {
    !release.starts_with("3.8")
}

pub(super) async fn each(check: impl AsyncFn(&str)) {
    for release in RELEASES {
        check(release).await;
    }
}

pub(super) async fn of(release: &str) -> Bench {
    bench(|config| config.version = release.to_owned()).await
}

#[tokio::test]
async fn an_upload_that_was_killed_anywhere_ends_as_one_image() {
    each(async |release| {
        for piece in 1..=PIECES {
            for (fault, arrived) in [
                (Fault::Stall, 0),
                (Fault::StallHalf, 0),
                (Fault::NoReply, 1),
            ] {
                let about = format!("{release}: {fault:?} of {piece}");
                let bench = of(release).await;
                bench.region.inject(piece, fault);
                tokio::select! {
                    ended = bench.upload() => panic!("{about}: {ended:?}"),
                    () = bench.region.stalled(1) => {}
                }
                let there = (piece - 1 + arrived) * PIECE;
                let left = SIZE.saturating_sub(there);
                let (outcome, sent) = match left {
                    0 => (Outcome::AlreadyThere, 0),
                    _ if there == 0 || resumes(release) => (Outcome::Resumed, left),
                    _ => (Outcome::Uploaded, SIZE),
                };
                let again = bench.upload().await;
                let again = again.unwrap_or_else(|error| panic!("{about}: {error}"));
                assert_eq!(
                    (again.outcome, again.sent),
                    (outcome, sent as u64),
                    "{about}"
                );
                bench.whole(&bench.image);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_piece_whose_answer_was_lost_is_sent_once() {
    each(async |release| {
        for piece in 1..=PIECES {
            for (fault, more) in [
                (Fault::Cut, 1),
                (Fault::Unavailable, 1),
                (Fault::LostReply, 0),
                (Fault::Timeout, 0),
            ] {
                let about = format!("{release}: {fault:?} of {piece}");
                let bench = of(release).await;
                bench.region.inject(piece, fault);
                let uploaded = bench.upload().await;
                let uploaded = uploaded.unwrap_or_else(|error| panic!("{about}: {error}"));
                assert_eq!(uploaded.outcome, Outcome::Uploaded, "{about}");
                assert_eq!(bench.puts(), PIECES + more, "{about}");
                bench.whole(&bench.image);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_last_piece_that_takes_minutes_is_waited_for() {
    each(async |release| {
        let bench = bench(|config| {
            config.version = release.to_owned();
            config.controllers = 2;
            config.slow = 20;
        })
        .await;
        bench.region.inject(PIECES, Fault::Timeout);
        let uploaded = bench.upload().await.unwrap();
        assert_eq!(uploaded.outcome, Outcome::Uploaded, "{release}");
        bench.whole(&bench.image);
    })
    .await;
}

#[tokio::test]
async fn what_was_damaged_on_the_way_is_sent_again_once() {
    each(async |release| {
        for piece in 1..=PIECES {
            let bench = of(release).await;
            bench.region.inject(piece, Fault::Corrupted);
            let uploaded = bench.upload().await.unwrap();
            assert_eq!(uploaded.outcome, Outcome::Uploaded, "{release}");
            assert_eq!(bench.puts(), 2 * PIECES);
            bench.whole(&bench.image);
        }
        let bench = of(release).await;
        bench.region.inject(2, Fault::Corrupted);
        bench.region.inject(PIECES + 1, Fault::Corrupted);
        let error = bench.upload().await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("does not match given SHA256"), "{text}");
        assert!(error.is_remote());
        assert_eq!(bench.region.resources().len(), 0, "{release}");
        bench.upload().await.unwrap();
        bench.whole(&bench.image);
    })
    .await;
}

#[tokio::test]
async fn a_region_without_space_is_reported_and_left_clean() {
    each(async |release| {
        for piece in 1..=PIECES {
            let bench = of(release).await;
            bench.region.inject(piece, Fault::DiskFull);
            let error = bench.upload().await.unwrap_err();
            assert!(
                error.to_string().contains("free space"),
                "{release}: {error}"
            );
            assert!(error.is_remote());
            assert_eq!(bench.region.resources().len(), 0, "{release}");
            assert_eq!(bench.upload().await.unwrap().outcome, Outcome::Uploaded);
            bench.whole(&bench.image);
        }
    })
    .await;
}

/// Kills an upload of `image` when `before` pieces of it are there.
async fn killed(bench: &Bench, image: &Image, before: usize) {
    bench.region.inject(before + 1, Fault::Stall);
    let limits = limits();
    tokio::select! {
        ended = bench.run(image, &limits) => panic!("{ended:?}"),
        () = bench.region.stalled(1) => {}
    }
}

#[tokio::test]
async fn what_somebody_else_uploaded_is_never_deleted() {
    each(async |release| {
        let bench = of(release).await;
        let theirs = Image {
            title: "edge 1.2".into(),
            ..bench.image.clone()
        };
        killed(&bench, &theirs, 1).await;
        // The same file, damaged when it is continued.
        bench.region.inject(3, Fault::Corrupted);
        let error = bench.upload().await.unwrap_err();
        let wanted = match resumes(release) {
            true => "does not match given SHA256",
            false => "boot-resource delete",
        };
        assert!(error.to_string().contains(wanted), "{release}: {error}");
        assert_eq!(bench.region.resources().len(), 1, "{release}");
    })
    .await;
}

#[tokio::test]
async fn an_abandoned_upload_of_ours_that_was_spoiled_is_replaced() {
    each(async |release| {
        let bench = of(release).await;
        killed(&bench, &bench.image, 1).await;
        bench.region.inject(3, Fault::Corrupted);
        let again = bench.upload().await.unwrap();
        assert_eq!(again.outcome, Outcome::Uploaded, "{release}");
        bench.whole(&bench.image);
    })
    .await;
}

#[tokio::test]
async fn the_same_bytes_under_another_name() {
    each(async |release| {
        let bench = of(release).await;
        bench.upload().await.unwrap();
        let second = Image {
            name: "edge-1.3".into(),
            title: image::title("edge", "1.3"),
            ..bench.image.clone()
        };
        let (before, ended) = (bench.puts(), bench.run(&second, &limits()).await);
        match release {
            // The content is there: nothing to send.
            "2.9.2" | "3.4.2" => {
                assert_eq!(ended.unwrap().sent, 0);
                assert_eq!(bench.puts(), before);
                bench.whole(&second);
            }
            "3.7.3" => {
                assert_eq!(ended.unwrap().sent, SIZE as u64);
                bench.whole(&second);
            }
            _ => {
                let text = ended.unwrap_err().to_string();
                let says = text.contains("edge-1.2") && text.contains("delete it first");
                assert!(says, "{text}");
                assert_eq!((bench.puts(), bench.region.resources().len()), (before, 1));
            }
        }
        bench.whole(&bench.image);
    })
    .await;
}

#[tokio::test]
async fn the_same_bytes_that_are_on_their_way_under_another_name() {
    each(async |release| {
        let bench = of(release).await;
        killed(&bench, &bench.image, 2).await;
        let second = Image {
            name: "edge-1.3".into(),
            ..bench.image.clone()
        };
        let error = bench.run(&second, &limits()).await.unwrap_err();
        assert!(
            matches!(error, MaasError::DuplicateContent { .. }),
            "{release}: {error}"
        );
        // Of the second name nothing is left, and the first goes on.
        assert_eq!(bench.region.resources().len(), 1, "{release}");
        bench.upload().await.unwrap();
        bench.whole(&bench.image);
    })
    .await;
}

/// Where a real MAAS would lose an image, the simulated one does.
#[tokio::test]
async fn the_simulated_3_8_loses_the_first_of_two_names() {
    let bench = of("3.8.0~beta6").await;
    bench.upload().await.unwrap();
    let client = bench.client_with(&bench.region.key());
    client.version().await.unwrap();
    let second = Image {
        name: "edge-1.3".into(),
        ..bench.image.clone()
    };
    let second = client.create(&second).await.unwrap();
    let files = second.sets[0].files.values();
    let uri = files.filter_map(|file| file.upload_uri.clone()).next();
    let piece = vec![1; 10].into();
    let response = client.append(&uri.unwrap(), piece, false).await.unwrap();
    assert!(response.message().contains("Too much data"));
    assert!(bench.region.resources()[0].sets[0].is_complete());
    assert_eq!(bench.region.resources()[0].sets[0].bytes.len(), 0);
}

#[tokio::test]
async fn what_each_release_shows_of_an_image() {
    each(async |release| {
        let bench = of(release).await;
        bench.upload().await.unwrap();
        let client = bench.client_with(&bench.region.key());
        let all = client.uploaded().await.unwrap();
        let summary = client.resource(all[0].id).await.unwrap().summary();
        let base = (release > "3.5").then(|| "ubuntu/noble".to_owned());
        assert_eq!(summary.base_image, base, "{release}");
        assert!(summary.complete && summary.sha256.unwrap() == bench.image.sha256);
    })
    .await;
}
