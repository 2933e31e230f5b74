//! A stand-in for Palette: the operations that a gateway uses, over real TLS.
//!
//! **Documented** and kept: the published API 4.8 (every good answer and every
//! request is checked against it, see [`published`]), error bodies, the header
//! `ApiKey`, pairing codes that live 24 hours, the request limit, the stages
//! Pending → Importing → Running → Healthy. **Reported from the field**:
//! `GET /v1/auth/certs`. **Assumed**, because nothing public says it: who may
//! call `register` and where its uid comes from (U1); that a pairing code is
//! credential enough for a manifest ([`PaletteConfig::manifest_needs_key`]),
//! and what the manifest holds (U2, U5); how a code looks, and the answers to a
//! wrong, expired or used one (U3, U9); the meaning of `isActive` and `isReady`
//! (U10). **Missing**: gRPC, WebSockets, JWTs, how jet and ally authenticate (U4),
//! everything that is not about pairing. Nothing here was compared with a live Palette.

mod answer;
mod event;
mod fault;
mod jet;
mod limiter;
mod manifest;
pub mod published;
mod reply;
mod route;
#[cfg(test)]
mod tests;
mod world;

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Query, Request, State};
use axum::http::{HeaderValue, Response};
use axum::routing::get;
use tokio::net::TcpListener;

pub use event::{Event, Stage};
pub use fault::{EventFilter, Fault, Gate};
pub use route::Route;
pub use world::CODE_LIFE;

use crate::clock::Clock;
use crate::events::{self, EventLog};
use crate::server::{Peer, Serving};
use crate::tls::{Authority, TlsListener};
use answer::ApiRequest;
use fault::Faults;
use limiter::Limiter;
use reply::Reply;
use world::World;

/// The longest request body that is read, in bytes.
const MAX_BODY_BYTES: usize = 1 << 20;
/// The longest answer that is given without a network, in bytes.
const MAX_REPLY_BYTES: usize = 16 << 20;

/// When a registered gateway becomes healthy. In reality its agents come up
/// and report over a channel that the stand-in does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HealthyAfter {
    /// At once. A self-hosted gateway: at the first poll after both manifests.
    #[default]
    Registration,
    /// One stage at each `GET /v1/overlords/{uid}`.
    Polls,
    /// When [`Palette::set_stage`] says so.
    SetStage,
}

/// What a simulated Palette is started with.
pub struct PaletteConfig {
    /// Where to listen; port 0 takes a free one. Default 127.0.0.1:0.
    pub listen: SocketAddr,
    /// Issues the server's certificate, and is `caCert` in its answers.
    pub authority: Authority,
    /// Host name, with a port unless it is 443, as gateways know it.
    pub host: String,
    /// Key of a tenant administrator.
    pub api_key: String,
    /// A valid key without a tenant administrator's rights: answered 403.
    pub weak_key: Option<String>,
    /// Whether a manifest takes an API key besides the pairing code (U2). Default no.
    pub manifest_needs_key: bool,
    /// Whether requests are limited as Palette limits them. Default yes.
    pub limited: bool,
    /// Version of its agents, as in `GET /v1/services/stylus/version`.
    pub version: String,
    /// Whether it speaks HTTP/2 as well, as Palette does. Default no.
    pub http2: bool,
    /// When a registered gateway becomes healthy.
    pub healthy_after: HealthyAfter,
    /// Age of codes, certificates and the request limit go by it.
    pub clock: Clock,
    /// Where events go.
    pub log: EventLog,
}

impl PaletteConfig {
    /// Palette as `host`, on a free port of 127.0.0.1.
    pub fn new(host: &str, authority: Authority, log: EventLog) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            authority,
            host: host.to_owned(),
            api_key: "stand-in-tenant-admin-key".to_owned(),
            weak_key: None,
            manifest_needs_key: false,
            limited: true,
            version: "4.9.18".to_owned(),
            http2: false,
            healthy_after: HealthyAfter::default(),
            clock: Clock::real(),
            log,
        }
    }
}

impl fmt::Debug for PaletteConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaletteConfig")
            .field("listen", &self.listen)
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

/// What does not change while it runs.
struct Rules {
    host: String,
    ca: String,
    api_key: String,
    weak_key: Option<String>,
    manifest_needs_key: bool,
    limited: bool,
    version: String,
    healthy_after: HealthyAfter,
    clock: Clock,
    log: EventLog,
}

#[derive(Default)]
struct MutableState {
    world: World,
    limiter: Limiter,
    faults: Faults,
}

