use super::super::super::download::server::{Server, answer, file_or_rest};
use super::super::mirror::Mirror;
use super::*;

fn at(server: &Server) -> Location {
    format!("http://127.0.0.1:{}/pool", server.port)
        .parse()
        .unwrap()
}

#[test]
fn a_mirror_serves_packages_and_results() {
    let pool = tempfile::tempdir().unwrap();
    let here = Location::Directory(pool.path().to_owned());
    let maker = Machine::with(&[here], pushing());
    maker.fetch(&[local(&pool, "bash", &body())]).unwrap();
    maker.result(&layer(), Some(b"layer")).unwrap();
    maker.store.share().unwrap();
    let root = pool.path().to_owned();
    let server = Server::new(move |request| {
        let path = request.path.strip_prefix("pool/").unwrap();
        match fs::read(root.join(path)) {
            Ok(bytes) => file_or_rest(&bytes, request),
            Err(_) => answer("404 Not Found", "", b""),
        }
    });
    let user = Machine::with(&[at(&server)], Options::default());
    let fetched = user.fetch(&[lost("bash", &body())]).unwrap();
    assert_eq!(fetched.pooled, 1);
    assert_eq!(user.result(&layer(), None).unwrap(), b"layer");
    assert_eq!(user.warnings(), [""; 0]);
    let refused = Pools::open(&[at(&server)], &pushing(), &Report::quiet());
    assert!(matches!(refused, Err(PoolError::NothingToPushTo)));
}

#[test]
fn what_is_not_there_comes_from_elsewhere_without_a_word() {
    let server = Server::new(|_| answer("404 Not Found", "content-type: text/html\r\n", b"<html>"));
    let machine = Machine::with(&[at(&server)], Options::default());
    let files = tempfile::tempdir().unwrap();
    let origin = Server::new(|_| answer("200 OK", "", b"bash"));
    machine.fetch(&[origin.required("bash", b"bash")]).unwrap();
    machine.result(&layer(), Some(b"layer")).unwrap();
    machine.fetch(&[local(&files, "k3s", b"k3s")]).unwrap();
    assert_eq!(machine.warnings(), [""; 0]);
    assert_eq!(
        server.seen().len(),
        2,
        "nobody asks a pool for a local file"
    );
}

#[test]
fn a_mirror_that_cannot_be_used_is_one_warning() {
    let page = "content-type: text/html\r\n";
    type Case = (&'static str, Box<dyn Fn() -> Vec<u8> + Send + Sync>, usize);
    let cases: [Case; 4] = [
        (
            "web page",
            Box::new(move || answer("200 OK", page, b"<html>Log in")),
            1,
        ),
        (
            "403 Forbidden",
            Box::new(|| answer("403 Forbidden", "", b"")),
            1,
        ),
        ("500", Box::new(|| answer("500 Oops", "", b"")), 3),
        ("", Box::new(Vec::new), 3), // hangs up
    ];
    for (why, pool, requests) in cases {
        let server = Server::new(move |_| pool());
        let origin = Server::new(|request| answer("200 OK", "", request.path.as_bytes()));
        let machine = Machine::with(&[at(&server)], Options::default());
        for name in ["a", "b", "c"] {
            machine
                .fetch(&[origin.required(name, name.as_bytes())])
                .unwrap();
        }
        machine.result(&layer(), Some(b"layer")).unwrap();
        let warnings = machine.warnings();
        assert_eq!(warnings.len(), 1, "{why}: {warnings:?}");
        assert!(warnings[0].contains(why), "{why}: {warnings:?}");
        assert_eq!(server.seen().len(), requests, "{why}");
    }
}

#[test]
fn a_body_that_is_cut_or_wrong_is_had_elsewhere() {
    let cut = Server::new(|request| {
        let mut whole = file_or_rest(&body(), request);
        whole.truncate(whole.len().min(90_000));
        match request.from {
            Some(_) => answer("200 OK", "", b"short"),
            None => whole,
        }
    });
    let wrong = Server::new(|_| answer("200 OK", "", &vec![7; body().len()]));
    for server in [cut, wrong] {
        let origin = Server::new(|request| file_or_rest(&body(), request));
        let machine = Machine::with(&[at(&server)], Options::default());
        let file = origin.required("k3s", &body());
        machine.fetch(std::slice::from_ref(&file)).unwrap();
        let fetched = fs::read(machine.store.file(&file.sha256).unwrap()).unwrap();
        assert_eq!(fetched, body());
        let warnings = machine.warnings();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains("no good copy of"), "{warnings:?}");
    }
}

#[test]
fn only_a_private_line_may_vouch_for_results() {
    let cases = [
        ("https://pool.invalid/", true),
        ("http://127.0.0.1:1/", true),
        ("http://[::1]:1/", true),
        ("http://pool.invalid/", false),
        ("http://10.0.0.1/", false),
    ];
    for (url, private) in cases {
        let mirror = Mirror::at(&url.parse().unwrap(), ExponentialBuilder::new()).unwrap();
        assert_eq!(mirror.is_private(), private, "{url}");
    }
}
