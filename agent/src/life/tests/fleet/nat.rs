//! What machines of a fleet have in common: the runtime's clock, and the one
//! address from which Palette sees them.

use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use postern_contract::host::http::{Answer, HttpError, ResponseFuture, Transport};
use postern_contract::host::pace::{LocalFuture, Pace, RealPace};
use postern_sim::clock::Clock;
use postern_sim::palette::{Message, Palette as Sim};
use reqwest::header::{HeaderMap, HeaderName};

/// What a request takes, from and to.
const LATENCY: (Duration, Duration) = (Duration::from_millis(40), Duration::from_millis(160));

/// The runtime's time; chance that is the same in every run.
pub struct FleetPace {
    pub clock: Clock,
    /// Of the generator (splitmix64, Steele et al. 2014).
    pub state: Cell<u64>,
}

impl FleetPace {
    fn fraction(&self) -> f64 {
        let state = self.state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.state.set(state);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        f64::from(u32::try_from((z ^ (z >> 31)) >> 32).unwrap()) / f64::from(u32::MAX)
    }
}

impl Pace for FleetPace {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }
    fn uptime(&self) -> Duration {
        let booted = self.now().duration_since(Timestamp::UNIX_EPOCH);
        booted.unsigned_abs()
    }
    fn sleep(&self, time: Duration) -> LocalFuture<'_> {
        RealPace.sleep(time)
    }
    fn jitter(&self, most: Duration) -> Duration {
        most.mul_f64(self.fraction())
    }
}

/// Hands requests to the stand-in, all from the NAT's one address.
#[derive(Debug)]
pub struct Nat {
    pub sim: Arc<Sim>,
    /// Palette's, DER.
    pub certificate: Vec<u8>,
}

impl Transport for Nat {
    fn execute<'a>(
        &'a self,
        request: reqwest::Request,
        what: &'a str,
        cap: usize,
    ) -> ResponseFuture<'a> {
        Box::pin(async move {
            let url = request.url();
            let query = url.query().map(|q| format!("?{q}")).unwrap_or_default();
            let asked = Message {
                line: (
                    request.method().to_string(),
                    format!("{}{query}", url.path()),
                ),
                headers: request
                    .headers()
                    .iter()
                    .map(|(n, v)| (n.to_string(), v.to_str().unwrap().to_owned()))
                    .collect(),
                body: request
                    .body()
                    .map_or_else(Vec::new, |body| body.as_bytes().unwrap().to_vec()),
            };
            let (least, most) = LATENCY;
            // Which of the two a request takes is as good as random.
            let extra =
                (most - least) * u32::from(asked.line.1.bytes().fold(0_u8, u8::wrapping_add)) / 255;
            tokio::time::sleep(least + extra).await;
            let source = SocketAddr::from(([203, 0, 113, 1], 40_000));
            let answer = self
                .sim
                .respond_to(source, asked)
                .await
                .map_err(|e| HttpError::Lost {
                    what: what.to_owned(),
                    why: e.to_string(),
                })?;
            assert!(answer.body.len() <= cap);
            let headers = answer.headers.iter();
            Ok(Answer {
                what: what.to_owned(),
                status: answer.line.0.parse().unwrap(),
                http2: true,
                headers: headers
                    .map(|(n, v)| (n.parse::<HeaderName>().unwrap(), v.parse().unwrap()))
                    .collect::<HeaderMap>(),
                body: answer.body,
                certificate: Some(self.certificate.clone()),
            })
        })
    }
}
