use postern_sim::clock::Clock;
use postern_sim::s3::{Keys as TheirKeys, S3, S3Config};

use super::*;
use crate::host::aws::Aws;

/// What no output may hold.
pub(super) const SECRETS: [&str; 2] = ["TOPSECRETKEY", "TOPSECRETTOKEN"];

pub(super) struct Cloud {
    pub(super) runtime: Runtime,
    pub(super) s3: S3,
}

impl Cloud {
    pub(super) fn new(may_list: bool) -> Self {
        Self::at(Clock::real(), may_list)
    }

    fn at(clock: Clock, may_list: bool) -> Self {
        let runtime = Builder::new_multi_thread().enable_all().build().unwrap();
        let config = S3Config {
            bucket: "ci-cache".into(),
            region: "eu-west-1".into(),
            keys: TheirKeys {
                id: "AKIDEXAMPLE".into(),
                secret: SECRETS[0].into(),
                token: Some(SECRETS[1].into()),
            },
            may_list,
            clock,
        };
        let s3 = runtime.block_on(S3::start(config)).unwrap();
        Self { runtime, s3 }
    }

    pub(super) fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT_URL", format!("http://{}", self.s3.addr())),
            ("AWS_ALLOW_HTTP", "true".into()),
            ("AWS_REGION", "eu-west-1".into()),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE".into()),
            ("AWS_SECRET_ACCESS_KEY", SECRETS[0].into()),
            ("AWS_SESSION_TOKEN", SECRETS[1].into()),
        ]
    }

    /// A machine whose variables are these, but for those in `other`.
    fn machine(&self, location: &str, push: bool, other: &[(&str, &str)]) -> Machine {
        let options = Options {
            push,
            ..Options::default()
        };
        Machine::with(&[location.parse().unwrap()], self.options(options, other))
    }

    fn options(&self, options: Options, other: &[(&str, &str)]) -> Options {
        let variables = self.variables();
        let aws = Aws::read(|name| {
            let other = other.iter().find(|(n, _)| *n == name);
            let ours = variables.iter().find(|(n, _)| *n == name);
            match other {
                Some((_, value)) => Some((*value).to_owned()),
                None => ours.map(|(_, value)| value.clone()),
            }
        });
        Options {
            aws: Some(aws.unwrap()),
            ..options
        }
    }
}

const HERE: &str = "s3://ci-cache/fleet/main";

#[test]
fn machines_share_packages_and_results() {
    let cloud = Cloud::new(true);
    let files = tempfile::tempdir().unwrap();
    let maker = cloud.machine(HERE, true, &[]);
    maker.fetch(&[local(&files, "bash 5", &body())]).unwrap();
    maker.result(&layer(), Some(b"layer")).unwrap();
    maker.store.share().unwrap();
    let objects = cloud.s3.objects();
    assert_eq!(objects.len(), 3, "{:?}", objects.keys());
    let name = |bytes: &[u8]| {
        format!(
            "fleet/main/{}",
            super::super::super::store::blob_name(&Digest::of(bytes))
        )
    };
    assert_eq!(objects[&name(&body())], body());
    assert_eq!(objects[&name(b"layer")], b"layer");
    let record = &objects[&format!("fleet/main/made/base/{}.json", layer().slot().key)];
    assert_eq!(Record::parse(record).unwrap().sha256, Digest::of(b"layer"));
    let puts = || {
        cloud
            .s3
            .requests()
            .iter()
            .filter(|s| s.method == "PUT")
            .count()
    };
    assert_eq!(puts(), 3);
    maker.store.share().unwrap();
    assert_eq!(puts(), 3, "what is there is not sent again");

    let user = cloud.machine(HERE, false, &[]);
    assert_eq!(user.fetch(&[lost("bash 5", &body())]).unwrap().pooled, 1);
    assert_eq!(user.result(&layer(), None).unwrap(), b"layer");
    user.store.share().unwrap();
    assert_eq!(puts(), 3, "nothing is pushed without --push");
    assert_eq!(
        [maker.warnings(), user.warnings()],
        [vec![], Vec::<String>::new()]
    );
    for secret in SECRETS {
        let all = format!("{} {} {:?}", maker.messages(), user.messages(), user.store);
        assert!(!all.contains(secret), "{all}");
    }
}

#[test]
fn what_does_not_work_is_one_warning_without_secrets() {
    // (location, other variables, what the warning says)
    type Case = (
        &'static str,
        &'static [(&'static str, &'static str)],
        &'static str,
    );
    let cases: [Case; 5] = [
        (
            HERE,
            &[("AWS_SECRET_ACCESS_KEY", "OTHERTOPSECRETKEY")],
            "SignatureDoesNotMatch",
        ),
        (
            HERE,
            &[("AWS_ACCESS_KEY_ID", "AKIDTOPSECRETKEY")],
            "InvalidAccessKeyId",
        ),
        (
            HERE,
            &[("AWS_SESSION_TOKEN", "OTHERTOPSECRETTOKEN")],
            "InvalidToken",
        ),
        ("s3://other-bucket", &[], "NoSuchBucket"),
        (
            HERE,
            &[("AWS_ENDPOINT_URL", "http://127.0.0.1:1")],
            "onnect",
        ),
    ];
    for (location, other, why) in cases {
        let cloud = Cloud::new(true);
        let files = tempfile::tempdir().unwrap();
        let machine = cloud.machine(location, true, other);
        let files = [local(&files, "a", b"a"), local(&files, "b", b"b")];
        machine.fetch(&files).unwrap();
        machine.result(&layer(), Some(b"layer")).unwrap();
        machine.store.share().unwrap();
        let warnings = machine.warnings();
        assert_eq!(warnings.len(), 1, "{why}: {warnings:?}");
        assert!(warnings[0].contains(why), "{why}: {warnings:?}");
        let all = format!("{} {:?}", machine.messages(), machine.store);
        for hidden in SECRETS.iter().chain(&["X-Amz", "Signature="]) {
            assert!(!all.contains(hidden), "{all}");
        }
    }
}

