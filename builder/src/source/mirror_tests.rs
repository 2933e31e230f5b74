use std::path::PathBuf;

use secrecy::ExposeSecret;

use super::*;
use crate::profile::{Arch, Distro, Login, Suite};

fn base(distro: Distro, mirror: Mirror, archives: &[&str]) -> Base {
    let suite = |archive: &&str| Suite {
        name: "any".to_owned(),
        archive: (*archive).to_owned(),
    };
    Base {
        distro,
        release: "any".to_owned(),
        arch: Arch::Amd64,
        mirror,
        proxy: None,
        snapshot: None,
        extra_archives: Vec::new(),
        suites: archives.iter().map(suite).collect(),
        components: vec!["main".to_owned()],
        keyring: PathBuf::from("/k.gpg"),
    }
}

#[test]
fn a_mirror_url_is_above_its_archives() {
    for written in ["http://m.example/x", "http://m.example/x/"] {
        let mirror = Mirror::Url(Url::parse(written).unwrap());
        let base = base(
            Distro::Debian,
            mirror,
            &["debian", "debian-security", "debian"],
        );
        let archives = Archives::of(&base).unwrap();
        let file = archives
            .file("debian-security", "pool/g/g++_1:2~x+y_all.deb")
            .unwrap();
        assert_eq!(
            file.as_str(),
            "http://m.example/x/debian-security/pool/g/g++_1:2~x+y_all.deb"
        );
        assert!(archives.has(&file));
        assert!(!archives.has(&Url::parse("http://other.example/x").unwrap()));
        assert!(archives.file("ubuntu", "x").is_none());
    }
}

