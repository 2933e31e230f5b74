//! Which region controller is used.

use std::net::IpAddr;

use super::*;

async fn at(bench: &Bench, addresses: &[&str]) -> Result<Region, MaasError> {
    let api = bench.region.url().replace("127.0.0.1", "region.test");
    let api: ApiUrl = api.parse().unwrap();
    let key = ApiKey::parse(&SecretString::from(bench.region.key())).unwrap();
    let addresses: Vec<IpAddr> = addresses.iter().map(|text| text.parse().unwrap()).collect();
    Region::connect((api, &addresses), key, None, no_delay(2)).await
}

#[tokio::test]
async fn the_first_address_that_answers_is_kept() {
    let bench = bench(|_| ()).await;
    // Nobody listens at the first one; the name itself is known to nobody.
    let region = at(&bench, &["127.0.0.9", "127.0.0.1"]).await.unwrap();
    let report = Report::quiet();
    let uploaded = upload(&region, &bench.image, &limits(), &report).await;
    assert_eq!(uploaded.unwrap().outcome, Outcome::Uploaded);
    bench.whole(&bench.image);
    let error = at(&bench, &["127.0.0.8", "127.0.0.9"]).await.unwrap_err();
    assert!(matches!(error, MaasError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("region.test"), "{error}");
}

#[tokio::test]
async fn what_another_controller_counts_is_not_continued() {
    for (addresses, outcome) in [
        (["127.0.0.1", "127.0.0.9"], Outcome::Resumed),
        (["127.0.0.9", "127.0.0.1"], Outcome::Uploaded),
    ] {
        let bench = bench(|config| config.controllers = 2).await;
        bench.region.inject(3, Fault::Stall);
        tokio::select! {
            ended = bench.upload() => panic!("{ended:?}"),
            () = bench.region.stalled(1) => {}
        }
        let region = at(&bench, &addresses).await.unwrap();
        let report = Report::quiet();
        let uploaded = upload(&region, &bench.image, &limits(), &report).await;
        assert_eq!(uploaded.unwrap().outcome, outcome, "{addresses:?}");
        bench.whole(&bench.image);
    }
}

#[tokio::test]
async fn names_are_resolved_in_one_order() {
    let api: ApiUrl = "http://localhost:5240/MAAS".parse().unwrap();
    let found = resolve(&api).await.unwrap();
    assert!(found.contains(&"127.0.0.1".parse().unwrap()), "{found:?}");
    assert!(found.is_sorted());
    let api: ApiUrl = "http://127.0.0.1:5240/MAAS".parse().unwrap();
    assert!(resolve(&api).await.unwrap().is_empty());
    let api: ApiUrl = "http://nobody.invalid:5240/MAAS".parse().unwrap();
    let error = resolve(&api).await.unwrap_err().to_string();
    assert!(
        error.contains("nobody.invalid") && error.contains("DNS"),
        "{error}"
    );
}
