//! Uploads to the simulated region, and every way to interrupt them.

use std::time::Duration;

use fs_err as fs;
use postern_sim::maas::region::{Fault, Region as Simulated, RegionConfig, Resource};
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::*;
use crate::host::retry::no_delay;
use crate::report::Report;
use crate::report::recorder::Recorder;

mod pinned;
mod pruned;
mod refused;
mod releases;
mod rivals;

const PIECE: usize = 1000;
/// Three whole pieces and a short one.
const SIZE: usize = 3 * PIECE + 500;
const PIECES: usize = 4;

struct Bench {
    region: Simulated,
    dir: TempDir,
    image: Image,
    recorder: Recorder,
}

fn image(dir: &TempDir, version: &str, seed: u8) -> Image {
    let bytes: Vec<u8> = (0..SIZE).map(|n| (n / 7) as u8 ^ seed).collect();
    let path = dir.path().join(version);
    fs::write(&path, &bytes).unwrap();
    Image {
        name: format!("edge-{version}"),
        title: image::title("edge", version),
        architecture: "amd64/generic".into(),
        base_image: "ubuntu/noble".into(),
        path,
        size: SIZE as u64,
        sha256: hex::encode(Sha256::digest(&bytes)),
        firmware: vec![crate::boot::Firmware::Uefi],
    }
}

async fn bench(change: impl FnOnce(&mut RegionConfig)) -> Bench {
    let mut config = RegionConfig::default();
    change(&mut config);
    let dir = TempDir::new().unwrap();
    Bench {
        region: Simulated::start(config).await.unwrap(),
        image: image(&dir, "1.2", 1),
        dir,
        recorder: Recorder::default(),
    }
}

fn limits() -> Limits {
    Limits {
        max_piece_bytes: PIECE,
        poll_interval: Duration::ZERO,
        settle_polls: 1,
        piece_time: Duration::from_secs(3),
        completion_timeout: Duration::from_secs(30),
    }
}

impl Bench {
    fn client_with(&self, key: &str) -> Region {
        let api = self.region.url().parse().unwrap();
        let key = ApiKey::parse(&SecretString::from(key)).unwrap();
        Region::new(api, key, None, no_delay(2)).unwrap()
    }

    async fn run(&self, image: &Image, limits: &Limits) -> Result<Uploaded, MaasError> {
        let region = self.client_with(&self.region.key());
        upload(&region, image, limits, &Report::to(self.recorder.clone())).await
    }

    async fn upload(&self) -> Result<Uploaded, MaasError> {
        self.run(&self.image, &limits()).await
    }

    /// The one image there is, which must be whole.
    fn whole(&self, image: &Image) -> Resource {
        let all = self.region.resources();
        let named: Vec<_> = all.iter().filter(|r| r.name == image.name).collect();
        let [one] = named.as_slice() else {
            panic!("{named:?}");
        };
        let [set] = one.sets.as_slice() else {
            panic!("{:?}", one.sets);
        };
        assert!(set.is_complete());
        assert_eq!(set.bytes, fs::read(&image.path).unwrap());
        (*one).clone()
    }

    fn puts(&self) -> usize {
        let seen = self.region.requests();
        seen.iter().filter(|line| line.starts_with("PUT")).count()
    }

    fn log(&self) -> String {
        self.recorder.log()
    }
}

#[tokio::test]
async fn an_image_is_uploaded_once() {
    let bench = bench(|_| ()).await;
    let first = bench.upload().await.unwrap();
    assert_eq!(first.outcome, Outcome::Uploaded);
    assert_eq!(first.sent, SIZE as u64);
    let there = bench.whole(&bench.image);
    assert_eq!(
        (there.id, there.base_image.as_str()),
        (first.id, "ubuntu/noble")
    );
    assert_eq!(bench.puts(), PIECES);
    let again = bench.upload().await.unwrap();
    assert_eq!(again.outcome, Outcome::AlreadyThere);
    assert_eq!((again.id, again.sent, bench.puts()), (first.id, 0, PIECES));
    bench.whole(&bench.image);
    assert!(!bench.log().contains("TOPSECRET"));
}

#[tokio::test]
async fn it_ends_when_all_controllers_have_it() {
    let bench = bench(|config| {
        config.controllers = 2;
        config.slow = 5;
    })
    .await;
    bench.region.inject(2, Fault::LostReply);
    bench.region.inject(PIECES, Fault::Timeout);
    assert_eq!(bench.upload().await.unwrap().outcome, Outcome::Uploaded);
    assert_eq!(bench.puts(), PIECES);
    bench.whole(&bench.image);
}

