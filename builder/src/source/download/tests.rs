use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use fs_err as fs;
use url::Url;

use super::super::mirror::tests::debian_at;
use super::server::{Server, answer, body, file_or_rest};
use super::*;
use crate::report::{Event, Sink};

struct World {
    dir: tempfile::TempDir,
    store: Store,
    notes: Notes,
}

/// A sink that keeps the notes.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Sink for Notes {
    fn take(&self, event: &Event<'_>) {
        if let Event::Note { text, .. } = event {
            self.0.lock().unwrap().push((*text).to_owned());
        }
    }
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store")).unwrap();
        Self {
            dir,
            store,
            notes: Notes::default(),
        }
    }

    /// Fetches with two further tries and no waiting.
    fn fetch(&self, files: &[RequiredFile]) -> Result<FetchSummary, FetchError> {
        let mut online = Online::new(Archives::none()).unwrap();
        online.retry = online
            .retry
            .with_min_delay(Duration::ZERO)
            .with_max_times(2);
        let report = Report::to(self.notes.clone());
        fetch(&self.store, files, &Access::Online(online), &report)
    }

    /// The one error of a fetch that must fail.
    fn error(&self, file: RequiredFile) -> TransferError {
        match self.fetch(&[file]).unwrap_err() {
            FetchError::Failed(mut failures) if failures.len() == 1 => failures.remove(0).error,
            other => panic!("another error: {other}"),
        }
    }

    fn has(&self, file: &RequiredFile) -> bool {
        let fresh = Store::open(self.store.root()).unwrap();
        fresh.check(&file.sha256).unwrap() == Presence::Present
    }
}

#[test]
fn fetches_each_digest_once_and_then_never_again() {
    let server = Server::new(|r| answer("200 OK", "", r.path.as_bytes()));
    let world = World::new();
    let names: Vec<String> = (0..40).map(|i| format!("file{i}")).collect();
    let mut files: Vec<RequiredFile> = names
        .iter()
        .map(|n| server.required(n, n.as_bytes()))
        .collect();
    files.push(server.required("file0", b"file0"));
    let fetched = world.fetch(&files).unwrap();
    let bytes = names.iter().map(|n| n.len() as u64).sum();
    assert_eq!(
        (fetched.required, fetched.fetched, fetched.bytes),
        (41, 40, bytes)
    );
    assert!(files.iter().all(|file| world.has(file)));

    assert_eq!(world.fetch(&files).unwrap().fetched, 0);
    assert_eq!(server.seen().len(), 40);
    fetch(&world.store, &files, &Access::Offline, &Report::quiet()).unwrap();
}

#[test]
fn a_cut_connection_is_resumed() {
    let server = Server::new(|request| match request.before {
        0 => {
            let mut cut = answer("200 OK", "", &body());
            cut.truncate(cut.len() - 150_000);
            cut
        }
        _ => file_or_rest(&body(), request),
    });
    let world = World::new();
    let file = server.required("k3s", &body());
    assert_eq!(
        world.fetch(std::slice::from_ref(&file)).unwrap().bytes,
        400_000
    );
    assert!(world.has(&file));
    let seen: Vec<_> = server.seen().into_iter().map(|(_, from)| from).collect();
    assert_eq!(seen, [None, Some(250_000)]);
    assert_eq!(world.notes.0.lock().unwrap().len(), 1);
}

#[test]
fn what_an_earlier_run_left_is_resumed_or_replaced() {
    // (what was left, whether the server can resume, first bytes requested)
    type Case<'a> = (&'a [u8], bool, &'a [Option<usize>]);
    let cases: [Case<'_>; 4] = [
        (&body()[..1000], true, &[Some(1000)]),
        (&body()[..1000], false, &[Some(1000)]),
        (b"garbage", true, &[Some(7), None]),
        (&[0; 500_000], true, &[None]),
    ];
    for (left, resumes, expected) in cases {
        let server = Server::new(move |request| match resumes {
            true => file_or_rest(&body(), request),
            false => answer("200 OK", "", &body()),
        });
        let world = World::new();
        let file = server.required("k3s", &body());
        let mut part = world.store.begin(&file.sha256).unwrap().unwrap();
        part.write(left).unwrap();
        drop(part);
        world.fetch(std::slice::from_ref(&file)).unwrap();
        assert!(world.has(&file));
        let seen: Vec<_> = server.seen().into_iter().map(|(_, from)| from).collect();
        assert_eq!(seen, expected);
    }
}

#[test]
fn a_server_that_refuses_the_rest_is_asked_for_all() {
    let server = Server::new(|request| match request.from {
        Some(_) => answer("416 Range Not Satisfiable", "", b""),
        None => answer("200 OK", "", &body()),
    });
    let world = World::new();
    let file = server.required("k3s", &body());
    world
        .store
        .begin(&file.sha256)
        .unwrap()
        .unwrap()
        .write(b"left")
        .unwrap();
    world.fetch(std::slice::from_ref(&file)).unwrap();
    assert!(world.has(&file));
}

