//! A stand-in for a MAAS region's API 2.0: boot resources and their upload, and
//! [`machines`].
//!
//! **As the real one** (read in its source, run as MAAS 3.7's region API alone):
//! fields and errors of a creation, and the empty resource that a refused one
//! leaves; appending without a position; `progress` over all region controllers;
//! sets newest first; deleting twice is a 500; each nonce is good once, and a bad
//! secret is answered with the signature that was expected. What differs between
//! releases is in `disk` and `document` (read in the sources of 2.9, 3.4, 3.7 and
//! 3.8 beta, not run). **Assumed**: what nginx in front answers when it gives up.
//! **Missing**: everything else.

mod chunk;
mod disk;
mod document;
pub mod machines;
mod store;
pub mod version;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::{DefaultBodyLimit, Form, Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

pub use chunk::Fault;
pub use store::{Resource, Set};

use super::Credentials;
use super::oauth::Guard;
use crate::clock::Clock;
use crate::server::Serving;
use crate::tls::TlsListener;
use chunk::{MAX_CHUNK_BYTES, chunk};
use document::document;
use machines::{Fleet, FleetState};
use store::{Refusal, Rules, Store, bad_request};
use version::Release;

/// What a simulated region is started with.
#[derive(Clone, Debug)]
pub struct RegionConfig {
    /// The key it accepts.
    pub credentials: Credentials,
    /// Whether the key is an administrator's.
    pub admin: bool,
    /// What `GET version/` says.
    pub version: String,
    /// Architectures with a synced Ubuntu.
    pub architectures: Vec<String>,
    /// Base images it accepts.
    pub base_images: Vec<String>,
    /// How many region controllers share images.
    pub controllers: usize,
    /// How often a whole image is shown as incomplete, because it is still shared.
    pub slow: usize,
    /// What it deploys to.
    pub fleet: Fleet,
    /// Age of timestamps goes by it.
    pub clock: Clock,
    /// Speaks TLS with this certificate.
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

impl Default for RegionConfig {
    /// One controller of MAAS 3.7 with Ubuntu 24.04 for amd64, and a made-up key.
    fn default() -> Self {
        let key = |kind: &str| format!("region{kind}");
        Self {
            credentials: Credentials {
                consumer_key: key("consumer"),
                token_key: key("token"),
                token_secret: key("TOPSECRET"),
            },
            admin: true,
            version: "3.7.3".into(),
            architectures: vec!["amd64/generic".into()],
            base_images: vec!["ubuntu/noble".into()],
            controllers: 1,
            slow: 0,
            fleet: Fleet::default(),
            clock: Clock::real(),
            tls: None,
        }
    }
}

struct MutableState {
    guard: Guard,
    store: Store,
    fleet_state: FleetState,
    /// By the chunk that they are injected into, counted from 1.
    faults: BTreeMap<usize, Fault>,
    slow: usize,
    requests: Vec<String>,
}

struct Shared {
    config: RegionConfig,
    state: Mutex<MutableState>,
    /// Chunks that came, well or not.
    chunks: watch::Sender<usize>,
    /// Chunks that will never be answered.
    stalled: watch::Sender<usize>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, MutableState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more chunk came; which one it is.
    fn count_chunk(&self) -> usize {
        let mut number = 0;
        self.chunks.send_modify(|count| {
            *count += 1;
            number = *count;
        });
        number
    }

    fn rules(&self) -> Rules<'_> {
        Rules {
            architectures: &self.config.architectures,
            base_images: &self.config.base_images,
            controllers: self.config.controllers,
            release: Release::of(&self.config.version),
        }
    }
}

/// A running simulated region; it ends when dropped.
pub struct Region {
    shared: Arc<Shared>,
    serving: Serving,
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Region").finish_non_exhaustive()
    }
}

