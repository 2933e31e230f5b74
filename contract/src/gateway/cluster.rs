//! The cluster that a gateway's machines make: how many, which one this is,
//! where its API server is reached and what lets a machine join.
//!
//! k3s' own words for it (docs.k3s.io, "High Availability Embedded etcd"): the
//! first server initialises the cluster, further ones join it at a fixed
//! registration address, all with the same token.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::document::{Complaint, Findings, Item};

use super::secrets::Secret;
use super::virtual_address::VirtualAddress;
use crate::host::secrets::Secrets;

/// Fewest characters of a token: 128 bits as hex are twice as many.
const MIN_TOKEN_LENGTH: usize = 16;

/// What to do about a cluster that nobody finds.
const WHERE: &str = "add `virtual-address: ADDRESS`, a free address of the machines' network, or `api-endpoint: NAME`, a DNS name or address of yours that leads to all of them";
/// What to do about a file that was not made for one machine.
const MAKE: &str = "make the user-data with `postern user-data` or `postern deploy`";

/// How many machines make a gateway: etcd wants an odd number, and Palette
/// installs one or three.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum Nodes {
    /// One machine.
    #[default]
    One,
    /// Three machines, of which one may fail.
    Three,
}

impl From<Nodes> for u8 {
    fn from(nodes: Nodes) -> u8 {
        nodes.count()
    }
}

impl TryFrom<u8> for Nodes {
    type Error = &'static str;

    fn try_from(count: u8) -> Result<Self, &'static str> {
        match count {
            1 => Ok(Nodes::One),
            3 => Ok(Nodes::Three),
            _ => Err("neither 1 nor 3"),
        }
    }
}

impl Nodes {
    /// As a number.
    pub const fn count(self) -> u8 {
        match self {
            Nodes::One => 1,
            Nodes::Three => 3,
        }
    }

    /// Every machine, the first one first.
    pub fn each(self) -> impl Iterator<Item = Node> {
        (1..=self.count()).map(Node)
    }

    /// The machine of this number; `None` if there are not so many.
    pub fn node(self, number: u64) -> Option<Node> {
        self.each().find(|node| u64::from(node.0) == number)
    }
}

/// Which of a gateway's machines, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Node(u8);

impl Node {
    /// The one that initialises the cluster and pairs it.
    pub const FIRST: Node = Node(1);

    /// Its number, from 1.
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What the gateway file says about the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cluster {
    /// How many machines.
    pub nodes: Nodes,
    /// Host name or address of the API server as others reach it; there with
    /// three machines.
    pub api_endpoint: Option<String>,
    /// Address that the machines serve themselves.
    pub virtual_address: Option<VirtualAddress>,
    /// What machines join with; there in what a machine of three is given.
    pub token: Option<Secret>,
    /// Which machine this is; there in what a machine of three is given.
    pub node: Option<Node>,
}

/// A machine's part in its cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "is", deny_unknown_fields)]
pub enum Part {
    /// It is the whole cluster.
    #[serde(rename_all = "kebab-case")]
    Alone {
        /// Another name for its API server.
        api_endpoint: Option<String>,
        /// What others could join with.
        token: Option<Secret>,
    },
    /// It initialises a cluster of three.
    #[serde(rename_all = "kebab-case")]
    First {
        /// Where the cluster's API server is reached.
        api_endpoint: String,
        /// What the others join with.
        token: Secret,
    },
    /// It joins what the first one initialised.
    #[serde(rename_all = "kebab-case")]
    Joins {
        /// Where the cluster's API server is reached.
        api_endpoint: String,
        /// What it joins with.
        token: Secret,
    },
}

impl Part {
    /// Whether another machine pairs the gateway.
    pub const fn joins(&self) -> bool {
        matches!(self, Part::Joins { .. })
    }

    /// Whether it begins a cluster that others may join: with etcd, since k3s'
    /// other store has one server only.
    pub const fn begins_a_cluster(&self) -> bool {
        match self {
            Part::Alone {
                api_endpoint,
                token,
            } => api_endpoint.is_some() && token.is_some(),
            Part::First { .. } => true,
            Part::Joins { .. } => false,
        }
    }

