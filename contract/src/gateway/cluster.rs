//! The cluster that a gateway's machines make: how many, which one this is,
//! where its API server is reached and what lets a machine join.
//!
//! k3s' own words for it (docs.k3s.io, "High Availability Embedded etcd"): the
//! first server initialises the cluster, further ones join it at a fixed
//! registration address, all with the same token.

use std::fmt;
use std::net::IpAddr;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::document::{Complaint, Fields, Findings, Item};
use crate::problem::Problem;

use super::rules;
use super::secrets;
use super::virtual_address::{self, VirtualAddress};
use crate::host::secrets::Secrets;

/// Fewest characters of a token: 128 bits as hex are twice as many.
const SHORTEST: usize = 16;

/// What to do about a cluster that nobody finds.
const WHERE: &str = "add `virtual-address: ADDRESS`, a free address of the machines' network, or `api-endpoint: NAME`, a DNS name or address of yours that leads to all of them";
/// What to do about a file that was not made for one machine.
const MAKE: &str = "make the user-data with `postern user-data` or `postern deploy`";

/// How many machines make a gateway: etcd wants an odd number, and Palette
/// installs one or three.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Nodes {
    /// One machine.
    #[default]
    One,
    /// Three machines, of which one may fail.
    Three,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

/// What lets a machine join a cluster. Shown nowhere.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(String);

impl Token {
    /// The token itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<&SecretString> for Token {
    fn from(secret: &SecretString) -> Self {
        Self(secret.expose_secret().to_owned())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
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
    pub token: Option<Token>,
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
        token: Option<Token>,
    },
    /// It initialises a cluster of three.
    #[serde(rename_all = "kebab-case")]
    First {
        /// Where the cluster's API server is reached.
        api_endpoint: String,
        /// What the others join with.
        token: Token,
    },
    /// It joins what the first one initialised.
    #[serde(rename_all = "kebab-case")]
    Joins {
        /// Where the cluster's API server is reached.
        api_endpoint: String,
        /// What it joins with.
        token: Token,
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
    pub const fn token(&self) -> Option<&Token> {
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

/// Reads the keys of the cluster. Also gives the addresses in them, each with
/// its place.
pub(super) fn read<'t>(
    fields: &mut Fields<'t>,
    source: &dyn Secrets,
    findings: &mut Findings,
) -> (Cluster, Vec<(Item<'t>, IpAddr)>) {
    let nodes_item = fields.optional("nodes");
    let nodes = nodes_item.as_ref().and_then(|item| nodes(item, findings));
    let nodes = nodes.unwrap_or_default();
    let endpoint_item = fields.optional("api-endpoint");
    let api_endpoint = endpoint_item.as_ref();
    let api_endpoint = api_endpoint.and_then(|item| item.parsed(findings, rules::host));
    let written = endpoint_item.as_ref().zip(api_endpoint.as_deref());
    let virtual_address = virtual_address::read(fields, written, findings);
    let mut addresses: Vec<_> = virtual_address
        .iter()
        .map(|(it, item)| (item.clone(), it.address.into()))
        .collect();
    addresses.extend(written.and_then(|(item, host)| Some((item.clone(), host.parse().ok()?))));
    let virtual_address = virtual_address.map(|(it, _)| it);
    // Where the machines are reached is where they serve, unless it has a name.
    let api_endpoint = api_endpoint.or_else(|| Some(virtual_address?.address.to_string()));
    let token_item = fields.optional("cluster-token");
    let token = token_item
        .as_ref()
        .and_then(|item| token_of(item, source, findings));
    let node_item = fields.optional("node");
    let node = node_item
        .as_ref()
        .and_then(|item| node_of(item, nodes, findings));
    let cluster = Cluster {
        nodes,
        api_endpoint,
        virtual_address,
        token,
        node,
    };
    let here = source.palette().is_err();
    findings.extend(incomplete(&cluster, nodes_item, token_item, here));
    (cluster, addresses)
}

/// What is missing beside `nodes: 3`, or beside the token of a machine alone;
/// more where nothing can be obtained any more, `here` on the machine itself.
fn incomplete(
    cluster: &Cluster,
    nodes: Option<Item<'_>>,
    token: Option<Item<'_>>,
    here: bool,
) -> Vec<Problem> {
    let lacks = |item: &Item<'_>, what, remedy| item.problem(Complaint::new(what, remedy));
    let no_endpoint = cluster.api_endpoint.is_none();
    let mut problems = Vec::new();
    match (cluster.nodes, nodes, token) {
        (Nodes::Three, Some(item), _) => {
            if no_endpoint {
                problems.push(lacks(&item, "has no `api-endpoint` with it", WHERE));
            }
            if cluster.node.is_some() && cluster.token.is_none() {
                problems.push(lacks(&item, "has no `cluster-token` with it", MAKE));
            }
            if cluster.node.is_none() && here {
                problems.push(lacks(&item, "has no `node` with it", MAKE));
            }
        }
        (Nodes::One, _, Some(item)) if no_endpoint => {
            problems.push(lacks(&item, "has no `api-endpoint` with it", WHERE));
        }
        _ => {}
    }
    problems
}

fn nodes(item: &Item<'_>, findings: &mut Findings) -> Option<Nodes> {
    match item.integer(findings)? {
        1 => Some(Nodes::One),
        3 => Some(Nodes::Three),
        _ => {
            let complaint = Complaint::new("is neither 1 nor 3", "write `nodes: 1` or `nodes: 3`");
            findings.add(item.problem(complaint));
            None
        }
    }
}

fn node_of(item: &Item<'_>, nodes: Nodes, findings: &mut Findings) -> Option<Node> {
    let node = nodes.node(item.integer(findings)?);
    if node.is_none() {
        let what = "is not one of this gateway's machines";
        let remedy = format!("write a number from 1 to {}", nodes.count());
        findings.add(item.problem(Complaint::new(what, remedy)));
    }
    node
}

fn token_of(item: &Item<'_>, source: &dyn Secrets, findings: &mut Findings) -> Option<Token> {
    let secret = secrets::read(item, source, findings)?;
    let text = secret.expose_secret();
    if text.len() < SHORTEST || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        findings.add(item.problem(Complaint::new(
            format!("is shorter than {SHORTEST} characters, or has a blank in it"),
            "make one with `openssl rand -hex 32`",
        )));
        return None;
    }
    Some(Token::from(&secret))
}
