//! A stand-in for MAAS while it deploys one machine: metadata, status reports,
//! the image, and what it hands to curtin ([`Preseed`]).
//!
//! **As the real one** (read in its source or seen on MAAS 3.7): the machine is
//! Deployed when it fetches its user-data, even if there is none; a failure that
//! curtin or cloud-init reports for a whole stage (a name without `/`) while
//! Deploying is a failed deployment and later ones are ignored; OAuth is checked
//! ([`Credentials`]), `netboot_off` is anonymous. **Stricter**: status reports
//! need a fresh nonce and a good signature too, real MAAS only looks the token
//! up. **Assumed**: the wording of answers that no client reads. **Missing**:
//! power, DHCP, network boot, timeouts, the API 2.0 but for [`region`].

mod event;
mod oauth;
mod preseed;
pub mod region;
mod report;
#[cfg(test)]
mod tests;
mod yaml;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Form, Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio_util::io::ReaderStream;

pub use event::{Event, NodeState};
pub use oauth::Credentials;
pub use preseed::Preseed;
pub use report::{Report, ReportFile};

use crate::clock::Clock;
use crate::events::{self, EventLog};
use crate::server::Serving;
use oauth::Guard;

/// Status reports carry logs; longer ones are refused, in bytes.
const MAX_BODY_BYTES: usize = 64 << 20;

/// What a simulated MAAS is started with.
#[derive(Clone, Debug)]
pub struct MaasConfig {
    /// Where to listen; port 0 takes a free one. Default 127.0.0.1:0.
    pub listen: SocketAddr,
    /// MAAS' name for the machine, also its instance id.
    pub system_id: String,
    /// Host name of the machine.
    pub hostname: String,
    /// The machine's key.
    pub credentials: Credentials,
    /// The owner's SSH keys, in `authorized_keys` form.
    pub public_keys: Vec<String>,
    /// MAAS' own cloud-config for the machine; `None` is answered 404.
    pub vendor_data: Option<String>,
    /// What the user deploys the machine with; `None` is answered 404.
    pub user_data: Option<UserData>,
    /// The image that curtin fetches; `None` is answered 404.
    pub image: Option<PathBuf>,
    /// Age of timestamps goes by it.
    pub clock: Clock,
    /// Where events go.
    pub log: EventLog,
}

/// User-data: may hold a pairing code, so `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct UserData(pub Vec<u8>);

impl fmt::Debug for UserData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserData({} bytes)", self.0.len())
    }
}

impl MaasConfig {
    /// One machine with a made-up key and nothing to serve.
    pub fn new(system_id: &str, hostname: &str, log: EventLog) -> Self {
        let key = |kind: &str| format!("stand-in-{kind}-of-{system_id}");
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            system_id: system_id.to_owned(),
            hostname: hostname.to_owned(),
            credentials: Credentials {
                consumer_key: key("consumer"),
                token_key: key("token"),
                token_secret: key("secret"),
            },
            public_keys: Vec::new(),
            vendor_data: None,
            user_data: None,
            image: None,
            clock: Clock::real(),
            log,
        }
    }
}

#[derive(Debug)]
struct MutableState {
    state: NodeState,
    guard: Guard,
    reports: Vec<Report>,
}

struct Shared {
    config: MaasConfig,
    state: Mutex<MutableState>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, MutableState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, event: Event) {
        self.config.log.record(events::Event::Maas(event));
    }

    /// Ends the deployment one way or the other; later ends change nothing.
    fn finish(&self, state: NodeState) {
        let ended = {
            let mut current = self.lock();
            let deploying = current.state == NodeState::Deploying;
            if deploying {
                current.state = state;
            }
            deploying
        };
        if ended {
            self.record(Event::State(state));
        }
    }
}

/// A running simulated MAAS; it ends when dropped.
pub struct Maas {
    shared: Arc<Shared>,
    serving: Serving,
}

impl fmt::Debug for Maas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Maas")
            .field("addr", &self.addr())
            .finish_non_exhaustive()
    }
}

impl Maas {
    /// Starts listening; the machine is Deploying.
    ///
    /// # Errors
    /// If the address cannot be had.
    pub async fn start(config: MaasConfig) -> Result<Self> {
        let tcp = TcpListener::bind(config.listen)
            .await
            .with_context(|| format!("listening on {} as MAAS", config.listen))?;
        let shared = Arc::new(Shared {
            config,
            state: Mutex::new(MutableState {
                state: NodeState::Deploying,
                guard: Guard::default(),
                reports: Vec::new(),
            }),
        });
        let router = router(Arc::clone(&shared));
        let serving = Serving::start(tcp, router)?;
        shared.record(Event::State(NodeState::Deploying));
        Ok(Self { shared, serving })
    }

    /// The address it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.serving.addr()
    }

    /// The machine's state.
    pub fn state(&self) -> NodeState {
        self.shared.lock().state
    }

    /// Every report of curtin and cloud-init so far.
    pub fn reports(&self) -> Vec<Report> {
        self.shared.lock().reports.clone()
    }

    /// What MAAS hands to curtin, for a machine that reaches this MAAS at
    /// `region` (see [`Preseed::region`]).
    pub fn preseed(&self, region: &str, image: &str, network: serde_json::Value) -> Preseed {
        Preseed {
            region: region.trim_end_matches('/').to_owned(),
            system_id: self.shared.config.system_id.clone(),
            credentials: self.shared.config.credentials.clone(),
            image: image.to_owned(),
            network,
        }
    }
}

