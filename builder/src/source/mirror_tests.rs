use std::path::PathBuf;

use secrecy::ExposeSecret;

use super::*;
use crate::profile::{Arch, Distro, Suite};

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
        snapshot: None,
        extra_archives: Vec::new(),
        suites: archives.iter().map(suite).collect(),
        components: vec!["main".to_owned()],
        keyring: PathBuf::from("/k.gpg"),
    }
}

/// A machine with this os-release and these files below /etc/apt.
fn machine(id: &str, files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let etc = root.path().join("etc");
    fs::create_dir_all(etc.join("apt/sources.list.d")).unwrap();
    fs::write(
        etc.join("os-release"),
        format!("NAME=\"X\"\nVERSION_ID=1\nID={id}\n"),
    )
    .unwrap();
    for (name, text) in files {
        fs::write(etc.join("apt").join(name), text).unwrap();
    }
    root
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

#[test]
fn the_hosts_archives_come_from_its_apt() {
    let third_party = "deb https://vendor.example/debian trixie main\n";
    let docker = "Types: deb\nURIs: https://containers.example/linux/debian\nSuites: trixie\n\
                  Components: main\nSigned-By: /etc/apt/keyrings/vendor.asc\n";
    let own = "Types: deb\nURIs: http://m.example/debian/\nSuites: bookworm bookworm-updates\n\
               Components: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\n\
               Types: deb\nURIs: http://s.example/debian-security\nSuites: bookworm-security\n\
               Components: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n";
    let root = machine(
        "debian",
        &[
            ("sources.list", third_party),
            ("sources.list.d/a.sources", docker),
            ("sources.list.d/z.sources", own),
            (
                "sources.list.d/z.sources.bak",
                "deb http://bak.example/debian x main",
            ),
        ],
    );
    let base = base(Distro::Debian, Mirror::Host, &["debian", "debian-security"]);
    let archives = Archives::of_machine(&base, root.path()).unwrap();
    assert_eq!(
        archives.base("debian").unwrap().as_str(),
        "http://m.example/debian"
    );
    assert_eq!(
        archives.base("debian-security").unwrap().as_str(),
        "http://s.example/debian-security"
    );
}

#[test]
fn without_keyrings_the_entry_with_pockets_wins() {
    let list = "deb https://vendor.example/ubuntu noble main\n\
                deb mirror+file:/etc/mirrors/ubuntu noble-updates main\n\
                deb http://m.example/ubuntu noble-updates main\n";
    let root = machine("\"ubuntu\"", &[("sources.list", list)]);
    let base = base(Distro::Ubuntu, Mirror::Host, &["ubuntu"]);
    let archives = Archives::of_machine(&base, root.path()).unwrap();
    assert_eq!(
        archives.base("ubuntu").unwrap().as_str(),
        "http://m.example/ubuntu"
    );
}

#[test]
fn another_distribution_or_archive_says_what_to_write() {
    let root = machine("debian", &[]);
    let ubuntu = base(Distro::Ubuntu, Mirror::Host, &["ubuntu"]);
    let error = Archives::of_machine(&ubuntu, root.path()).unwrap_err();
    insta::assert_snapshot!(error, @r"
    base.mirror is `host`, but this machine is debian, not ubuntu
      help: write `mirror: URL` with the address of a ubuntu mirror
    ");
    let debian = base(Distro::Debian, Mirror::Host, &["debian-security"]);
    let error = Archives::of_machine(&debian, root.path()).unwrap_err();
    insta::assert_snapshot!(error, @r"
    base.mirror is `host`, but this machine's apt has no source whose address ends in `/debian-security`
      help: add one, or write `mirror: URL`, the address above `/debian-security`
    ");
}

#[test]
fn apts_proxies() {
    let cases = [
        ("", None, None),
        (
            "HTTP='http://p:1'\n",
            Some("http://p:1"),
            Some("http://p:1"),
        ),
        (
            "HTTP='http://p:1'\nHTTPS='DIRECT'\n",
            Some("http://p:1"),
            None,
        ),
        (
            "HTTP='DIRECT'\nHTTPS='http://q:2'\n",
            None,
            Some("http://q:2"),
        ),
    ];
    for (shell, http, https) in cases {
        let found = host_apt::proxies(shell);
        let text =
            |proxy: &Option<SecretString>| proxy.as_ref().map(|p| p.expose_secret().to_owned());
        assert_eq!(text(&found.http).as_deref(), http, "{shell}");
        assert_eq!(text(&found.https).as_deref(), https, "{shell}");
    }
}

#[test]
fn this_machines_apt_answers() {
    host_apt::configured_proxies().unwrap();
}

impl Archives {
    /// Archives as a machine's own apt would reach them through a proxy.
    pub(in crate::source) fn through(base: &Base, proxy: &str) -> Self {
        let proxies = Proxies {
            http: Some(SecretString::from(proxy)),
            https: None,
        };
        Self {
            proxies: Some(proxies),
            ..Self::of(base).unwrap()
        }
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
        mirror: "https://esm.example".parse().unwrap(),
        components: Vec::new(),
        keyring: None,
        token: Some(Token::File(token.clone())),
    }];
    fs::write(&token, "\n").unwrap();
    let error = Archives::of(&of).unwrap_err().to_string();
    assert!(
        error.contains("no token for archive infra/ubuntu"),
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
