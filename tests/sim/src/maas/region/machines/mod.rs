//! A stand-in for what a region deploys to: machines, their life and their log,
//! and the networks they are in.
//!
//! **As the real one** (read in its source, not run): numbers and names of
//! states; which operation is refused in which state and with which words;
//! constraints of `allocate`, among which there is no `domain`; `dry_run`;
//! `deploy` acquires a Ready machine itself, looks the image up, wants a root
//! file system and a network, refuses a machine whose deployment failed; `agent_name` can be
//! filtered by and is shown nowhere; it goes with the release; events page by
//! `after` (oldest first, then turned around), show INFO and above unless asked
//! for DEBUG, and show no names of reports; logs are base64; a machine tells why
//! it failed since 3.5. **Simpler**: a release is done at once, while real
//! machines are Releasing until they are off; a report becomes an event at once,
//! while MAAS gathers up to a minute of them. **Assumed**: the text about an
//! unknown `distro_series`. **Missing**: virtual machines composed on demand,
//! other users' permissions, disk erasing, tests, locks, rescue mode.
//!
//! A machine's life is driven by its plan, one [`Happening`] with each look at
//! it, or by a test through [`Region::machine`].

mod allocate;
mod documents;
mod events;
mod life;
mod model;
mod operations;
mod reads;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

pub use life::{Happening, NodeEvent};
pub use model::{Fleet, Machine, Status, Subnet};

use super::version::Release;
use super::{Region, RegionConfig, Shared};

/// What befalls one request about machines, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It is never looked at, nor answered: time to kill the client.
    HoldBefore,
    /// It is done, and never answered.
    HoldAfter,
    /// It is done, and the connection ends before the answer.
    Lost,
    /// It is not done: the web server says that MAAS is not there.
    Down,
}

/// The fleet and all that happened to it.
#[derive(Debug)]
pub(super) struct Park {
    pub(super) fleet: Fleet,
    pub(super) release: Release,
    events: Vec<NodeEvent>,
    last_event: u64,
    /// By the request they befall.
    troubles: BTreeMap<usize, Trouble>,
    requests: usize,
}

impl Park {
    pub(super) fn new(config: &RegionConfig) -> Self {
        Self {
            fleet: config.fleet.clone(),
            release: Release::of(&config.version),
            events: Vec::new(),
            last_event: 1000,
            troubles: BTreeMap::new(),
            requests: 0,
        }
    }

    fn get(&self, system_id: &str) -> Option<&Machine> {
        let mut all = self.fleet.machines.iter();
        all.find(|machine| machine.system_id == system_id)
    }

    fn get_mut(&mut self, system_id: &str) -> Option<&mut Machine> {
        let mut all = self.fleet.machines.iter_mut();
        all.find(|machine| machine.system_id == system_id)
    }
}

/// A machine of a running region, for a test to push around.
#[derive(Debug)]
pub struct MachineHandle<'r> {
    region: &'r Region,
    system_id: String,
}

impl MachineHandle<'_> {
    /// Lets something happen to it now.
    pub fn happens(&self, what: Happening) {
        let mut changing = self.region.shared.changing();
        changing.park.happens(&self.system_id, what);
    }

    /// Changes what it is.
    pub fn change(&self, change: impl FnOnce(&mut Machine)) {
        let mut changing = self.region.shared.changing();
        changing.park.get_mut(&self.system_id).map(change);
    }

    /// As it is now; `None` if the region never had it.
    pub fn now(&self) -> Option<Machine> {
        self.region
            .shared
            .changing()
            .park
            .get(&self.system_id)
            .cloned()
    }
}

impl Region {
    /// The machine of that system id.
    pub fn machine(&self, system_id: &str) -> MachineHandle<'_> {
        MachineHandle {
            region: self,
            system_id: system_id.to_owned(),
        }
    }

    /// All machines as they are now.
    pub fn machines(&self) -> Vec<Machine> {
        self.shared.changing().park.fleet.machines.clone()
    }

    /// Has `trouble` befall the `number`th request about machines from now.
    pub fn trouble(&self, number: usize, trouble: Trouble) {
        let mut changing = self.shared.changing();
        let at = changing.park.requests + number;
        changing.park.troubles.insert(at, trouble);
    }

    /// Forgets troubles that did not befall anything.
    pub fn calm(&self) {
        self.shared.changing().park.troubles.clear();
    }

    /// How many requests about machines came so far.
    pub fn requests(&self) -> usize {
        self.shared.changing().park.requests
    }
}

/// Everything below the API that is not about images.
pub(super) fn routes(api: &str, shared: &Arc<Shared>) -> Router<Arc<Shared>> {
    let at = |path: &str| format!("{api}/{path}");
    Router::new()
        .route(
            &at("machines/"),
            get(reads::machines).post(operations::on_all),
        )
        .route(
            &at("machines/{id}/"),
            get(reads::machine).post(operations::on_one),
        )
        .route(
            &at("nodes/{id}/results/current-installation/"),
            get(reads::results),
        )
        .route(&at("events/"), get(events::query))
        .route(&at("subnets/"), get(reads::subnets))
        .route(&at("subnets/{id}/"), get(reads::subnet))
        .route(&at("zones/"), get(reads::zones))
        .route(&at("resourcepools/"), get(reads::pools))
        .route(&at("tags/"), get(reads::tags))
        .route(&at("domains/"), get(reads::domains))
        .route(&at("users/"), get(reads::whoami))
        .layer(from_fn_with_state(Arc::clone(shared), troubled))
}

async fn troubled(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let trouble = {
        let park = &mut shared.changing().park;
        park.requests += 1;
        park.troubles.remove(&park.requests)
    };
    match trouble {
        None => next.run(request).await,
        Some(Trouble::Down) => {
            let html = [(axum::http::header::CONTENT_TYPE, "text/html")];
            (StatusCode::BAD_GATEWAY, html, "<html>nginx</html>").into_response()
        }
        Some(Trouble::HoldBefore) => held(&shared).await,
        Some(Trouble::HoldAfter) => {
            next.run(request).await;
            held(&shared).await
        }
        Some(Trouble::Lost) => {
            next.run(request).await;
            // Ends the connection's task, and the connection with it.
            std::panic::resume_unwind(Box::new("hung up on demand"))
        }
    }
}

async fn held(shared: &Shared) -> Response {
    shared.held.send_modify(|count| *count += 1);
    std::future::pending().await
}
