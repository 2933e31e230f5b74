//! Reports every change to the MAAS that deployed this machine.
//!
//! MAAS takes them where cloud-init reports its progress (`reporting.maas` in
//! `/etc/cloud/cloud.cfg.d`, a webhook with the machine's own key). It keeps
//! `start`s and failures and shows origin and description among the machine's
//! events; a name with `/` never decides whether a deployment failed (MAAS
//! `metadataserver/api_twisted.py`, `_processMessage`). The key is removed
//! from the disk after pairing, so later boots report nothing to MAAS.

use std::io;
use std::time::Duration;

use fs_err as fs;
use jiff::Timestamp;
use postern_contract::host::clock;
use postern_contract::host::http::Client;
use postern_contract::host::oauth::ApiKeyError;
use postern_contract::host::oauth::{ApiKey, Signer};
use postern_contract::paths;
use postern_contract::state::State;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use url::Url;

use super::model::Status;
use crate::host::world::Root;
use crate::journal::condition::Condition;

/// Who says it.
const ORIGIN: &str = "postern-agent";
/// Delay before each attempt to send an event, in seconds; after the last it is dropped.
const RETRY_DELAYS_SECONDS: [u64; 4] = [0, 2, 10, 30];

/// MAAS' webhook for this machine.
pub struct Webhook {
    endpoint: Url,
    signer: Signer,
}

/// An event for MAAS (its status API takes ASCII JSON).
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Event {
    name: String,
    description: String,
    event_type: &'static str,
    origin: &'static str,
    /// Seconds since 1970.
    timestamp: f64,
    level: &'static str,
}

impl Webhook {
    /// The webhook that MAAS gave this machine, while it is on the disk.
    ///
    /// # Errors
    /// If the file is there and cannot be read. One that says something else
    /// counts as none: a gateway pairs without MAAS.
    pub fn find(root: &Root) -> io::Result<Option<Self>> {
        #[derive(Deserialize)]
        struct Config {
            reporting: Reporting,
        }
        #[derive(Deserialize)]
        struct Reporting {
            maas: Maas,
        }
        #[derive(Deserialize)]
        struct Maas {
            endpoint: Url,
            consumer_key: String,
            token_key: String,
            token_secret: String,
        }
        let text = match fs::read_to_string(root.at(paths::MAAS_REPORTING)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let Ok(Config { reporting }) = serde_saphyr::from_str::<Config>(&text) else {
            return Ok(None);
        };
        let maas = reporting.maas;
        let key = ApiKey::new(
            maas.consumer_key.into(),
            maas.token_key.into(),
            maas.token_secret.into(),
        );
        Ok(Some(Self {
            endpoint: maas.endpoint,
            signer: Signer::new(key)?,
        }))
    }

    /// Sends one event; MAAS answers 204. Returns whether it is settled.
    async fn send(&self, client: &Client, event: &Event) -> Result<bool, ApiKeyError> {
        let now = clock::now();
        let signed = self.signer.header(now)?;
        let url = self.endpoint.clone();
        let answer = client
            .post_signed(url, event, signed, "reporting to MAAS")
            .await;
        Ok(match answer {
            // A refusal is only worth another attempt if it corrected our clock.
            Ok(answer) if answer.status == 401 => !self.signer.learn(&answer.headers, now),
            Ok(answer) => !answer.is_transient(),
            Err(_) => false,
        })
    }
}

/// Sends events to MAAS in order, in the background.
#[derive(Debug)]
pub struct MaasNotifier {
    events: mpsc::UnboundedSender<Event>,
    /// How many were handed to the background task, and how many it sent or dropped.
    sent: usize,
    done: watch::Receiver<usize>,
    /// Not sent before the machine is online.
    queued: Vec<Event>,
    last: String,
}

impl MaasNotifier {
    /// Starts to send to the webhook through `client`. Must be called in a runtime.
    pub fn begin(webhook: Webhook, client: Client) -> Self {
        let (events, mut queue) = mpsc::unbounded_channel();
        let (count, done) = watch::channel(0);
        tokio::spawn(async move {
            while let Some(event) = queue.recv().await {
                for delay in RETRY_DELAYS_SECONDS {
                    sleep(Duration::from_secs(delay)).await;
                    // A key that cannot be sent stays one; nothing is lost but the event.
                    if webhook.send(&client, &event).await.unwrap_or(true) {
                        break;
                    }
                }
                count.send_modify(|count| *count += 1);
            }
        });
        Self {
            events,
            sent: 0,
            done,
            queued: Vec::new(),
            last: String::new(),
        }
    }

    /// Reports the machine's state, if it or its reason to wait changed.
    pub fn notify(&mut self, status: &Status, now: Timestamp) {
        let event = event(status, now);
        let what = format!("{} {}", event.name, trouble(status).unwrap_or_default());
        if what == self.last {
            return;
        }
        self.last = what;
        self.queued.push(event);
        if status.state >= State::Online {
            for event in self.queued.drain(..) {
                // Fails only while the runtime ends.
                let _ = self.events.send(event);
                self.sent += 1;
            }
        }
    }

    /// Ends when every event so far is sent or dropped.
    pub async fn flushed(&self) {
        let mut done = self.done.clone();
        // An error means that the background task has ended.
        let _ = done.wait_for(|done| *done >= self.sent).await;
    }
}

fn trouble(status: &Status) -> Option<&'static str> {
    status.condition.as_ref().map(|trouble| match trouble {
        Condition::Waiting(waiting) => waiting.on.name(),
        Condition::Blocked(blocked) => blocked.reason.name(),
    })
}

fn event(status: &Status, now: Timestamp) -> Event {
    let state = status.state.name();
    let (description, level) = match &status.condition {
        None => (format!("gateway is {state}"), "INFO"),
        Some(Condition::Waiting(waiting)) => {
            let what = format!("waiting for {}: {}", waiting.on.name(), waiting.detail);
            (what, "INFO")
        }
        Some(Condition::Blocked(blocked)) => {
            let (reason, detail, remedy) =
                (blocked.reason.name(), &blocked.detail, &blocked.remedy);
            let what = format!("blocked by {reason}: {detail}; help: {remedy}");
            (what, "ERROR")
        }
    };
    Event {
        name: format!("postern/{state}"),
        description: ascii(&description),
        // The only kind that MAAS shows.
        event_type: "start",
        origin: ORIGIN,
        timestamp: now.as_millisecond() as f64 / 1000.0,
        level,
    }
}

/// One line that MAAS takes; it reads nothing but ASCII.
fn ascii(text: &str) -> String {
    let line = text.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    let plain = |c: char| match c {
        '\u{20}'..='\u{7e}' => c,
        '→' => '>',
        _ => '?',
    };
    line.chars().map(plain).take(500).collect()
}
