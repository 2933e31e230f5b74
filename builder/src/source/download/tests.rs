use std::net::TcpListener;
use std::sync::Arc;

use fs_err as fs;

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
    fn fetch(&self, wants: &[Want]) -> Result<Fetched, FetchError> {
        let online = Online::new(Archives::none()).unwrap();
        let online = online.with_delays(vec![Duration::ZERO; 2]);
        let report = Report::to(self.notes.clone());
        fetch(&self.store, wants, &Access::Online(online), &report)
    }

    /// The one fault of a fetch that must fail.
    fn fault(&self, want: Want) -> Fault {
        match self.fetch(&[want]).unwrap_err() {
            FetchError::Failed(mut failures) if failures.len() == 1 => failures.remove(0).fault,
            other => panic!("another error: {other}"),
        }
    }

    fn has(&self, want: &Want) -> bool {
        let fresh = Store::open(self.store.root()).unwrap();
        fresh.check(&want.sha256).unwrap() == Presence::Present
    }
}

#[test]
fn fetches_each_digest_once_and_then_never_again() {
    let server = Server::new(|r| answer("200 OK", "", r.path.as_bytes()));
    let world = World::new();
    let names: Vec<String> = (0..40).map(|i| format!("file{i}")).collect();
    let mut wants: Vec<Want> = names.iter().map(|n| server.want(n, n.as_bytes())).collect();
    wants.push(server.want("file0", b"file0"));
    let fetched = world.fetch(&wants).unwrap();
    let bytes = names.iter().map(|n| n.len() as u64).sum();
    assert_eq!(
        (fetched.wanted, fetched.fetched, fetched.bytes),
        (41, 40, bytes)
    );
    assert!(wants.iter().all(|want| world.has(want)));

    assert_eq!(world.fetch(&wants).unwrap().fetched, 0);
    assert_eq!(server.seen().len(), 40);
    fetch(&world.store, &wants, &Access::Offline, &Report::quiet()).unwrap();
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
    let want = server.want("k3s", &body());
    assert_eq!(
        world.fetch(std::slice::from_ref(&want)).unwrap().bytes,
        400_000
    );
    assert!(world.has(&want));
    let seen: Vec<_> = server.seen().into_iter().map(|(_, from)| from).collect();
    assert_eq!(seen, [None, Some(250_000)]);
    assert_eq!(world.notes.0.lock().unwrap().len(), 1);
}

#[test]
fn what_an_earlier_run_left_is_resumed_or_replaced() {
    // (what was left, whether the server can resume, first bytes asked for)
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
        let want = server.want("k3s", &body());
        let mut part = world.store.begin(&want.sha256).unwrap().unwrap();
        part.write(left).unwrap();
        drop(part);
        world.fetch(std::slice::from_ref(&want)).unwrap();
        assert!(world.has(&want));
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
    let want = server.want("k3s", &body());
    world
        .store
        .begin(&want.sha256)
        .unwrap()
        .unwrap()
        .write(b"left")
        .unwrap();
    world.fetch(std::slice::from_ref(&want)).unwrap();
    assert!(world.has(&want));
}

#[test]
fn busy_servers_are_tried_again() {
    let server = Server::new(|request| match request.before {
        0 => answer("503 Service Unavailable", "retry-after: 0\r\n", b"later"),
        1 => answer("429 Too Many Requests", "", b"later"),
        _ => answer("200 OK", "", b"now"),
    });
    let world = World::new();
    let want = server.want("x", b"now");
    world.fetch(std::slice::from_ref(&want)).unwrap();
    assert!(world.has(&want));

    let server = Server::new(|_| answer("500 Oops", "", b""));
    let fault = world.fault(server.want("y", b"y"));
    assert!(matches!(fault, Fault::Busy { .. }), "{fault}");
    assert_eq!(server.seen().len(), 3, "once and two further tries");
}