#[tokio::test]
async fn tls_needs_an_authority_that_was_given() {
    let now = postern_contract::host::clock::now();
    let authority = postern_sim::tls::Authority::generate("Site CA", now).unwrap();
    let tls = authority.server_config(&["127.0.0.1"], now).unwrap();
    let bench = bench(|config| config.tls = Some(tls)).await;
    let error = bench.upload().await.unwrap_err();
    assert!(error.to_string().contains("--maas-ca"), "{error}");
    let api = bench.region.url().parse().unwrap();
    let key = ApiKey::parse(&SecretString::from(bench.region.key())).unwrap();
    let pem = authority.pem().as_bytes();
    let region = Region::new(api, key, Some(pem), no_delay(0)).unwrap();
    let report = Report::quiet();
    upload(&region, &bench.image, &limits(), &report)
        .await
        .unwrap();
    bench.whole(&bench.image);
}

#[tokio::test]
async fn a_controller_that_never_fetches_it_is_named() {
    let bench = bench(|config| {
        config.controllers = 2;
        config.slow = usize::MAX;
    })
    .await;
    let limits = Limits {
        completion_timeout: Duration::ZERO,
        ..limits()
    };
    let error = bench.run(&bench.image, &limits).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, MaasError::Pending { .. }), "{text}");
    assert!(
        text.contains("not at region-1\n") && !text.contains("region-0"),
        "{text}"
    );
    assert_eq!(
        bench.region.resources().len(),
        1,
        "it may still be completed"
    );
}

#[tokio::test]
async fn a_region_that_stays_away_is_left_to_the_next_run() {
    let bench = bench(|_| ()).await;
    for piece in 2..=4 {
        bench.region.inject(piece, Fault::Cut);
    }
    let error = bench.upload().await.unwrap_err();
    assert!(matches!(error, MaasError::Unreachable { .. }), "{error}");
    assert_eq!(
        bench.region.chunks(),
        4,
        "three attempts at the second piece"
    );
    let resumed = bench.upload().await.unwrap();
    assert_eq!(
        (resumed.outcome, resumed.sent),
        (Outcome::Resumed, (SIZE - PIECE) as u64)
    );
    bench.whole(&bench.image);
}

#[tokio::test]
async fn a_name_is_never_given_to_other_content() {
    let bench = bench(|_| ()).await;
    bench.upload().await.unwrap();
    let other = image(&bench.dir, "other", 2);
    let other = Image {
        name: bench.image.name.clone(),
        ..other
    };
    let error = bench.run(&other, &limits()).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("edge-1.2") && text.contains("new version"),
        "{text}"
    );
    assert_eq!(bench.puts(), PIECES);
    bench.whole(&bench.image);
    let next = image(&bench.dir, "1.3", 2);
    bench.run(&next, &limits()).await.unwrap();
    bench.whole(&next);
    bench.whole(&bench.image);
}

#[tokio::test]
async fn a_file_that_changed_becomes_no_image() {
    let bench = bench(|_| ()).await;
    let mut bytes = fs::read(&bench.image.path).unwrap();
    bytes[10] ^= 1;
    fs::write(&bench.image.path, &bytes).unwrap();
    let error = bench.upload().await.unwrap_err();
    assert!(matches!(error, MaasError::Changed(_)), "{error}");
    assert_eq!(bench.region.resources().len(), 0);
    bytes.pop();
    fs::write(&bench.image.path, &bytes).unwrap();
    let error = bench.upload().await.unwrap_err();
    assert!(matches!(error, MaasError::Changed(_)), "{error}");
}

#[tokio::test]
async fn a_clock_that_is_wrong_does_not_matter() {
    let clock = postern_sim::clock::Clock::stopped(
        postern_contract::host::clock::now() + jiff::SignedDuration::from_hours(48),
    );
    let bench = bench(|config| config.clock = clock).await;
    assert_eq!(bench.upload().await.unwrap().outcome, Outcome::Uploaded);
    bench.whole(&bench.image);
}

#[tokio::test]
async fn a_region_that_is_absent_and_a_server_that_is_not_maas() {
    let bench = bench(|_| ()).await;
    let at = |url: String| {
        let key = ApiKey::parse(&SecretString::from("a:b:c")).unwrap();
        Region::new(url.parse().unwrap(), key, None, no_delay(1)).unwrap()
    };
    let region = at("http://127.0.0.1:1/MAAS".into());
    let error = upload(&region, &bench.image, &limits(), &Report::quiet())
        .await
        .unwrap_err();
    assert!(matches!(error, MaasError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
    let region = at(format!("http://{}/elsewhere", bench.region.addr()));
    let error = upload(&region, &bench.image, &limits(), &Report::quiet())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("5240/MAAS"), "{error}");
}