#[test]
fn busy_servers_are_tried_again() {
    let server = Server::new(|request| match request.before {
        0 => answer("503 Service Unavailable", "retry-after: 0\r\n", b"later"),
        1 => answer("429 Too Many Requests", "", b"later"),
        _ => answer("200 OK", "", b"now"),
    });
    let world = World::new();
    let file = server.required("x", b"now");
    world.fetch(std::slice::from_ref(&file)).unwrap();
    assert!(world.has(&file));

    let server = Server::new(|_| answer("500 Oops", "", b""));
    let error = world.error(server.required("y", b"y"));
    assert!(matches!(error, TransferError::Busy { .. }), "{error}");
    assert_eq!(server.seen().len(), 3, "once and two further tries");
}

#[test]
fn all_missing_packages_are_reported_at_once() {
    let server = Server::new(|request| match request.path.starts_with("gone") {
        true => answer("404 Not Found", "content-type: text/html\r\n", b"<html>"),
        false => answer("200 OK", "", b"here"),
    });
    let world = World::new();
    let mut files: Vec<RequiredFile> = (0..10)
        .map(|i| server.required(&format!("gone{i}"), &[i]))
        .collect();
    files.push(server.required("here", b"here"));
    let error = world.fetch(&files).unwrap_err().to_string();
    assert!(
        error.starts_with("fetching 10 files:\n  gone0 from http://127.0.0.1:"),
        "{error}"
    );
    assert!(
        error.contains("answered 404 Not Found\n    help: it is no longer there"),
        "{error}"
    );
    assert!(error.ends_with("and 2 more"), "{error}");
    assert!(world.has(&files[10]), "the rest is fetched");
    assert_eq!(server.seen().len(), 11, "a missing file is requested once");
}

