//! Asked of the real apt, with configurations of our own.

use std::path::Path;

use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::*;
use crate::profile::{Arch, Mirror, Suite};

/// A machine's apt with these files below /etc/apt, where `@` is the directory.
struct Machine {
    dir: TempDir,
    apt: HostApt,
}

fn machine(files: &[(&str, &str)]) -> Machine {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for sub in [
        "etc/sources.list.d",
        "etc/apt.conf.d",
        "etc/auth.conf.d",
        "lists/partial",
    ] {
        fs::create_dir_all(at(sub)).unwrap();
    }
    fs::write(at("status"), "").unwrap();
    let root = dir.path().display().to_string();
    for (name, text) in files {
        fs::write(at("etc").join(name), text.replace('@', &root)).unwrap();
    }
    let config = format!(
        "Dir::Etc \"{root}/etc\";\nDir::State::lists \"{root}/lists\";\n\
         Dir::State::status \"{root}/status\";\nDir::Cache \"{root}/cache\";\n"
    );
    fs::write(at("apt.conf"), config).unwrap();
    let apt = HostApt {
        config: Some(at("apt.conf")),
    };
    Machine { dir, apt }
}

/// What apt would keep of a release file that it has fetched.
fn fetched(machine: &Machine, name: &str, origin: &str, label: &str) {
    let text = format!(
        "Origin: {origin}\nLabel: {label}\nSuite: stable\nCodename: trixie\n\
                        Date: Sat, 12 Sep 2026 07:55:41 UTC\nArchitectures: amd64\nComponents: main\n\
                        SHA256:\n {} 0 main/binary-amd64/Packages\n",
        "0".repeat(64)
    );
    let lists = machine.dir.path().join("lists");
    fs::write(lists.join(format!("{name}_InRelease")), text).unwrap();
    fs::write(lists.join(format!("{name}_main_binary-amd64_Packages")), "").unwrap();
}

fn base(distro: Distro, suites: &[(&str, &str)]) -> Base {
    let suite = |(archive, name): &(&str, &str)| Suite {
        name: (*name).to_owned(),
        archive: (*archive).to_owned(),
    };
    Base {
        distro,
        release: "any".to_owned(),
        arch: Arch::Amd64,
        mirror: Mirror::Host,
        proxy: None,
        snapshot: None,
        extra_archives: Vec::new(),
        suites: suites.iter().map(suite).collect(),
        components: vec!["main".to_owned()],
        keyring: PathBuf::from("/k.gpg"),
    }
}

fn picked(machine: &Machine, archive: &str, base: &Base) -> Option<String> {
    let targets = machine.apt.targets().unwrap();
    pick(&targets, archive, base, true).map(String::from)
}

/// As Debian's cloud images have it: lists of mirrors, and a key within the source.
#[test]
fn lists_of_mirrors_are_followed() {
    let source = "Types: deb deb-src\nURIs: mirror+file:@/etc/debian.list\n\
                  Suites: trixie trixie-updates\nComponents: main contrib\nSigned-By:\n \
                  -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQ==\n \
                  -----END PGP PUBLIC KEY BLOCK-----\n\n\
                  Types: deb\nURIs: mirror+file:@/etc/security.list\nSuites: trixie-security\n\
                  Components: main\nSigned-By: /etc/apt/keyrings/renamed.pgp\n\n\
                  Types: deb\nEnabled: no\nURIs: http://off.example/debian\nSuites: trixie\n\
                  Components: main\n";
    let machine = machine(&[
        ("sources.list.d/debian.sources", source),
        (
            "debian.list",
            "# ours\nhttps://last.example/debian\n\
                         https://second.example/debian/\tpriority:2 type:deb\n\
                         https://first.example/debian/\tpriority:1\n",
        ),
        ("security.list", "https://s.example/debian-security\n"),
    ]);
    let base = base(
        Distro::Debian,
        &[("debian", "trixie"), ("debian-security", "trixie-security")],
    );
    let targets = machine.apt.targets().unwrap();
    let suites: Vec<_> = targets.iter().map(|target| target.suite.as_str()).collect();
    assert_eq!(suites, ["trixie", "trixie-updates", "trixie-security"]);
    assert_eq!(
        picked(&machine, "debian", &base).as_deref(),
        Some("https://first.example/debian")
    );
    let security = picked(&machine, "debian-security", &base);
    assert_eq!(
        security.as_deref(),
        Some("https://s.example/debian-security")
    );
}

#[test]
fn a_list_of_mirrors_that_is_not_there_is_named() {
    let machine = machine(&[(
        "sources.list",
        "deb mirror+file:@/etc/none.list trixie main\n",
    )]);
    let error = anyhow::Error::from(machine.apt.targets().unwrap_err());
    assert!(format!("{error:#}").contains("etc/none.list"), "{error:#}");
}

