//! A stand-in for a site's HTTP proxy: CONNECT tunnels and plain `http://`
//! requests, on loopback.
//!
//! It knows a fixed list of destinations and refuses everything else with 403,
//! so nothing ever leaves the machine. **As real ones**: Basic authentication
//! with 407, `Via`, interception with an authority of its own, both as a page
//! that blocks (303 and HTML) and as decrypting and passing on (without HTTP/2,
//! as Squid's ssl-bump; with or without upgrades). **Missing**: NTLM and
//! Kerberos, keep-alive for plain requests, PAC files.

mod intercept;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

pub use intercept::Interception;

use crate::clock::Clock;
use crate::events::{self, EventLog};
use crate::palette::Gate;
use wire::{Head, answer};

/// Something that happened at the simulated proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A request was answered with this status; 200 of a CONNECT: a tunnel is open.
    Answered {
        /// `CONNECT`, `GET`, …
        method: String,
        /// `host:port`; empty if the request named none.
        destination: String,
        /// HTTP status of the proxy's own answer, 0 if it closed without one
        /// or left the answer to the destination.
        status: u16,
        /// `User-Agent`, where the client shows one to proxies.
        user_agent: Option<String>,
        /// A fault changed this answer.
        faulty: bool,
    },
    /// A request arrived that a fault stalls.
    Stalled {
        /// `host:port`.
        destination: String,
    },
    /// A TLS handshake with the intercepting proxy failed: the client does not
    /// trust its authority.
    InterceptionRefused {
        /// `host:port`.
        destination: String,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered {
                method,
                destination,
                status,
                faulty,
                ..
            } => {
                let fault = if *faulty { " (fault)" } else { "" };
                write!(f, "{method} {destination} answered {status}{fault}")
            }
            Self::Stalled { destination } => write!(f, "{destination} stalled (fault)"),
            Self::InterceptionRefused { destination } => {
                write!(f, "the client refused interception of {destination}")
            }
        }
    }
}

/// One way for a request through the proxy to go wrong.
#[derive(Clone, Debug)]
pub enum Fault {
    /// This HTTP status instead of a tunnel.
    Status(u16),
    /// The connection closes without an answer.
    Close,
    /// Nothing happens until the gate opens; then the right answer.
    Stall(Gate),
    /// The proxy is in the middle of the TLS connection.
    Intercept(Arc<Interception>),
}

/// What a simulated proxy is started with.
#[derive(Clone)]
pub struct ProxyConfig {
    /// Where to listen; port 0 takes a free one. Default 127.0.0.1:0.
    pub listen: SocketAddr,
    /// Where `host:port` really is; everything else is refused.
    pub destinations: BTreeMap<String, SocketAddr>,
    /// User and password that it requires, if any.
    pub login: Option<(String, String)>,
    /// Certificates of an interception go by it.
    pub clock: Clock,
    /// Where events go.
    pub log: EventLog,
}

impl ProxyConfig {
    /// A proxy without a login and without destinations.
    pub fn new(log: EventLog) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            destinations: BTreeMap::new(),
            login: None,
            clock: Clock::real(),
            log,
        }
    }

    /// Lets clients reach `host:port` (lower case), which is at `address`.
    #[must_use]
    pub fn with_destination(mut self, destination: &str, address: SocketAddr) -> Self {
        self.destinations.insert(destination.to_owned(), address);
        self
    }
}

impl fmt::Debug for ProxyConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyConfig")
            .field("listen", &self.listen)
            .field("destinations", &self.destinations)
            .finish_non_exhaustive()
    }
}

struct Shared {
    config: ProxyConfig,
    faults: Mutex<Vec<(u32, Fault)>>,
}

impl Shared {
    fn record(&self, event: Event) {
        self.config.log.record(events::Event::Proxy(event));
    }

    fn take_fault(&self) -> Option<Fault> {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.retain(|(times, _)| *times > 0);
        let (times, fault) = faults.first_mut()?;
        *times -= 1;
        Some(fault.clone())
    }
}

