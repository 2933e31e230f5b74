//! Archives as people have them, each resolved by the real apt.

use std::path::Path;

use fs_err as fs;
use postern_contract::host::Command;
use postern_sim::archive::{Archive, ArchiveServer, Deb, Protected, Signer};
use url::Url;

use super::resolve::tests::{noble, profile_of};
use super::resolve::{ResolveError, overriding, resolve};
use super::{AptError, Lock};
use crate::lock::index_error::IndexReason;
use crate::profile::{ArchivePlace, BuildProxy, ExtraArchive, Login, Mirror, Profile, Token};
use crate::report::Report;

/// An archive `acme` of the suite `name` beside the distribution, at `below` of
/// the same directory; the profile asks for its package `tool`.
fn beside(archive: &mut Archive, below: &str, name: &str) -> Profile {
    archive.add_suite(below, name, "");
    archive.add(name, Deb::new("tool", "2:1~rc1+x"));
    let mut profile = profile_of(archive);
    for suite in &mut profile.base.suites {
        if suite.name == name {
            suite.archive = "acme".to_owned();
        }
    }
    profile.packages.add.push("tool".to_owned());
    profile.base.extra_archives = vec![ExtraArchive {
        archive: "acme".to_owned(),
        place: ArchivePlace::Url(directory(&archive.root().join(below))),
        components: Vec::new(),
        keyring: None,
        token: None,
        login: None,
        priority: None,
    }];
    profile
}

fn directory(path: &Path) -> Url {
    Url::from_directory_path(path).unwrap()
}

fn locked(archive: &Archive, profile: &Profile) -> Result<Lock, ResolveError> {
    archive.publish().unwrap();
    resolve(profile, &Report::quiet())
}

/// Where the package of the other archive is.
fn path_of_tool(lock: &Lock) -> (&str, &str) {
    let tool = lock.packages.iter().find(|p| p.name == "tool").unwrap();
    (&tool.archive, &tool.path)
}

#[test]
fn a_suite_that_does_not_name_itself_and_is_signed_beside_its_release_file() {
    let mut archive = noble();
    let profile = beside(&mut archive, "mirrors:8/acme", "stable");
    let suite = archive.suite("stable");
    suite.signer = Signer::Beside;
    let lock = locked(&archive, &profile).unwrap();
    assert_eq!(
        path_of_tool(&lock),
        ("acme", "pool/main/t/tool/tool_1~rc1+x_all.deb")
    );
    assert!(lock.suites.iter().any(|suite| suite.archive == "acme"));
    assert_eq!(lock.packages, locked(&archive, &profile).unwrap().packages);
}

#[test]
fn a_flat_archive() {
    for (below, suite) in [
        ("acme", "./"),
        ("core:/stable:/deb", "/"),
        ("vendor", "amd64/"),
    ] {
        let mut archive = noble();
        let profile = beside(&mut archive, below, suite);
        let lock = locked(&archive, &profile).unwrap();
        let (of, path) = path_of_tool(&lock);
        assert_eq!(of, "acme");
        assert!(path.ends_with("tool_1~rc1+x_all.deb"), "{path}");
    }
}

#[test]
fn an_archive_at_the_root_of_a_host_with_a_login() {
    let mut archive = noble();
    let mut profile = beside(&mut archive, "acme", "stable");
    archive.publish().unwrap();
    let password = archive.root().join("password");
    fs::write(&password, "S:ES@ME%2f\n").unwrap();
    let protected = Protected {
        below: "/".to_owned(),
        token: "S:ES@ME%2f".to_owned(),
    };
    let served = ArchiveServer::start(&archive.root().join("acme"), protected).unwrap();
    let extra = &mut profile.base.extra_archives[0];
    extra.place = ArchivePlace::Url(served.url().parse().unwrap());
    let refused = resolve(&profile, &Report::quiet()).unwrap_err();
    let (reason, text) = index_error(refused);
    assert_eq!(reason, IndexReason::Login, "{text}");
    assert!(
        text.contains("suite stable of archive acme is not for everybody"),
        "{text}"
    );
    profile.base.extra_archives[0].login = Some(Login {
        user: "bearer".to_owned(),
        password: Token::File(password),
    });
    let lock = resolve(&profile, &Report::quiet()).unwrap();
    assert_eq!(path_of_tool(&lock).0, "acme");
}