fn router(shared: Arc<Shared>) -> Router {
    let guarded = Router::new()
        .route("/MAAS/metadata/", get(|| async { "latest\n2012-03-01" }))
        .route("/MAAS/metadata/{version}/", get(version_index))
        .route("/MAAS/metadata/{version}/meta-data/", get(meta_data_index))
        .route("/MAAS/metadata/{version}/meta-data/{item}", get(meta_data))
        .route("/MAAS/metadata/{version}/user-data", get(user_data))
        .route("/MAAS/metadata/status/{system_id}", post(status))
        .layer(from_fn_with_state(Arc::clone(&shared), authorized));
    Router::new()
        .route("/MAAS/metadata/{version}/by-id/{system_id}/", post(by_id))
        .route("/images/{*path}", get(image))
        .merge(guarded)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(shared)
}

async fn authorized(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let header = request.headers().get(header::AUTHORIZATION);
    let header = header.and_then(|value| value.to_str().ok());
    let now = shared.config.clock.now();
    let checked = (shared.lock().guard).check(header, &shared.config.credentials, now);
    if let Err(reason) = checked {
        shared.record(Event::Unauthorized {
            reason: reason.clone(),
        });
        let challenge = [(header::WWW_AUTHENTICATE, "OAuth realm=\"OAuth\"")];
        return (StatusCode::UNAUTHORIZED, challenge, reason).into_response();
    }
    next.run(request).await
}

type Served = std::result::Result<Response, (StatusCode, String)>;

fn missing(what: &str) -> (StatusCode, String) {
    (StatusCode::NOT_FOUND, format!("{what} is not here"))
}

fn check_version(version: &str) -> std::result::Result<(), (StatusCode, String)> {
    let versions = ["latest", "2007-08-29", "2009-04-04", "2012-03-01"];
    match versions.contains(&version) {
        true => Ok(()),
        false => Err(missing(&format!("metadata version {version}"))),
    }
}

async fn version_index(Path(version): Path<String>) -> Served {
    check_version(&version)?;
    Ok("meta-data\nuser-data".into_response())
}

async fn meta_data_index(Path(version): Path<String>) -> Served {
    check_version(&version)?;
    Ok("instance-id\nlocal-hostname\npublic-keys\nvendor-data".into_response())
}

async fn meta_data(
    State(shared): State<Arc<Shared>>,
    Path((version, item)): Path<(String, String)>,
) -> Served {
    check_version(&version)?;
    let config = &shared.config;
    let text = match item.as_str() {
        "instance-id" => config.system_id.clone(),
        "local-hostname" => config.hostname.clone(),
        "public-keys" => config.public_keys.join("\n"),
        // MAAS wraps it: cloud-init reads a mapping with the key `cloud-init`.
        "vendor-data" => match &config.vendor_data {
            Some(text) => yaml::text(&serde_json::json!({"cloud-init": text})),
            None => return Err(missing("vendor-data")),
        },
        other => return Err(missing(other)),
    };
    shared.record(Event::MetadataRead {
        item: format!("meta-data/{item}"),
    });
    Ok(text.into_response())
}

async fn user_data(State(shared): State<Arc<Shared>>, Path(version): Path<String>) -> Served {
    check_version(&version)?;
    shared.record(Event::MetadataRead {
        item: "user-data".into(),
    });
    shared.finish(NodeState::Deployed);
    match &shared.config.user_data {
        Some(UserData(bytes)) => {
            let kind = [(header::CONTENT_TYPE, "application/octet-stream")];
            Ok((kind, bytes.clone()).into_response())
        }
        None => Err(missing("user-data")),
    }
}

async fn status(
    State(shared): State<Arc<Shared>>,
    Path(system_id): Path<String>,
    body: Bytes,
) -> Served {
    if system_id != shared.config.system_id {
        return Err(missing(&format!("machine {system_id}")));
    }
    if !body.is_ascii() {
        let why = "Status payload must be ASCII-only.".to_owned();
        return Err((StatusCode::BAD_REQUEST, why));
    }
    let report: Report = serde_json::from_slice(&body)
        .map_err(|error| (StatusCode::BAD_REQUEST, format!("status report: {error}")))?;
    shared.record(Event::Status {
        name: report.name.clone(),
        event_type: report.event_type.clone(),
        result: report.result.clone(),
        origin: report.origin.clone(),
    });
    let failed = report.fails_the_deployment();
    shared.lock().reports.push(report);
    if failed {
        shared.finish(NodeState::FailedDeployment);
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

#[derive(Deserialize)]
struct Operation {
    op: String,
}

async fn by_id(
    State(shared): State<Arc<Shared>>,
    Path((version, system_id)): Path<(String, String)>,
    Form(Operation { op }): Form<Operation>,
) -> Served {
    check_version(&version)?;
    if system_id != shared.config.system_id {
        return Err(missing(&format!("machine {system_id}")));
    }
    if op != "netboot_off" {
        let why = format!("Unknown operation: '{op}'.");
        return Err((StatusCode::BAD_REQUEST, why));
    }
    shared.record(Event::NetbootOff);
    Ok("OK".into_response())
}

async fn image(State(shared): State<Arc<Shared>>, Path(path): Path<String>) -> Served {
    let (true, Some(file)) = (path.ends_with("/root-dd.gz"), &shared.config.image) else {
        return Err(missing(&path));
    };
    let opened = async {
        let file = tokio::fs::File::open(file).await?;
        let size = file.metadata().await?.len();
        std::io::Result::Ok((file, size))
    };
    let (file, size) = opened
        .await
        .map_err(|error| missing(&format!("{}: {error}", file.display())))?;
    shared.record(Event::ImageServed { size });
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_LENGTH, size.into());
    Ok((headers, Body::from_stream(ReaderStream::new(file))).into_response())
}