#[test]
fn all_vanished_packages_are_told_at_once() {
    let server = Server::new(|request| match request.path.starts_with("gone") {
        true => answer("404 Not Found", "content-type: text/html\r\n", b"<html>"),
        false => answer("200 OK", "", b"here"),
    });
    let world = World::new();
    let mut wants: Vec<Want> = (0..10)
        .map(|i| server.want(&format!("gone{i}"), &[i]))
        .collect();
    wants.push(server.want("here", b"here"));
    let error = world.fetch(&wants).unwrap_err().to_string();
    assert!(
        error.starts_with("fetching 10 files:\n  gone0 from http://127.0.0.1:"),
        "{error}"
    );
    assert!(
        error.contains("answered 404 Not Found\n    help: it is not there any more"),
        "{error}"
    );
    assert!(error.ends_with("and 2 more"), "{error}");
    assert!(world.has(&wants[10]), "the rest is fetched");
    assert_eq!(server.seen().len(), 11, "a vanished file is asked for once");
}

#[test]
fn a_vanished_package_is_named_with_its_archive_and_the_ways_out() {
    let server = Server::new(|_| answer("404 Not Found", "", b""));
    let world = World::new();
    let base = debian_at(&format!("http://joe:SECRET@127.0.0.1:{}", server.port));
    let archives = Archives::of(&base).unwrap();
    let url = archives.file("debian", "pool/main/b/bash/bash_5.2_amd64.deb");
    let mut want = server.want("bash 5.2", b"bash");
    want.origins = vec![Origin::Url(url.unwrap())];
    let access = Access::Online(Online::new(archives).unwrap());
    let error = fetch(&world.store, &[want], &access, &Report::quiet()).unwrap_err();
    let said = error.to_string().replace(&server.port.to_string(), "PORT");
    insta::assert_snapshot!(said, @r"
    fetching 1 file:
      bash 5.2 from http://127.0.0.1:PORT/debian/pool/main/b/bash/bash_5.2_amd64.deb: the server answered 404 Not Found
        help: bash 5.2 vanished from the archive `debian`: lock what it has now with `postern lock --update`; or write a snapshot of that archive as `base.mirror`; or give a directory that still has the package with --pool DIR
    ");
}

#[test]
fn what_is_not_the_file_is_refused() {
    type Case = (
        &'static str,
        &'static str,
        &'static [u8],
        fn(&Fault) -> bool,
    );
    let cases: [Case; 6] = [
        ("200 OK", "content-type: text/html\r\n", b"<p>Log in", |f| {
            matches!(f, Fault::WebPage)
        }),
        ("200 OK", "", b"<!doctype html>", |f| {
            matches!(f, Fault::WebPage)
        }),
        ("200 OK", "", b"jello", |f| {
            matches!(f, Fault::Wrong { resumed: false, .. })
        }),
        ("200 OK", "", b"hello, world", |f| {
            matches!(f, Fault::TooLong { expected: 5 })
        }),
        ("200 OK", "", b"hel", |f| {
            matches!(
                f,
                Fault::Truncated {
                    got: 3,
                    expected: 5
                }
            )
        }),
        ("403 Forbidden", "", b"", |f| {
            matches!(f, Fault::Status { .. })
        }),
    ];
    for (status, headers, body, expected) in cases {
        let server = Server::new(move |request| match (status, request.from) {
            ("200 OK", Some(_)) => answer("416 Range Not Satisfiable", "", b""),
            _ => answer(status, headers, body),
        });
        // The server may also be a proxy that answers in another's place.
        let world = World::new();
        let want = server.want("x", b"hello");
        let fault = world.fault(want.clone());
        assert!(expected(&fault), "{status} {headers} {body:?}: {fault:?}");
        assert!(!world.has(&want));
    }
}

#[test]
fn a_wrong_hash_shows_both() {
    let server = Server::new(|_| answer("200 OK", "", b"jello"));
    let text = World::new().fault(server.want("x", b"hello")).to_string();
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
    let mut want = server.want("first", b"hello");
    want.origins.extend(server.want("second", b"").origins);
    world.fetch(std::slice::from_ref(&want)).unwrap();
    assert!(world.has(&want));
}

#[test]
fn a_dead_network_stops_early_and_hides_passwords() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let want = |i: u8| Want {
        name: format!("file{i}"),
        size: Some(1),
        sha256: Digest::of(&[i]),
        origins: vec![Origin::Url(
            format!("http://joe:secret@127.0.0.1:{port}/")
                .parse()
                .unwrap(),
        )],
    };
    let wants: Vec<Want> = (0..200).map(want).collect();
    let error = World::new().fetch(&wants).unwrap_err();
    let FetchError::Failed(failures) = &error else {
        panic!("another error: {error}")
    };
    assert!(failures.len() <= PARALLEL, "{}", failures.len());
    assert!(matches!(failures[0].fault, Fault::Connection(_)), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[test]
fn packages_go_through_the_proxy_of_apt_and_nothing_else_does() {
    let proxy = Server::new(|_| answer("200 OK", "", b"package"));
    let origin = Server::new(|_| answer("200 OK", "", b"k3s"));
    let base = debian_at("http://mirror.invalid/");
    let archives = Archives::through(&base, &format!("http://127.0.0.1:{}", proxy.port));
    let url = archives.file("debian", "pool/x.deb").unwrap();
    let package = Want {
        origins: vec![Origin::Url(url)],
        ..proxy.want("x", b"package")
    };
    let world = World::new();
    let access = Access::Online(Online::new(archives).unwrap());
    let wants = [package, origin.want("k3s", b"k3s")];
    fetch(&world.store, &wants, &access, &Report::quiet()).unwrap();
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
    let wants = [
        server.want("a 1", b"a"),
        server.want("b 2", b"b"),
        server.want("c 3", b"c"),
    ];
    world.store.put(&wants[1].sha256, &b"b"[..]).unwrap();
    let error = fetch(&world.store, &wants, &Access::Offline, &Report::quiet()).unwrap_err();
    insta::assert_snapshot!(error, @r"
    2 files are not in the store or a pool's directory, and --offline forbids to fetch:
      a 1
      c 3
      help: build once without --offline, or give a directory that has it with --pool DIR
    ");
    assert!(server.seen().is_empty());
}

#[test]
fn files_of_this_machine_are_copied_and_checked() {
    let world = World::new();
    let path = world.dir.path().join("k3s+x");
    fs::write(&path, b"hello").unwrap();
    let want = |origin: Origin, bytes: &[u8]| Want {
        name: "k3s".to_owned(),
        size: None,
        sha256: Digest::of(bytes),
        origins: vec![origin],
    };
    let url = || Origin::Url(Url::from_file_path(&path).unwrap());
    let fault = world.fault(want(Origin::File(path.clone()), b"other"));
    assert!(matches!(fault, Fault::Wrong { .. }), "{fault}");
    let missing = want(Origin::File(world.dir.path().join("none")), b"hello");
    let fault = world.fault(missing);
    assert!(
        matches!(fault, Fault::File(_)) && fault.to_string().contains("none"),
        "{fault}"
    );

    let good = want(url(), b"hello");
    world.fetch(std::slice::from_ref(&good)).unwrap();
    assert!(world.has(&good));
    assert!(path.exists());
}

#[test]
fn a_damaged_blob_is_fetched_anew_with_a_note() {
    let server = Server::new(|_| answer("200 OK", "", b"hello"));
    let mut world = World::new();
    let want = server.want("bash 5", b"hello");
    world.fetch(std::slice::from_ref(&want)).unwrap();
    let path = world.store.file(&want.sha256).unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, b"hellx").unwrap();
    world.store = Store::open(world.store.root()).unwrap();
    assert_eq!(world.fetch(std::slice::from_ref(&want)).unwrap().fetched, 1);
    assert!(world.has(&want));
    let notes = world.notes.0.lock().unwrap().join("\n");
    assert!(notes.contains("bash 5 was damaged"), "{notes}");
}
