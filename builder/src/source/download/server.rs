//! A server for tests that sends the bytes it is given, also broken ones.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::profile::Origin;
use crate::source::{Digest, RequiredFile};

/// What the server sends for a request's head: raw bytes, then it hangs up.
type Answer = dyn Fn(&Request) -> Vec<u8> + Send + Sync;

/// The requests: path and first byte.
type Log = Arc<Mutex<Vec<(String, Option<usize>)>>>;

/// A request as far as these tests care.
pub(in crate::source) struct Request {
    pub(in crate::source) path: String,
    /// First byte requested.
    pub(in crate::source) from: Option<usize>,
    /// How many requests for this path came before.
    pub(in crate::source) before: usize,
}

/// An HTTP server on loopback for as long as the tests run.
pub(in crate::source) struct Server {
    pub(in crate::source) port: u16,
    seen: Log,
}

impl Server {
    pub(in crate::source) fn new(
        answer: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Log::default();
        let (answer, log): (Arc<Answer>, _) = (Arc::new(answer), Arc::clone(&seen));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
                std::thread::spawn(move || serve(stream.unwrap(), &*answer, &log));
            }
        });
        Self { port, seen }
    }

    pub(in crate::source) fn required(&self, name: &str, bytes: &[u8]) -> RequiredFile {
        let url = format!("http://127.0.0.1:{}/{name}", self.port);
        RequiredFile {
            name: name.to_owned(),
            size: Some(bytes.len() as u64),
            sha256: Digest::of(bytes),
            origins: vec![Origin::Url(url.parse().unwrap())],
        }
    }

    pub(in crate::source) fn seen(&self) -> Vec<(String, Option<usize>)> {
        self.seen.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, answer: &Answer, log: &Log) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let path = head
        .split(' ')
        .nth(1)
        .unwrap()
        .trim_start_matches('/')
        .to_owned();
    let from = head
        .split_once("range: bytes=")
        .map(|(_, rest)| rest.split('-').next().unwrap().parse().unwrap());
    let before = {
        let mut log = log.lock().unwrap();
        let before = log.iter().filter(|(p, _)| *p == path).count();
        log.push((path.clone(), from));
        before
    };
    let bytes = answer(&Request { path, from, before });
    let _client_left = stream
        .write_all(&bytes)
        .and_then(|()| stream.shutdown(Shutdown::Both));
}

/// A whole answer.
pub(in crate::source) fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// The file, or the rest of it when that is requested.
pub(in crate::source) fn file_or_rest(body: &[u8], request: &Request) -> Vec<u8> {
    match request.from {
        None => answer("200 OK", "", body),
        Some(from) => {
            let range = format!(
                "content-range: bytes {from}-{}/{}\r\n",
                body.len() - 1,
                body.len()
            );
            answer("206 Partial Content", &range, &body[from..])
        }
    }
}

pub(in crate::source) fn body() -> Vec<u8> {
    (0..100_000_u32).flat_map(u32::to_le_bytes).collect()
}