impl Region {
    /// Starts listening on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// If there is none.
    pub async fn start(config: RegionConfig) -> Result<Self> {
        let tcp = TcpListener::bind(("127.0.0.1", 0))
            .await
            .context("listening as a MAAS region")?;
        let state = MutableState {
            guard: Guard::default(),
            store: Store::default(),
            fleet_state: FleetState::new(&config),
            faults: BTreeMap::new(),
            slow: config.slow,
            requests: Vec::new(),
        };
        let shared = Arc::new(Shared {
            config,
            state: Mutex::new(state),
            chunks: watch::Sender::new(0),
            stalled: watch::Sender::new(0),
        });
        let router = router(Arc::clone(&shared));
        let serving = match &shared.config.tls {
            None => Serving::start(tcp, router)?,
            Some(tls) => {
                let listener = TlsListener::new(tcp, Arc::clone(tls), |_| ())?;
                Serving::start(listener, router)?
            }
        };
        Ok(Self { shared, serving })
    }

    /// Its address, as MAAS' clients are given it.
    pub fn url(&self) -> String {
        let scheme = if self.shared.config.tls.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}/MAAS", self.addr())
    }

    /// The address it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.serving.addr()
    }

    /// The key it accepts, as MAAS shows it.
    pub fn key(&self) -> String {
        let key = &self.shared.config.credentials;
        format!(
            "{}:{}:{}",
            key.consumer_key, key.token_key, key.token_secret
        )
    }

    /// Every image it has.
    pub fn resources(&self) -> Vec<Resource> {
        self.shared.lock().store.shown()
    }

    /// Every request so far that was let in, as `PUT /MAAS/…`.
    pub fn requests(&self) -> Vec<String> {
        self.shared.lock().requests.clone()
    }

    /// How many chunks came so far, well or not.
    pub fn chunks(&self) -> usize {
        *self.shared.chunks.borrow()
    }

    /// Injects `fault` into the `chunk`th chunk from the start of the region,
    /// counted from 1.
    pub fn inject(&self, chunk: usize, fault: Fault) {
        self.shared.lock().faults.insert(chunk, fault);
    }

    /// Waits until `n` chunks in all are stalled.
    pub async fn stalled(&self, n: usize) {
        let mut stalled = self.shared.stalled.subscribe();
        // The sender is ours: it cannot be gone.
        let _reached = stalled.wait_for(|count| *count >= n).await;
    }
}

fn router(shared: Arc<Shared>) -> Router {
    let api = "/MAAS/api/2.0";
    let guarded = Router::new()
        .route(&format!("{api}/regioncontrollers/"), get(controllers))
        .route(&format!("{api}/boot-resources/"), get(list).post(create))
        .route(
            &format!("{api}/boot-resources/{{id}}/"),
            get(show).delete(delete),
        )
        .route(
            &format!("{api}/boot-resources/{{id}}/upload/{{file}}/"),
            put(chunk),
        )
        .merge(machines::routes(api, &shared))
        .layer(from_fn_with_state(Arc::clone(&shared), authorized));
    Router::new()
        .route(&format!("{api}/version/"), get(version))
        .merge(guarded)
        .fallback(|request: Request| async move {
            let text = format!("Unknown API endpoint: {}.", request.uri().path());
            (StatusCode::NOT_FOUND, text)
        })
        .layer(DefaultBodyLimit::max(MAX_CHUNK_BYTES))
        .with_state(shared)
}

async fn authorized(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let header = request.headers().get(header::AUTHORIZATION);
    let header = header.and_then(|value| value.to_str().ok());
    let (now, key) = (shared.config.clock.now(), &shared.config.credentials);
    let checked = shared.lock().guard.check(header, key, now);
    if let Err(mut reason) = checked {
        if reason.contains("Invalid signature") {
            reason = format!("{reason} Expected signature: &{}", key.token_secret);
        }
        let date = jiff::fmt::rfc2822::to_string(&now.to_zoned(jiff::tz::TimeZone::UTC));
        let date = date.unwrap_or_default().replace("+0000", "GMT");
        let head = [
            (header::WWW_AUTHENTICATE, "OAuth realm=\"OAuth\"".to_owned()),
            (header::DATE, date),
        ];
        return (StatusCode::UNAUTHORIZED, head, reason).into_response();
    }
    let line = format!("{} {}", request.method(), request.uri());
    shared.lock().requests.push(line);
    next.run(request).await
}

type Served = std::result::Result<Response, Response>;

fn json_text(status: StatusCode, text: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], text).into_response()
}

fn refused((status, text): Refusal) -> Response {
    match text.starts_with('{') {
        true => json_text(status, text),
        false => (status, text).into_response(),
    }
}

