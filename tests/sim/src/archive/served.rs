//! An archive over HTTP, parts of it behind a token, as Ubuntu Pro's is
//! (user `bearer`, the token as the password).

use std::net::SocketAddr;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::server::Serving;

/// A served archive; it ends when this is dropped.
#[derive(Debug)]
pub struct ArchiveServer {
    // In this order: the server ends before its threads.
    serving: Serving,
    _runtime: Runtime,
}

/// A part of the archive that needs a token.
#[derive(Clone, Debug)]
pub struct Protected {
    /// Everything below this path: `/infra/`.
    pub below: String,
    /// The token that opens it.
    pub token: String,
}

struct Shared {
    root: PathBuf,
    protected: Protected,
}

impl ArchiveServer {
    /// Serves the directory `root` on a free port of loopback.
    ///
    /// # Errors
    /// If no port can be had.
    pub fn start(root: &Path, protected: Protected) -> Result<Self> {
        let runtime = Runtime::new()?;
        let shared = Arc::new(Shared {
            root: root.to_owned(),
            protected,
        });
        let inside = runtime.enter();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let tcp = runtime.block_on(TcpListener::bind(any));
        let tcp = tcp.context("listening as an archive")?;
        let serving = Serving::start(tcp, Router::new().fallback(answer).with_state(shared))?;
        drop(inside);
        Ok(Self {
            serving,
            _runtime: runtime,
        })
    }

    /// The address above the archives.
    pub fn url(&self) -> String {
        format!("http://{}", self.serving.addr())
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let path = percent_decode_str(request.uri().path()).decode_utf8_lossy();
    let Protected { below, token } = &shared.protected;
    if path.starts_with(below.as_str()) && !opens(request.headers(), token) {
        let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"pro\"")];
        return (StatusCode::UNAUTHORIZED, challenge).into_response();
    }
    let relative = Path::new(path.trim_start_matches('/'));
    let plain = relative
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    match fs_err::read(shared.root.join(relative)) {
        Ok(bytes) if plain => bytes.into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

fn opens(headers: &HeaderMap, token: &str) -> bool {
    let expected = format!("Basic {}", STANDARD.encode(format!("bearer:{token}")));
    headers
        .get(header::AUTHORIZATION)
        .is_some_and(|given| given.as_bytes() == expected.as_bytes())
}