    /// Where the API server is reached, if the gateway file says so.
    pub fn api_endpoint(&self) -> Option<&str> {
        match self {
            Part::Alone { api_endpoint, .. } => api_endpoint.as_deref(),
            Part::First { api_endpoint, .. } | Part::Joins { api_endpoint, .. } => {
                Some(api_endpoint)
            }
        }
    }

    /// What machines join with.
    pub const fn token(&self) -> Option<&Secret> {
        match self {
            Part::Alone { token, .. } => token.as_ref(),
            Part::First { token, .. } | Part::Joins { token, .. } => Some(token),
        }
    }
}

impl Cluster {
    /// The part of the machine that this is the gateway file of; `None` for a
    /// file of three machines that says not which.
    pub fn part(&self) -> Option<Part> {
        let (api_endpoint, token) = (self.api_endpoint.clone(), self.token.clone());
        Some(match (self.nodes, self.node) {
            (Nodes::One, _) => Part::Alone {
                api_endpoint,
                token,
            },
            (Nodes::Three, Some(Node::FIRST)) => Part::First {
                api_endpoint: api_endpoint?,
                token: token?,
            },
            (Nodes::Three, Some(_)) => Part::Joins {
                api_endpoint: api_endpoint?,
                token: token?,
            },
            (Nodes::Three, None) => return None,
        })
    }
}

/// The rules that hold the keys of the cluster against each other; more where
/// nothing can be obtained any more, on the machine itself.
pub(super) fn check(root: &Item<'_>, source: &dyn Secrets, findings: &mut Findings) {
    let item = |key| root.at(key).pop();
    let (nodes, node, token) = (item("nodes"), item("node"), item("cluster-token"));
    let (served, endpoint) = (item("virtual-address"), item("api-endpoint"));
    let mut lacks = |item: &Item<'_>, key: &str, remedy: &str| {
        let what = format!("has no `{key}` with it");
        findings.add(item.problem(Complaint::new(what, remedy)));
    };
    let three = root.text_at("nodes") == Some("3");
    match (&nodes, &token) {
        (Some(nodes), _) if three => {
            if endpoint.is_none() && served.is_none() {
                lacks(nodes, "api-endpoint", WHERE);
            }
            if node.is_some() && token.is_none() {
                lacks(nodes, "cluster-token", MAKE);
            }
            if node.is_none() && source.palette().is_err() {
                lacks(nodes, "node", MAKE);
            }
        }
        (_, Some(token)) if endpoint.is_none() && served.is_none() => {
            lacks(token, "api-endpoint", WHERE);
        }
        _ => {}
    }
    if let (Some(router), None) = (item("virtual-router"), &served) {
        lacks(
            &router,
            "virtual-address",
            "add `virtual-address:`, or remove it",
        );
    }
    if let Some(node) = node.filter(|node| !three && node.text().is_some_and(|n| n != "1")) {
        let what = "is not one of this gateway's machines";
        findings.add(node.problem(Complaint::new(what, "write `nodes: 3`, or remove it")));
    }
    let address = |item: &Item<'_>| item.text()?.parse::<IpAddr>().ok();
    if let (Some(endpoint), Some(served)) = (endpoint, served)
        && let (Some(other), Some(address)) = (address(&endpoint), address(&served))
        && other != address
    {
        findings.add(endpoint.problem(Complaint::new(
            format!("is another address than `virtual-address` {address}"),
            "remove one of the two, or write a DNS name that leads to the virtual address",
        )));
    }
}

/// What machines join with.
pub(super) fn token(text: &str) -> Result<String, Complaint> {
    if text.len() < MIN_TOKEN_LENGTH || text.contains(|c: char| c.is_whitespace() || c.is_control())
    {
        return Err(Complaint::new(
            format!("is shorter than {MIN_TOKEN_LENGTH} characters, or has a blank in it"),
            "make one with `openssl rand -hex 32`",
        ));
    }
    Ok(text.to_owned())
}