#[test]
fn without_the_right_to_list_what_is_missing_is_denied() {
    let cloud = Cloud::new(false);
    let files = tempfile::tempdir().unwrap();
    let machine = cloud.machine(HERE, true, &[]);
    machine.fetch(&[local(&files, "a", b"a")]).unwrap();
    let missing = machine.fetch(&[lost("b", b"b")]);
    assert!(missing.is_err());
    machine.result(&layer(), Some(b"layer")).unwrap();
    machine.store.share().unwrap();
    assert_eq!(cloud.s3.objects().len(), 3, "writing works");
    let user = cloud.machine(HERE, false, &[]);
    assert_eq!(user.result(&layer(), None).unwrap(), b"layer");
    let warnings = machine.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("s3:ListBucket"), "{warnings:?}");
}

#[test]
fn a_body_that_breaks_off_is_reported_without_the_signed_address() {
    let cloud = Cloud::new(true);
    let name = super::super::super::store::blob_name(&Digest::of(&body()));
    cloud.s3.insert(&format!("fleet/main/{name}"), &body());
    cloud.s3.break_downloads(true);
    let machine = cloud.machine(HERE, false, &[]);
    let error = machine.fetch(&[lost("k3s", &body())]).unwrap_err();
    assert_eq!(machine.warnings().len(), 1);
    let all = format!("{} {error} {error:?}", machine.messages());
    for hidden in SECRETS.iter().chain(&["X-Amz", "Signature="]) {
        assert!(!all.contains(hidden), "{all}");
    }
    cloud.s3.break_downloads(false);
    let again = cloud.machine(HERE, false, &[]);
    assert_eq!(again.fetch(&[lost("k3s", &body())]).unwrap().pooled, 1);
}

#[test]
fn a_bucket_nobody_may_write_is_refused_before_the_build() {
    let aws = Aws::read(|name| (name == "AWS_REGION").then(|| "eu-west-1".to_owned()));
    let options = Options {
        aws: Some(aws.unwrap()),
        ..pushing()
    };
    let locations = [HERE.parse().unwrap()];
    let refused = Pools::open(&locations, &options, &Report::quiet()).unwrap_err();
    assert!(matches!(refused, PoolError::NothingToPushTo));
}

/// Amazon's servers and others answer a wrong time as they answer a missing right.
#[test]
fn a_clock_that_is_wrong_is_told_as_such() {
    for hours in [-5, 5] {
        let theirs = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(hours);
        let cloud = Cloud::at(Clock::stopped(theirs), true);
        let files = tempfile::tempdir().unwrap();
        let machine = cloud.machine(HERE, true, &[]);
        machine.fetch(&[local(&files, "a", b"a")]).unwrap();
        machine.result(&layer(), Some(b"layer")).unwrap();
        machine.store.share().unwrap();
        let warnings = machine.warnings();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        let server = format!("the server's {theirs:.0}");
        assert!(
            warnings[0].contains("this machine's clock says"),
            "{warnings:?}"
        );
        assert!(warnings[0].contains(&server), "{warnings:?}");
    }
}

/// The server reads on and on, and never answers.
#[test]
fn a_server_that_never_answers_ends_the_push_with_a_warning() {
    let cloud = Cloud::new(true);
    cloud.s3.stall_uploads(true);
    let files = tempfile::tempdir().unwrap();
    let options = Options {
        max_silence: Duration::from_millis(300),
        ..pushing()
    };
    let options = cloud.options(options, &[]);
    let machine = Machine::with(&[HERE.parse().unwrap()], options);
    machine.fetch(&[local(&files, "a", &body())]).unwrap();
    machine.store.share().unwrap();
    let warnings = machine.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].contains("it took nothing for 0 s and did not answer"),
        "{warnings:?}"
    );
    // What could not be pushed is pushed by the next build, whatever that uses.
    cloud.s3.stall_uploads(false);
    assert!(cloud.s3.objects().is_empty());
    let next = Store::open(machine.store.root()).unwrap();
    let report = machine.report();
    let options = cloud.options(pushing(), &[]);
    let pools = Pools::open(&[HERE.parse().unwrap()], &options, &report).unwrap();
    next.backed_by(pools).share().unwrap();
    assert_eq!(cloud.s3.objects().len(), 1);
    let left = fs::read_dir(machine.store.root().join("unshared")).unwrap();
    assert_eq!(left.count(), 0);
}

#[test]
fn a_damaged_object_of_the_right_length_is_replaced() {
    let cloud = Cloud::new(true);
    let files = tempfile::tempdir().unwrap();
    let name = super::super::super::store::blob_name(&Digest::of(&body()));
    let name = format!("fleet/main/{name}");
    let mut damaged = body();
    damaged[7] ^= 1;
    cloud.s3.insert(&name, &damaged);
    let machine = cloud.machine(HERE, true, &[]);
    machine.fetch(&[local(&files, "bash 5", &body())]).unwrap();
    machine.store.share().unwrap();
    assert_eq!(
        cloud.s3.objects()[&name],
        damaged,
        "nobody has looked into it"
    );
    // This one has to: it has the package from nowhere else first.
    let user = cloud.machine(HERE, true, &[]);
    user.fetch(&[lost("bash 5", &body())]).unwrap_err();
    user.fetch(&[local(&files, "bash 5", &body())]).unwrap();
    user.store.share().unwrap();
    assert_eq!(cloud.s3.objects()[&name], body());
}