struct Shared {
    rules: Rules,
    state: Mutex<MutableState>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, MutableState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, event: Event) {
        self.rules.log.record(events::Event::Palette(event));
    }

    /// Changes the world, then logs what came of it.
    fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let (result, events) = {
            let mut state = self.lock();
            let result = change(&mut state.world);
            (result, std::mem::take(&mut state.world.events))
        };
        events.into_iter().for_each(|event| self.record(event));
        result
    }
}

/// A request or an answer that no network carries.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// Method and address of a request, or status of an answer and nothing.
    pub line: (String, String),
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// All of it.
    pub body: Vec<u8>,
}

/// A running simulated Palette; it ends when dropped.
pub struct Palette {
    shared: Arc<Shared>,
    serving: Serving,
}

impl fmt::Debug for Palette {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Palette")
            .field("addr", &self.addr())
            .finish_non_exhaustive()
    }
}

impl Palette {
    /// Starts listening.
    ///
    /// # Errors
    /// If the address cannot be had or no certificate can be made for the host.
    pub async fn start(config: PaletteConfig) -> Result<Self> {
        let host = config.host.split(':').next().unwrap_or_default();
        let names = [host, "localhost", "127.0.0.1"];
        let mut tls = config.authority.server_config(&names, config.clock.now())?;
        if config.http2 {
            Arc::make_mut(&mut tls)
                .alpn_protocols
                .insert(0, b"h2".to_vec());
        }
        let tcp = TcpListener::bind(config.listen)
            .await
            .with_context(|| format!("listening on {} as Palette", config.listen))?;
        let shared = Arc::new(Shared {
            rules: Rules {
                ca: config.authority.pem().to_owned(),
                host: config.host,
                api_key: config.api_key,
                weak_key: config.weak_key,
                manifest_needs_key: config.manifest_needs_key,
                limited: config.limited,
                version: config.version,
                healthy_after: config.healthy_after,
                clock: config.clock,
                log: config.log,
            },
            state: Mutex::default(),
        });
        let log = Arc::clone(&shared);
        let failed = move |reason| log.record(Event::HandshakeFailed { reason });
        let listener = TlsListener::new(tcp, tls, failed)?;
        let router = Router::new()
            .route(jet::PATH, get(jet::authenticate))
            .fallback(respond)
            .with_state(Arc::clone(&shared));
        let serving = Serving::start(listener, router)?;
        Ok(Self { shared, serving })
    }

    /// The address it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.serving.addr()
    }

    /// The authority of its certificate, PEM.
    pub fn ca(&self) -> &str {
        &self.shared.rules.ca
    }

    /// Issues a pairing code, as a tenant administrator does in the console;
    /// (code, uid of the gateway).
    pub fn issue_code(&self) -> (String, String) {
        let now = self.shared.rules.clock.now();
        self.shared.change(|world| world.issue_code(now))
    }

    /// Takes a code that a gateway file already holds, as if issued just now;
    /// returns the uid of its gateway.
    pub fn accept_code(&self, code: &str) -> String {
        let now = self.shared.rules.clock.now();
        self.shared.change(|world| world.accept_code(code, now))
    }

    /// The next `times` requests to `route` go wrong like this.
    pub fn inject(&self, route: Route, times: u32, fault: Fault) {
        self.shared.lock().faults.add(route, times, fault);
    }

    /// Nothing goes wrong any more with requests to `route`.
    pub fn recover(&self, route: Route) {
        self.shared.lock().faults.clear(route);
    }

    /// Deletes a gateway, as a tenant administrator does in the console.
    pub fn remove(&self, overlord: &str) {
        self.shared.change(|world| world.remove(overlord));
    }

    /// How many gateways there are.
    pub fn gateways(&self) -> usize {
        self.shared.lock().world.overlords().count()
    }

    /// How many gateways came to this stage and no further.
    pub fn count(&self, stage: Stage) -> usize {
        let state = self.shared.lock();
        let here = state.world.overlords().filter(|o| o.stage == stage);
        here.count()
    }

    /// Answers a request that comes from `source` without a network between:
    /// the same limits, faults and answers. Faults that break a connection
    /// give half an answer.
    ///
    /// # Errors
    /// If the request is none, or the answer breaks off.
    pub async fn respond_to(&self, source: SocketAddr, message: Message) -> Result<Message> {
        let mut request = Request::builder()
            .method(&*message.line.0)
            .uri(&message.line.1);
        for (name, value) in &message.headers {
            request = request.header(name, value);
        }
        let request = request.body(Body::from(message.body))?;
        let shared = State(Arc::clone(&self.shared));
        let response = respond(shared, ConnectInfo(Peer(source)), request).await;
        let (head, body) = response.into_parts();
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = head.headers.iter();
        Ok(Message {
            line: (head.status.as_str().to_owned(), String::new()),
            headers: headers.map(|(n, v)| (n.to_string(), text(v))).collect(),
            body: to_bytes(body, MAX_REPLY_BYTES).await?.into(),
        })
    }

    /// The stage of a gateway; `None` if there is no such gateway.
    pub fn stage(&self, overlord: &str) -> Option<Stage> {
        let state = self.shared.lock();
        Some(state.world.overlord(overlord)?.stage)
    }

    /// Moves a gateway on, as its agents' reports would. Never moves it back.
    pub fn set_stage(&self, overlord: &str, stage: Stage) {
        self.shared.change(|world| world.reach(overlord, stage));
    }
}

