//! The way to Palette from where Palette's agents will be: a pod's network.
//!
//! That the machine reaches Palette does not mean that its pods do: theirs is
//! another network, with other name servers and other routes. So this program
//! runs itself again, goes into the network namespace of a pod that is there
//! already (no image is needed for that) and checks the way once more, with the
//! cluster's own name server. What it needs to know, a proxy's password among
//! it, goes in by standard input, and its checks come out by standard output.

use std::io::{self, Read as _, Write as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use ipnet::IpNet;
use postern_contract::gateway::{Part, Registries};
use postern_contract::host::http::Client;
use postern_contract::host::pace::{Later, Pace, RealPace};
use postern_contract::host::{Command, CommandError};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::survey::Way;
use crate::cluster::config::{RESOLV_CONF, dns_address};
use crate::host::world::Root;
use crate::host::{names, netns};
use crate::journal::condition::Stop;
use crate::preflight::{Check, Names, Origin, bare};
use crate::site::settings::Settings;

/// The subcommand that is run inside.
pub const SUBCOMMAND: &str = "pod-preflight";
/// So many namespaces are tried; one that a crash left behind has no address.
const MOST: usize = 16;

/// What a visitor is to do. Its form on standard input is JSON, and secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Errand {
    /// Only see whether the namespace is a pod's.
    pub only_look: bool,
    /// Where `/` is.
    pub root: PathBuf,
    /// What the machine is configured from, without the cluster's token.
    pub settings: Settings,
    /// The networks that the machine is in.
    pub subnets: Vec<IpNet>,
    /// How long a proxy may take to answer.
    pub patience: Duration,
}

/// What a visitor saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Visit {
    /// The pod's address.
    pub address: IpAddr,
    /// The checks on the way from there, by their ordinary names.
    pub checks: Vec<Check>,
}

/// The pods of this machine. A trait, so that a test needs none.
pub trait Pods: Send + Sync {
    /// Runs the errand in the first network that is a pod's; `None` if there is
    /// none yet. Takes as long as its checks.
    ///
    /// # Errors
    /// If no visitor could be sent.
    fn visit(&self, errand: &Errand) -> Result<Option<Visit>, CommandError>;
}

/// Pods whose networks containerd keeps.
#[derive(Clone, Debug)]
pub struct Namespaces {
    /// This program.
    pub program: PathBuf,
    /// Where namespaces are kept.
    pub folder: PathBuf,
}

impl Default for Namespaces {
    fn default() -> Self {
        Self {
            program: PathBuf::from("/proc/self/exe"),
            folder: PathBuf::from(netns::FOLDER),
        }
    }
}

impl Pods for Namespaces {
    fn visit(&self, errand: &Errand) -> Result<Option<Visit>, CommandError> {
        let listing = || format!("ls {}", self.folder.display());
        let failed = |line: String, source: io::Error| CommandError::Io { line, source };
        let found = netns::of_pods(&self.folder).map_err(|e| failed(listing(), e))?;
        let input =
            serde_json::to_vec(errand).map_err(|e| failed(SUBCOMMAND.to_owned(), e.into()))?;
        let mut last = Ok(None);
        for path in found.into_iter().take(MOST) {
            let visitor = Command::new(&self.program)
                .arg(SUBCOMMAND)
                .arg("--netns")
                .arg(&path);
            let visit = visitor.run_with_input(&input).and_then(|said| {
                let visit = serde_json::from_slice::<Option<Visit>>(&said);
                visit.map_err(|e| failed(visitor.to_string(), e.into()))
            });
            match visit {
                Ok(Some(visit)) => return Ok(Some(visit)),
                Ok(None) => {}
                // A pod may end while it is visited; the next one may do.
                Err(error) => last = Err(error),
            }
        }
        last
    }
}

impl Errand {
    /// All checks, for a machine with these settings.
    pub fn new(root: &Root, settings: &Settings, subnets: &[IpNet], patience: Duration) -> Self {
        let part = Part::Alone {
            api_endpoint: settings.part.api_endpoint().map(str::to_owned),
            token: None,
        };
        Self {
            only_look: false,
            root: root.0.clone(),
            settings: Settings {
                part,
                // A pod has no business with what the machine pulls images with.
                registries: Registries::default(),
                ..settings.clone()
            },
            subnets: subnets.to_vec(),
            patience,
        }
    }

    /// Does it, where this thread is.
    async fn run(&self) -> Result<Option<Visit>, Stop> {
        let pods = &self.settings.pod_cidr;
        let own = netns::addresses()?;
        let Some(address) = own.into_iter().find(|a| pods.contains(a)) else {
            return Ok(None);
        };
        let checks = match self.only_look {
            true => Vec::new(),
            false => self.checks().await?,
        };
        Ok(Some(Visit { address, checks }))
    }

    async fn checks(&self) -> Result<Vec<Check>, Stop> {
        let root = Root(self.root.clone());
        let outbound = crate::pairing::pair::outbound(&root, &self.settings, &self.subnets)?;
        let mut way = Way {
            settings: &self.settings,
            subnets: &self.subnets,
            outbound,
            patience: self.patience,
            make: &Client::with,
            from: Origin::Pod,
        };
        let resolv_conf = fs_err::read_to_string(root.at(RESOLV_CONF)).unwrap_or_default();
        let names = ClusterDns {
            server: dns_address(&self.settings.service_cidr),
            search: names::search_in(&resolv_conf),
        };
        // The client would ask the machine's name servers, which a pod does not.
        let first = bare(way.first()).to_owned();
        let addresses = names.addresses(&first).await;
        way.outbound.known = vec![(first, addresses)];
        let pace: Rc<dyn Pace> = Rc::new(RealPace);
        Ok(way.checked(&names, &pace).await?.0)
    }
}

/// The name server that pods have.
struct ClusterDns {
    server: Option<IpAddr>,
    search: Vec<String>,
}

impl Names for ClusterDns {
    fn addresses<'a>(&'a self, name: &'a str) -> Later<'a, Vec<IpAddr>> {
        Box::pin(async move {
            match self.server {
                Some(server) => names::ask(server, &self.search, name)
                    .await
                    .unwrap_or_default(),
                None => Vec::new(),
            }
        })
    }

    fn remedy(&self) -> &'static str {
        "see whether CoreDNS runs and reaches the machine's name servers: `k3s kubectl -n kube-system get pods`, `k3s kubectl -n kube-system logs deployment/coredns`"
    }
}

/// Runs the errand on standard input in the namespace kept at `path`. There may
/// be no other thread yet.
///
/// # Errors
/// If the namespace is gone, or the errand cannot be run.
pub fn visit(
    path: &Path,
    runtime: impl FnOnce() -> anyhow::Result<tokio::runtime::Runtime>,
) -> anyhow::Result<()> {
    netns::enter(path)?;
    let mut errand = Zeroizing::new(Vec::new());
    io::stdin().read_to_end(&mut errand)?;
    // serde_json's error may quote a value.
    let errand: Errand = serde_json::from_slice(&errand)
        .map_err(|_| io::Error::other("what this was to do cannot be read"))?;
    let visit = runtime()?.block_on(errand.run())?;
    let text = serde_json::to_vec(&visit)?;
    io::stdout().write_all(&text)?;
    Ok(())
}
