//! The path to Palette from where Palette's agents will be: a pod's network.
//!
//! That the machine reaches Palette does not mean that its pods do: theirs is
//! another network, with other name servers and other routes. So this program
//! runs itself again, goes into the network namespace of a pod that is there
//! already (no image is needed for that) and checks the path once more, with the
//! cluster's own name server. What it needs to know, a proxy's password among
//! it, goes in by standard input, and its checks come out by standard output.

use std::io::{self, Read as _, Write as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use ipnet::IpNet;
use postern_contract::gateway::{Part, Registries};
use postern_contract::host::CommandError;
use postern_contract::host::http::Client;
use postern_contract::host::pace::{LocalFuture, Pace, RealPace};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::path::PalettePath;
use crate::cluster::config::{RESOLV_CONF, dns_address};
use crate::host::pods::Pods;
use crate::host::world::Root;
use crate::host::{names, netns};
use crate::journal::condition::StepError;
use crate::preflight::{Check, Names, Origin, host_without_brackets};
use crate::site::reach;
use crate::site::settings::Settings;

/// The subcommand that is run inside.
pub const SUBCOMMAND: &str = "pod-preflight";

/// What a visitor is to do. Its form on standard input is JSON, and secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PodCheckRequest {
    /// Only see whether the namespace is a pod's.
    pub only_look: bool,
    /// Where `/` is.
    pub root: PathBuf,
    /// What the machine is configured from, without the cluster's token.
    pub settings: Settings,
    /// The networks that the machine is in.
    pub subnets: Vec<IpNet>,
    /// How long a proxy may take to answer.
    pub proxy_timeout: Duration,
}

/// What a visitor saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PodCheckResult {
    /// The pod's address.
    pub address: IpAddr,
    /// The checks on the path from there, by their ordinary names.
    pub checks: Vec<Check>,
}

impl PodCheckRequest {
    /// Sends this program on it into the first network that is a pod's; `None` if
    /// there is none yet. Takes as long as its checks.
    ///
    /// # Errors
    /// If nobody could be sent.
    pub fn send(&self, pods: &dyn Pods) -> Result<Option<PodCheckResult>, CommandError> {
        let failed = |e: serde_json::Error| CommandError::Io {
            line: SUBCOMMAND.to_owned(),
            error: e.into(),
        };
        let input = Zeroizing::new(serde_json::to_vec(self).map_err(failed)?);
        match pods.run(SUBCOMMAND, &input)? {
            Some(visit) => serde_json::from_slice(&visit).map(Some).map_err(failed),
            None => Ok(None),
        }
    }

    /// All checks, for a machine with these settings.
    pub fn new(
        root: &Root,
        settings: &Settings,
        subnets: &[IpNet],
        proxy_timeout: Duration,
    ) -> Self {
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
            proxy_timeout,
        }
    }

    /// Does it, where this thread is.
    async fn run(&self) -> Result<Option<PodCheckResult>, StepError> {
        let pods = &self.settings.pod_cidr;
        let own = netns::addresses()?;
        let Some(address) = own.into_iter().find(|a| pods.contains(a)) else {
            return Ok(None);
        };
        let checks = match self.only_look {
            true => Vec::new(),
            false => self.checks().await?,
        };
        Ok(Some(PodCheckResult { address, checks }))
    }

    async fn checks(&self) -> Result<Vec<Check>, StepError> {
        let root = Root(self.root.clone());
        let outbound = reach::outbound(&root, &self.settings, &self.subnets)?;
        let mut path = PalettePath {
            settings: &self.settings,
            subnets: &self.subnets,
            outbound,
            proxy_timeout: self.proxy_timeout,
            make: &Client::new,
            from: Origin::Pod,
        };
        let resolv_conf = fs_err::read_to_string(root.at(RESOLV_CONF)).unwrap_or_default();
        let names = ClusterDns {
            server: dns_address(&self.settings.service_cidr),
            search: names::search_in(&resolv_conf),
        };
        // The client would ask the machine's name servers, which a pod does not.
        let first = host_without_brackets(path.first()).to_owned();
        let addresses = names.addresses(&first).await;
        path.outbound.known = vec![(first, addresses)];
        let pace: Rc<dyn Pace> = Rc::new(RealPace);
        Ok(path.run_checks(&names, &pace).await?.0)
    }
}

/// The name server that pods have.
struct ClusterDns {
    server: Option<IpAddr>,
    search: Vec<String>,
}

impl Names for ClusterDns {
    fn addresses<'a>(&'a self, name: &'a str) -> LocalFuture<'a, Vec<IpAddr>> {
        Box::pin(async move {
            match self.server {
                Some(server) => names::query(server, &self.search, name)
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

/// Runs the request on standard input in the namespace kept at `path`. There may
/// be no other thread yet.
///
/// # Errors
/// If the namespace is gone, or the request cannot be run.
pub fn visit(
    path: &Path,
    runtime: impl FnOnce() -> anyhow::Result<tokio::runtime::Runtime>,
) -> anyhow::Result<()> {
    netns::enter(path)?;
    let mut request = Zeroizing::new(Vec::new());
    io::stdin().read_to_end(&mut request)?;
    // serde_json's error may quote a value.
    let request: PodCheckRequest = serde_json::from_slice(&request)
        .map_err(|_| io::Error::other("the request on standard input is not valid"))?;
    let visit = runtime()?.block_on(request.run())?;
    let text = serde_json::to_vec(&visit)?;
    io::stdout().write_all(&text)?;
    Ok(())
}
