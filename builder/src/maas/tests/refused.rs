//! Requests that the region refuses, and their messages.

use super::releases::each;
use super::*;

#[tokio::test]
async fn refused_creations_leave_nothing_and_say_what_to_do() {
    type Change = fn(&mut RegionConfig, &mut Image);
    let cases: [(Change, &str); 6] = [
        (
            |_, image| image.base_image = "ubuntu/warty".into(),
            "--base-image",
        ),
        (|_, image| image.name = "noble".into(), "reserved name"),
        (
            |config, _| config.architectures.clear(),
            "every region controller has synced",
        ),
        (|config, _| config.admin = false, "administrator"),
        (
            |_, image| image.architecture = "riscv64/generic".into(),
            "should be one of",
        ),
        (|_, image| image.name = "e".repeat(256), "shorten name"),
    ];
    each(async |release| {
        for (change, wanted) in cases {
            let mut wrong = image(&TempDir::new().unwrap(), "0", 0);
            let mut bench = bench(|config| {
                change(config, &mut wrong);
                config.version = release.to_owned();
            })
            .await;
            change(&mut RegionConfig::default(), &mut bench.image);
            let ended = bench.upload().await;
            if release == "2.9.2" && wanted == "--base-image" {
                // It has none: what commissions machines writes the image.
                ended.unwrap();
                continue;
            }
            let error = ended.unwrap_err();
            assert!(matches!(error, MaasError::Refused { .. }), "{error}");
            let text = error.to_string();
            assert!(text.contains(wanted), "{release}: {text}");
            assert_eq!(text.matches("help:").count(), 1, "{text}");
            assert_eq!(bench.region.resources().len(), 0, "{release} {wanted}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_wrong_key_is_one_error_without_secrets() {
    let bench = bench(|_| ()).await;
    let key = bench.region.key();
    for wrong in [key.replace("TOPSECRET", "OTHER"), "a:b:c".to_owned()] {
        let region = bench.client_with(&wrong);
        let report = Report::to(bench.recorder.clone());
        let error = upload(&region, &bench.image, &limits(), &report)
            .await
            .unwrap_err();
        assert!(matches!(error, MaasError::Unauthorized { .. }), "{error}");
        let all = format!("{error} {error:?} {region:?} {}", bench.log());
        assert!(
            !all.contains("TOPSECRET") && !all.contains("OTHER"),
            "{all}"
        );
    }
}