#[test]
fn a_missing_package_is_named_with_its_archive_and_the_remedies() {
    let server = Server::new(|_| answer("404 Not Found", "", b""));
    let world = World::new();
    let base = debian_at(&format!("http://joe:SECRET@127.0.0.1:{}", server.port));
    let archives = Archives::of(&base).unwrap();
    let url = archives.file("debian", "pool/main/b/bash/bash_5.2_amd64.deb");
    let mut file = server.required("bash 5.2", b"bash");
    file.origins = vec![Origin::Url(url.unwrap())];
    let access = Access::Online(Online::new(archives).unwrap());
    let error = fetch(&world.store, &[file], &access, &Report::quiet()).unwrap_err();
    let message = error.to_string().replace(&server.port.to_string(), "PORT");
    insta::assert_snapshot!(message, @r"
    fetching 1 file:
      bash 5.2 from http://127.0.0.1:PORT/debian/pool/main/b/bash/bash_5.2_amd64.deb: the server answered 404 Not Found
        help: bash 5.2 is no longer in the archive `debian`: lock what it has now with `postern lock --update`; or write a snapshot of that archive as `base.mirror`; or name a directory that still has the package with --pool DIR
    ");
}

#[test]
fn what_is_not_the_file_is_refused() {
    type Case = (
        &'static str,
        &'static str,
        &'static [u8],
        fn(&TransferError) -> bool,
    );
    let cases: [Case; 6] = [
        ("200 OK", "content-type: text/html\r\n", b"<p>Log in", |f| {
            matches!(f, TransferError::WebPage)
        }),
        ("200 OK", "", b"<!doctype html>", |f| {
            matches!(f, TransferError::WebPage)
        }),
        ("200 OK", "", b"jello", |f| {
            matches!(f, TransferError::WrongDigest { resumed: false, .. })
        }),
        ("200 OK", "", b"hello, world", |f| {
            matches!(f, TransferError::TooLong { expected: 5 })
        }),
        ("200 OK", "", b"hel", |f| {
            matches!(
                f,
                TransferError::Truncated {
                    got: 3,
                    expected: 5
                }
            )
        }),
        ("403 Forbidden", "", b"", |f| {
            matches!(f, TransferError::Refused { .. })
        }),
    ];
    for (status, headers, body, expected) in cases {
        let server = Server::new(move |request| match (status, request.from) {
            ("200 OK", Some(_)) => answer("416 Range Not Satisfiable", "", b""),
            _ => answer(status, headers, body),
        });
        // The server may also be a proxy that answers in another's place.
        let world = World::new();
        let file = server.required("x", b"hello");
        let error = world.error(file.clone());
        assert!(expected(&error), "{status} {headers} {body:?}: {error:?}");
        assert!(!world.has(&file));
    }
}

#[test]
fn a_wrong_hash_shows_both() {
    let server = Server::new(|_| answer("200 OK", "", b"jello"));
    let text = World::new()
        .error(server.required("x", b"hello"))
        .to_string();
    assert!(text.contains(&Digest::of(b"jello").to_string()), "{text}");
    assert!(text.contains(&Digest::of(b"hello").to_string()), "{text}");
}

#[test]
fn the_second_place_helps_out() {
    let server = Server::new(|request| match request.path.as_str() {
        "first" => answer("404 Not Found", "", b""),
        _ => answer("200 OK", "", b"hello"),
    });
    let world = World::new();
    let mut file = server.required("first", b"hello");
    file.origins.extend(server.required("second", b"").origins);
    world.fetch(std::slice::from_ref(&file)).unwrap();
    assert!(world.has(&file));
}

#[test]
fn a_dead_network_stops_early_and_hides_passwords() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let file = |i: u8| RequiredFile {
        name: format!("file{i}"),
        size: Some(1),
        sha256: Digest::of(&[i]),
        origins: vec![Origin::Url(
            format!("http://joe:secret@127.0.0.1:{port}/")
                .parse()
                .unwrap(),
        )],
    };
    let files: Vec<RequiredFile> = (0..200).map(file).collect();
    let error = World::new().fetch(&files).unwrap_err();
    let FetchError::Failed(failures) = &error else {
        panic!("another error: {error}")
    };
    assert!(
        failures.len() <= MAX_PARALLEL_DOWNLOADS,
        "{}",
        failures.len()
    );
    assert!(
        matches!(failures[0].error, TransferError::Connection(_)),
        "{error}"
    );
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[test]
fn packages_go_through_the_proxy_of_apt_and_nothing_else_does() {
    let proxy = Server::new(|_| answer("200 OK", "", b"package"));
    let origin = Server::new(|_| answer("200 OK", "", b"k3s"));
    let base = debian_at("http://mirror.invalid/");
    let archives = Archives::through(&base, &format!("http://127.0.0.1:{}", proxy.port));
    let url = archives.file("debian", "pool/x.deb").unwrap();
    let package = RequiredFile {
        origins: vec![Origin::Url(url)],
        ..proxy.required("x", b"package")
    };
    let world = World::new();
    let access = Access::Online(Online::new(archives).unwrap());
    let files = [package, origin.required("k3s", b"k3s")];
    fetch(&world.store, &files, &access, &Report::quiet()).unwrap();
    assert_eq!(
        proxy.seen(),
        [("http://mirror.invalid/debian/pool/x.deb".to_owned(), None)]
    );
    assert_eq!(origin.seen(), [("k3s".to_owned(), None)]);
}

#[test]
fn offline_lists_what_is_missing() {
    let world = World::new();
    let server = Server::new(|_| unreachable!("nobody asks"));
    let files = [
        server.required("a 1", b"a"),
        server.required("b 2", b"b"),
        server.required("c 3", b"c"),
    ];
    world.store.put(&files[1].sha256, &b"b"[..]).unwrap();
    let error = fetch(&world.store, &files, &Access::Offline, &Report::quiet()).unwrap_err();
    insta::assert_snapshot!(error, @r"
    2 files are neither in the store nor in a pool's directory, and --offline forbids fetching:
      a 1
      c 3
      help: build once without --offline, or name a directory that has it with --pool DIR
    ");
    assert!(server.seen().is_empty());
}

#[test]
fn files_of_this_machine_are_copied_and_checked() {
    let world = World::new();
    let path = world.dir.path().join("k3s+x");
    fs::write(&path, b"hello").unwrap();
    let file = |origin: Origin, bytes: &[u8]| RequiredFile {
        name: "k3s".to_owned(),
        size: None,
        sha256: Digest::of(bytes),
        origins: vec![origin],
    };
    let url = || Origin::Url(Url::from_file_path(&path).unwrap());
    let error = world.error(file(Origin::File(path.clone()), b"other"));
    assert!(
        matches!(error, TransferError::WrongDigest { .. }),
        "{error}"
    );
    let missing = file(Origin::File(world.dir.path().join("none")), b"hello");
    let error = world.error(missing);
    assert!(
        matches!(error, TransferError::File(_)) && error.to_string().contains("none"),
        "{error}"
    );

    let good = file(url(), b"hello");
    world.fetch(std::slice::from_ref(&good)).unwrap();
    assert!(world.has(&good));
    assert!(path.exists());
}

#[test]
fn a_damaged_blob_is_fetched_again_with_a_note() {
    let server = Server::new(|_| answer("200 OK", "", b"hello"));
    let mut world = World::new();
    let file = server.required("bash 5", b"hello");
    world.fetch(std::slice::from_ref(&file)).unwrap();
    let path = world.store.file(&file.sha256).unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, b"hellx").unwrap();
    world.store = Store::open(world.store.root()).unwrap();
    assert_eq!(world.fetch(std::slice::from_ref(&file)).unwrap().fetched, 1);
    assert!(world.has(&file));
    let notes = world.notes.0.lock().unwrap().join("\n");
    assert!(notes.contains("bash 5 was damaged"), "{notes}");
}