async fn respond(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let found = Route::of(parts.method.as_str(), path);
    let now = shared.rules.clock.now();
    if shared.rules.limited && !shared.lock().limiter.admit(peer.0.ip(), path, now) {
        let message = "too many requests, retry after a few moments";
        let reply = Reply::error(429, "TooManyRequests", message);
        return finish(&shared, found.map(|(route, _)| route), None, reply);
    }
    let Some((route, uid)) = found else {
        let reply = Reply::error(404, "ResourceNotFound", "there is no such address");
        return finish(&shared, None, None, reply);
    };
    let header = |name| parts.headers.get(name).and_then(|v| v.to_str().ok());
    let asked = ApiRequest {
        uid,
        query: Query::try_from_uri(&parts.uri).map_or_else(|_| Default::default(), |Query(q)| q),
        api_key: header("ApiKey").map(str::to_owned),
        project: header("ProjectUid").is_some(),
        // A body that is too long or breaks off is no JSON, and refused as such.
        body: to_bytes(body, MAX_BODY_BYTES)
            .await
            .unwrap_or_default()
            .into(),
    };
    let fault = shared.lock().faults.take(route);
    if let Some(reply) = faulty_reply(&shared, route, fault.as_ref()).await {
        return finish(&shared, Some(route), fault.as_ref(), reply);
    }
    let now = shared.rules.clock.now();
    let reply = shared.change(|world| answer::answer(world, &shared.rules, route, &asked, now));
    finish(&shared, Some(route), fault.as_ref(), reply)
}

/// The answer of a fault that comes before anything is done; waits for the
/// faults that only stall a request.
async fn faulty_reply(shared: &Shared, route: Route, fault: Option<&Fault>) -> Option<Reply> {
    match fault? {
        Fault::Status(status, code) => Some(Reply::error(*status, code, "a fault on demand")),
        Fault::Html => Some(Reply::html(200)),
        Fault::Redirect => {
            let mut reply = Reply::html(303);
            let to = "https://gateway.intercept.test/blocked".to_owned();
            reply.headers.push(("location", to));
            Some(reply)
        }
        Fault::Garbage => {
            let mut reply = Reply::json(200, &serde_json::Value::Null);
            reply.body = b"\x00\xff{\"manifest\": ".to_vec();
            Some(reply)
        }
        Fault::Body(text) => {
            let mut reply = Reply::json(200, &serde_json::Value::Null);
            reply.body = text.clone().into_bytes();
            Some(reply)
        }
        Fault::Manifest(text) => Some(Reply::json(200, &serde_json::json!({"manifest": text}))),
        Fault::Stall(gate) => {
            shared.record(Event::Stalled { route });
            gate.wait().await;
            None
        }
        Fault::StallUntil(wanted) => {
            shared.record(Event::Stalled { route });
            shared.rules.log.await_event(|event| wanted(event)).await;
            None
        }
        Fault::HalfReply | Fault::LostReply | Fault::Dribble => None,
    }
}

fn finish(
    shared: &Shared,
    route: Option<Route>,
    fault: Option<&Fault>,
    mut reply: Reply,
) -> Response<Body> {
    // RFC 9110, section 6.6.1: what the server's own clock says.
    let date = shared.rules.clock.now().strftime("%a, %d %b %Y %T GMT");
    reply.headers.push(("date", date.to_string()));
    shared.record(Event::Answered {
        route,
        status: reply.status,
        faulty: fault.is_some(),
    });
    match fault {
        Some(Fault::HalfReply) => {
            let half = reply.body.len() / 2;
            reply.into_broken(half)
        }
        Some(Fault::Dribble) => reply.into_dribble(),
        Some(Fault::LostReply) => reply.into_broken(0),
        _ => reply.into_response(),
    }
}