async fn version(State(shared): State<Arc<Shared>>) -> Response {
    let document = json!({"capabilities": [], "version": shared.config.version, "subversion": ""});
    json_text(StatusCode::OK, document.to_string())
}

async fn controllers(State(shared): State<Arc<Shared>>) -> Response {
    let all = (0..shared.config.controllers).map(|n| {
        json!({
            "system_id": format!("rgn{n}"),
            "hostname": format!("region-{n}"),
            // All requests come to the first one.
            "ip_addresses": [format!("127.0.0.{}", n + 1)],
        })
    });
    json_text(StatusCode::OK, Value::from_iter(all).to_string())
}

async fn list(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Response {
    if query.get("type").map(String::as_str) == Some("synced") {
        let all = synced(&shared.config);
        return json_text(StatusCode::OK, Value::from_iter(all).to_string());
    }
    let rules = shared.rules();
    if let Some(unknown) = query
        .get("type")
        .and_then(|kind| unknown_type(kind, &rules))
    {
        return refused(unknown);
    }
    let state = shared.lock();
    let all = &state.store.resources;
    let all: Vec<_> = all.iter().map(|one| document(one, &rules, false)).collect();
    json_text(StatusCode::OK, format!("[{}]", all.join(",")))
}

/// What was fetched from a stream: the base images, for each architecture.
fn synced(config: &RegionConfig) -> impl Iterator<Item = Value> {
    let pairs = config.base_images.iter().flat_map(|name| {
        let all = config.architectures.iter();
        all.map(move |architecture| (name, architecture))
    });
    pairs.enumerate().map(|(n, (name, architecture))| {
        let family = architecture.split('/').next().unwrap_or_default();
        json!({
            "id": 9000 + n,
            "type": "Synced",
            "name": name,
            "architecture": format!("{family}/ga-24.04"),
            "resource_uri": format!("/MAAS/api/2.0/boot-resources/{}/", 9000 + n),
            "subarches": "generic,ga-24.04",
        })
    })
}

/// The refusal of a `type` that there is not.
fn unknown_type(kind: &str, rules: &Rules<'_>) -> Option<Refusal> {
    let mut known = vec!["synced", "uploaded"];
    if rules.release < Release::V3_7 {
        known.push("generated");
    }
    let text = || {
        format!("'{kind}' is not a valid boot resource type. Available types: {known:?}")
            .replace('"', "'")
    };
    (!known.contains(&kind)).then(|| bad_request(text()))
}

fn is_admin(shared: &Shared) -> std::result::Result<(), Refusal> {
    let text = match Release::of(&shared.config.version) {
        Release::V3_8 => {
            "User does not have permission to perform this operation. The user should have permission 'can_edit_boot_entities'"
        }
        _ => "This method is reserved for admin users.",
    };
    match shared.config.admin {
        true => Ok(()),
        false => Err((StatusCode::FORBIDDEN, text.into())),
    }
}

async fn create(
    State(shared): State<Arc<Shared>>,
    Form(form): Form<BTreeMap<String, String>>,
) -> Served {
    is_admin(&shared).map_err(refused)?;
    let rules = shared.rules();
    let mut state = shared.lock();
    let id = state.store.create(&form, &rules).map_err(refused)?;
    let created = state.store.get(id).map_err(refused)?;
    Ok(json_text(
        StatusCode::CREATED,
        document(created, &rules, true),
    ))
}

/// Each poll of a complete image brings the other controllers nearer.
async fn show(State(shared): State<Arc<Shared>>, Path(id): Path<u64>) -> Served {
    let mut state = shared.lock();
    let whole = |set: &Set| set.at == set.size && !set.shared;
    if state
        .store
        .resources
        .iter()
        .flat_map(|row| &row.sets)
        .any(whole)
    {
        match state.slow.checked_sub(1) {
            Some(left) => state.slow = left,
            None => state.store.share(),
        }
    }
    let found = state.store.get(id).map_err(refused)?;
    Ok(json_text(
        StatusCode::OK,
        document(found, &shared.rules(), true),
    ))
}

async fn delete(State(shared): State<Arc<Shared>>, Path(id): Path<u64>) -> Served {
    is_admin(&shared).map_err(refused)?;
    shared.lock().store.delete(id).map_err(refused)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