#[test]
fn passwords_do_not_show() {
    let mirror = Mirror::Url(Url::parse("https://joe:secret@m.example/").unwrap());
    let archives = Archives::of(&base(Distro::Debian, mirror, &["debian"])).unwrap();
    let shown = format!("{archives:?}");
    assert_eq!(shown, r#"{"debian": "https://m.example/debian"}"#);
    assert!(archives.base("debian").unwrap().password().is_some());
}

#[test]
fn a_url_that_cannot_be_a_base_is_refused() {
    let mirror = Mirror::Url(Url::parse("mailto:someone@example.org").unwrap());
    let error = Archives::of(&base(Distro::Debian, mirror, &["debian"])).unwrap_err();
    assert!(matches!(error, MirrorError::NotABase(_)), "{error}");
}

fn target(uri: &str, suite: &str) -> Target {
    Target {
        uris: vec![uri.to_owned()],
        suite: suite.to_owned(),
        release: None,
    }
}

#[test]
fn another_distribution_or_archive_says_what_to_write() {
    let ubuntu = base(Distro::Ubuntu, Mirror::Host, &["ubuntu"]);
    let error = of_machine(&ubuntu, &[], "debian").unwrap_err();
    insta::assert_snapshot!(error, @r"
    base.mirror is `host`, but this machine is debian, not ubuntu, and its apt has no archive of ubuntu
      help: write `mirror: URL` with the address of a ubuntu mirror
    ");
    let debian = base(Distro::Debian, Mirror::Host, &["debian-security"]);
    let targets = [
        target("cdrom:[Debian 13]", "trixie"),
        target("http://joe:secret@m.example/debian", "trixie"),
    ];
    let error = of_machine(&debian, &targets, "debian").unwrap_err();
    insta::assert_snapshot!(error, @r"
    base.mirror is `host`, but none of this machine's apt sources is the archive `debian-security`
      | cdrom:[Debian 13]
      | http://m.example/debian
      help: add one whose address ends in `/debian-security`, or write `mirror: URL`, the address above `/debian-security`
    ");
}

#[test]
fn a_proxy_of_the_profile_counts_for_all() {
    let mirror = Mirror::Url("https://m.example".parse().unwrap());
    let mut of = base(Distro::Debian, mirror, &["debian"]);
    let url: Url = "https://m.example/debian/x".parse().unwrap();
    let other: Url = "http://other.example/".parse().unwrap();
    of.proxy = Some(BuildProxy::Url("http://p.example:3128".parse().unwrap()));
    let archives = Archives::of(&of).unwrap();
    for url in [&url, &other] {
        let proxy = archives.proxies().route(url).as_ref().unwrap();
        assert_eq!(proxy.expose_secret(), "http://p.example:3128/");
    }
    of.proxy = Some(BuildProxy::Direct);
    assert!(Archives::of(&of).unwrap().proxies().route(&url).is_none());
}

impl Archives {
    /// Archives as a machine's own apt would reach them through a proxy.
    pub(in crate::source) fn through(base: &Base, proxy: &str) -> Self {
        let mut base = base.clone();
        base.proxy = Some(BuildProxy::Url(proxy.parse().unwrap()));
        Self::of(&base).unwrap()
    }
}

/// A base with one archive, `debian`.
pub(in crate::source) fn debian_at(url: &str) -> Base {
    base(
        Distro::Debian,
        Mirror::Url(Url::parse(url).unwrap()),
        &["debian"],
    )
}

#[test]
fn a_snapshot_is_the_archive_at_a_time() {
    let time = "20260930T000000Z";
    let mut of = base(Distro::Ubuntu, Mirror::Host, &["ubuntu"]);
    of.snapshot = Some(time.to_owned());
    let file = Archives::of(&of).unwrap().file("ubuntu", "pool/a.deb");
    let expected = format!("https://snapshot.ubuntu.com/ubuntu/{time}/pool/a.deb");
    assert_eq!(file.unwrap().as_str(), expected);
    of.distro = Distro::Debian;
    let error = Archives::of(&of).unwrap_err().to_string();
    assert!(error.contains("`base.mirror`"), "{error}");
    of.mirror = Mirror::Url("http://m.example/kept".parse().unwrap());
    let file = Archives::of(&of).unwrap().file("ubuntu", "pool/a.deb");
    let expected = format!("http://m.example/kept/ubuntu/{time}/pool/a.deb");
    assert_eq!(file.unwrap().as_str(), expected);
}

#[test]
fn an_archive_elsewhere_is_opened_by_its_token_which_nobody_sees() {
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    let mirror = Mirror::Url("http://m.example".parse().unwrap());
    let mut of = base(Distro::Ubuntu, mirror, &["ubuntu", "infra/ubuntu"]);
    of.extra_archives = vec![ExtraArchive {
        archive: "infra/ubuntu".to_owned(),
        place: ArchivePlace::Mirror("https://esm.example".parse().unwrap()),
        components: Vec::new(),
        keyring: None,
        token: Some(Token::File(token.clone())),
        login: None,
        priority: None,
    }];
    fs::write(&token, "\n").unwrap();
    let error = Archives::of(&of).unwrap_err().to_string();
    assert!(
        error.contains("no token or password for archive infra/ubuntu"),
        "{error}"
    );
    fs::write(&token, "SESAME\n").unwrap();
    let archives = Archives::of(&of).unwrap();
    let url = archives.base("infra/ubuntu").unwrap();
    assert_eq!(
        url.as_str(),
        "https://bearer:SESAME@esm.example/infra/ubuntu"
    );
    assert_eq!(
        archives.base("ubuntu").unwrap().as_str(),
        "http://m.example/ubuntu"
    );
    assert!(!format!("{archives:?}").contains("SESAME"));
}

#[test]
fn an_archive_may_have_an_address_and_a_login_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let password = dir.path().join("password");
    fs::write(&password, "p@ss:word\n").unwrap();
    let mut of = base(Distro::Ubuntu, Mirror::Host, &["acme"]);
    of.extra_archives = vec![ExtraArchive {
        archive: "acme".to_owned(),
        place: ArchivePlace::Url("https://packages.example".parse().unwrap()),
        components: Vec::new(),
        keyring: None,
        token: None,
        login: Some(Login {
            user: "joe".to_owned(),
            password: Token::File(password),
        }),
        priority: None,
    }];
    let archives = Archives::of(&of).unwrap();
    let file = archives.file("acme", "pool/a.deb").unwrap();
    let expected = "https://joe:p%40ss%3Aword@packages.example/pool/a.deb";
    assert_eq!(file.as_str(), expected);
    assert_eq!(archives.name_of(&file), Some("acme"));
}