/// Third parties end their addresses in the same way.
#[test]
fn the_source_with_the_profiles_suites_or_pockets_wins() {
    let machine = machine(&[(
        "sources.list",
        "deb https://vendor.example/debian nodistro main\n\
         deb [signed-by=/x/renamed.gpg] http://old.example/debian bookworm-updates main\n\
         deb cdrom:[Debian]/debian trixie main\n\
         deb http://m.example/debian trixie main\n",
    )]);
    let trixie = base(Distro::Debian, &[("debian", "trixie")]);
    assert_eq!(
        picked(&machine, "debian", &trixie).as_deref(),
        Some("http://m.example/debian")
    );
    let forky = base(Distro::Debian, &[("debian", "forky")]);
    assert_eq!(
        picked(&machine, "debian", &forky).as_deref(),
        Some("http://old.example/debian")
    );
    assert_eq!(picked(&machine, "debian-security", &trixie), None);
}

/// A mirror may have any name, and a machine of another distribution an archive.
#[test]
fn what_a_release_file_says_of_itself_decides() {
    let machine = machine(&[(
        "sources.list",
        "deb https://vendor.example/ubuntu noble main\n\
         deb https://repo.example/remote noble main\n",
    )]);
    fetched(
        &machine,
        "vendor.example_ubuntu_dists_noble",
        "Acme",
        "Acme",
    );
    fetched(
        &machine,
        "repo.example_remote_dists_noble",
        "Ubuntu",
        "Ubuntu",
    );
    let noble = base(Distro::Ubuntu, &[("ubuntu", "noble")]);
    let targets = machine.apt.targets().unwrap();
    let says = |of: &Target| of.release.clone().unwrap().0;
    assert_eq!(
        targets.iter().map(says).collect::<Vec<_>>(),
        ["Acme", "Ubuntu"]
    );
    for is_own in [true, false] {
        let url = pick(&targets, "ubuntu", &noble, is_own);
        assert_eq!(url.unwrap().as_str(), "https://repo.example/remote");
    }
    assert!(pick(&targets[..1], "ubuntu", &noble, false).is_none());
}

/// As apt's http and https methods go, for a host, by a program, or in general.
#[test]
fn proxies_are_chosen_as_apt_does() {
    let settings = r#"Acquire::http::Proxy "http://general:1";
Acquire::http::Proxy::own.example "http://own:2";
Acquire::http::Proxy::direct.example "DIRECT";
"#;
    let machine = machine(&[("apt.conf.d/50proxy", settings)]);
    let route = |machine: &Machine, url: &str| {
        let route = machine.apt.route(&Url::parse(url).unwrap()).unwrap();
        let text = |p: Option<SecretString>| p.map(|p| p.expose_secret().to_owned());
        route.map(text)
    };
    let cases = [
        ("http://a.example/debian", Some(Some("http://general:1"))),
        ("https://a.example/debian", Some(Some("http://general:1"))),
        ("http://own.example:8080/debian", Some(Some("http://own:2"))),
        ("https://own.example/debian", Some(Some("http://own:2"))),
        ("http://direct.example/debian", Some(None)),
        ("https://direct.example/debian", Some(None)),
    ];
    for (url, expected) in cases {
        let expected = expected.map(|proxy| proxy.map(str::to_owned));
        assert_eq!(route(&machine, url), expected, "{url}");
    }
    write(
        &machine,
        "apt.conf.d/60https",
        "Acquire::https::Proxy \"DIRECT\";\n",
    );
    assert_eq!(route(&machine, "https://a.example/"), Some(None));
    let program = machine.dir.path().join("detect");
    fs::write(
        &program,
        "#!/bin/sh\ncase $1 in *a.example*) echo http://found:3;; *) echo DIRECT;; esac\n",
    )
    .unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&program, mode).unwrap();
    let detect = format!(
        "Acquire::http::Proxy-Auto-Detect \"{}\";\n",
        program.display()
    );
    write(&machine, "apt.conf.d/60detect", &detect);
    assert_eq!(
        route(&machine, "http://a.example/"),
        Some(Some("http://found:3".to_owned()))
    );
    assert_eq!(route(&machine, "http://b.example/"), Some(None));
    let silent = self::machine(&[]);
    assert_eq!(route(&silent, "http://a.example/"), None);
}

fn write(machine: &Machine, name: &str, text: &str) {
    fs::write(machine.dir.path().join("etc").join(Path::new(name)), text).unwrap();
}

#[test]
fn logins_come_from_both_places() {
    let machine = machine(&[
        ("auth.conf", "machine a.example login ann password one\n"),
        (
            "auth.conf.d/b.conf",
            "machine http://b.example/x login bob password two\n",
        ),
        (
            "auth.conf.d/ignored.txt",
            "machine c.example login c password c\n",
        ),
    ]);
    let logins = machine.apt.logins().unwrap();
    let with_login = |url: &str| {
        let mut url = Url::parse(url).unwrap();
        logins.add_to(&mut url);
        url.to_string()
    };
    assert_eq!(
        with_login("https://a.example/x"),
        "https://ann:one@a.example/x"
    );
    assert_eq!(
        with_login("http://b.example/x"),
        "http://bob:two@b.example/x"
    );
    assert_eq!(with_login("https://c.example/x"), "https://c.example/x");
}