/// A running simulated proxy; it ends when dropped, and its tunnels with it.
pub struct Proxy {
    shared: Arc<Shared>,
    addr: SocketAddr,
    accepting: tokio::task::JoinHandle<()>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("addr", &self.addr)
            .finish_non_exhaustive()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Proxy {
    /// Starts listening.
    ///
    /// # Errors
    /// If the address cannot be had.
    pub async fn start(config: ProxyConfig) -> Result<Self> {
        let tcp = TcpListener::bind(config.listen)
            .await
            .with_context(|| format!("listening on {} as a proxy", config.listen))?;
        let addr = tcp.local_addr()?;
        let shared = Arc::new(Shared {
            config,
            faults: Mutex::default(),
        });
        let serving = Arc::clone(&shared);
        let accepting = tokio::spawn(async move {
            // Connections end with this task: a dropped JoinSet aborts what is in it.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = tcp.accept().await {
                connections.spawn(serve(Arc::clone(&serving), stream));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self {
            shared,
            addr,
            accepting,
        })
    }

    /// The address it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The next `times` requests go wrong like this, whatever they are for.
    pub fn inject(&self, times: u32, fault: Fault) {
        let faults = &self.shared.faults;
        let mut faults = faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.push((times, fault));
    }
}

/// Serves one connection to its end. Whatever a peer does is not our error.
async fn serve(shared: Arc<Shared>, mut stream: TcpStream) {
    let Some(head) = Head::read(&mut stream).await else {
        return;
    };
    let destination = head.destination().unwrap_or_default();
    let recorded = |status, faulty| Event::Answered {
        method: head.method.clone(),
        destination: destination.clone(),
        status,
        user_agent: head.header("user-agent").map(str::to_owned),
        faulty,
    };
    let login = &shared.config.login;
    let stranger = login
        .as_ref()
        .is_some_and(|(user, password)| !head.is_from(user, password));
    let address = shared.config.destinations.get(&destination);
    let (status, headers): (u16, &[(&str, &str)]) = match address {
        _ if stranger => (407, &[("Proxy-Authenticate", "Basic realm=\"stand-in\"")]),
        _ if destination.is_empty() => (400, &[]),
        None => (403, &[]),
        Some(_) => (200, &[]),
    };
    let (Some(&address), 200) = (address, status) else {
        shared.record(recorded(status, false));
        let text = answer(status, headers, "refused by a stand-in");
        let _ = stream.write_all(text.as_bytes()).await;
        return;
    };
    let fault = shared.take_fault();
    match &fault {
        Some(Fault::Status(status)) => {
            shared.record(recorded(*status, true));
            let text = answer(*status, &[], "a fault on demand");
            let _ = stream.write_all(text.as_bytes()).await;
        }
        Some(Fault::Close) => shared.record(recorded(0, true)),
        Some(Fault::Intercept(interception)) if head.method == "CONNECT" => {
            shared.record(recorded(200, true));
            let trusted = interception
                .serve(stream, &destination, address, shared.config.clock.now())
                .await;
            if !trusted {
                shared.record(Event::InterceptionRefused { destination });
            }
        }
        Some(Fault::Stall(_) | Fault::Intercept(_)) | None => {
            if let Some(Fault::Stall(gate)) = &fault {
                shared.record(Event::Stalled {
                    destination: destination.clone(),
                });
                gate.wait().await;
            }
            let tunnel = head.method == "CONNECT";
            let status = if tunnel { 200 } else { 0 };
            shared.record(recorded(status, fault.is_some()));
            // Whatever breaks a tunnel is between its two ends.
            let _ = pass(stream, &head, address).await;
        }
    }
}

const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

async fn pass(mut stream: TcpStream, head: &Head, address: SocketAddr) -> std::io::Result<()> {
    let mut upstream = match TcpStream::connect(address).await {
        Ok(upstream) => upstream,
        Err(error) => {
            let text = answer(502, &[], &error.to_string());
            return stream.write_all(text.as_bytes()).await;
        }
    };
    if head.method == "CONNECT" {
        stream.write_all(ESTABLISHED).await?;
    } else {
        upstream.write_all(&head.forwarded()).await?;
    }
    upstream.write_all(&head.rest).await?;
    copy_bidirectional(&mut stream, &mut upstream).await?;
    Ok(())
}