fn index_error(error: ResolveError) -> (IndexReason, String) {
    match error {
        ResolveError::Apt(AptError::Index(error)) => (error.reason, error.to_string()),
        other => panic!("another error: {other}"),
    }
}

#[test]
fn an_armoured_keyring_with_words_around_its_keys() {
    let mut archive = noble();
    let mut profile = beside(&mut archive, "acme", "stable");
    let armoured = archive.root().with_file_name("acme.pub");
    let armour = Command::new("gpg").args(["--batch", "--enarmor"]);
    let keys = armour
        .run_with_input(&fs::read(archive.keyring()).unwrap())
        .unwrap();
    let keys = String::from_utf8(keys)
        .unwrap()
        .replace("ARMORED FILE", "PUBLIC KEY BLOCK");
    fs::write(
        &armoured,
        format!("# Acme's key, until 2030\r\n\n{keys}\nThank you\n"),
    )
    .unwrap();
    profile.base.extra_archives[0].keyring = Some(armoured.clone());
    let lock = locked(&archive, &profile).unwrap();
    assert_eq!(path_of_tool(&lock).0, "acme");
    archive.suite("stable").signer = Signer::OtherKey;
    let (reason, text) = index_error(locked(&archive, &profile).unwrap_err());
    assert_eq!(reason, IndexReason::Signature, "{text}");
    let named = format!("is not signed by the keyring {}", armoured.display());
    assert!(text.contains(&named), "{text}");
}

/// A priority makes an older version win, which is said where it matters.
#[test]
fn a_priority_decides_among_archives() {
    let mut archive = noble();
    let mut profile = beside(&mut archive, "acme", "stable");
    archive.add("stable", Deb::new("libc6", "2.38+acme").arch("amd64"));
    let libc = |lock: &Lock| {
        let libc = lock.packages.iter().find(|p| p.name == "libc6").unwrap();
        libc.version.clone()
    };
    archive.publish().unwrap();
    let public = Protected {
        below: "/none/".to_owned(),
        token: String::new(),
    };
    let served = ArchiveServer::start(&archive.root().join("acme"), public).unwrap();
    let extra = &mut profile.base.extra_archives[0];
    extra.place = ArchivePlace::Url(served.url().parse().unwrap());
    assert_eq!(
        libc(&resolve(&profile, &Report::quiet()).unwrap()),
        "2.39.1"
    );
    profile.base.extra_archives[0].priority = Some(990);
    let lock = resolve(&profile, &Report::quiet()).unwrap();
    assert_eq!(libc(&lock), "2.38+acme");
    assert_eq!(
        overriding(&profile.base, &lock.packages),
        ["libc6 2.38+acme of acme"]
    );
}

/// apt and our own client go through one proxy, whatever the mirror's name means
/// here.
#[test]
fn indices_come_through_the_profiles_proxy() {
    let archive = noble();
    archive.publish().unwrap();
    let public = Protected {
        below: "/none/".to_owned(),
        token: String::new(),
    };
    // What is asked of a proxy has the whole address, of which it takes the path.
    let proxy = ArchiveServer::start(&archive.root(), public).unwrap();
    let mut profile = profile_of(&archive);
    profile.base.mirror = Mirror::Url("http://deb.invalid".parse().unwrap());
    profile.base.proxy = Some(BuildProxy::Url(proxy.url().parse().unwrap()));
    resolve(&profile, &Report::quiet()).unwrap();
    profile.base.proxy = Some(BuildProxy::Direct);
    let (reason, text) = index_error(resolve(&profile, &Report::quiet()).unwrap_err());
    assert_eq!(reason, IndexReason::Connection, "{text}");
}
