//! A stand-in for what a region deploys to: machines, their life and their log,
//! and the networks they are in.
//!
//! **As the real one** (read in its source, not run): numbers and names of
//! states; which operation is refused in which state and with which message;
//! constraints of `allocate`, among which there is no `domain`; `dry_run`;
//! `deploy` acquires a Ready machine itself, looks the image up, needs a root
//! file system and a network, refuses a machine whose deployment failed; `agent_name` can be
//! filtered by and is shown nowhere; it goes with the release; events page by
//! `after` (oldest first, then turned around), show INFO and above unless asked
//! for DEBUG, and show no names of reports; logs are base64; a machine shows why
//! it failed since 3.5. **Simpler**: a release is done at once, while real
//! machines are Releasing until they are off; a report becomes an event at once,
//! while MAAS gathers up to a minute of them. **Assumed**: the text about an
//! unknown `distro_series`. **Missing**: virtual machines composed on demand,
//! other users' permissions, disk erasing, tests, locks, rescue mode.
//!
//! A machine's life is driven by its plan, one [`LifeStep`] with each poll of
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

pub use life::{LifeStep, NodeEvent};
pub use model::{Fleet, Machine, Status, Subnet};

use super::version::Release;
use super::{Region, RegionConfig, Shared};

/// What goes wrong with one request about machines, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestFault {
    /// It is neither processed nor answered: time to kill the client.
    StallBefore,
    /// It is done, and never answered.
    StallAfter,
    /// It is done, and the connection ends before the answer.
    LostReply,
    /// It is not done: the web server says that MAAS is not there.
    Unavailable,
}

/// The fleet and all that happened to it.
#[derive(Debug)]
pub(super) struct FleetState {
    pub(super) fleet: Fleet,
    pub(super) release: Release,
    events: Vec<NodeEvent>,
    last_event: u64,
    /// By the request that they are injected into.
    faults: BTreeMap<usize, RequestFault>,
    requests: usize,
}

impl FleetState {
    pub(super) fn new(config: &RegionConfig) -> Self {
        Self {
            fleet: config.fleet.clone(),
            release: Release::of(&config.version),
            events: Vec::new(),
            last_event: 1000,
            faults: BTreeMap::new(),
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
    /// Applies a step of its life now.
    pub fn apply(&self, step: LifeStep) {
        let mut state = self.region.shared.lock();
        state.fleet_state.apply(&self.system_id, step);
    }

    /// Changes what it is.
    pub fn change(&self, change: impl FnOnce(&mut Machine)) {
        let mut state = self.region.shared.lock();
        state.fleet_state.get_mut(&self.system_id).map(change);
    }

    /// As it is now; `None` if the region never had it.
    pub fn now(&self) -> Option<Machine> {
        self.region
            .shared
            .lock()
            .fleet_state
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
        self.shared.lock().fleet_state.fleet.machines.clone()
    }

    /// Injects `fault` into the `number`th request about machines from now.
    pub fn inject_request_fault(&self, number: usize, fault: RequestFault) {
        let mut state = self.shared.lock();
        let at = state.fleet_state.requests + number;
        state.fleet_state.faults.insert(at, fault);
    }

    /// Forgets faults that did not befall anything.
    pub fn clear_request_faults(&self) {
        self.shared.lock().fleet_state.faults.clear();
    }

    /// How many requests about machines came so far.
    pub fn machine_requests(&self) -> usize {
        self.shared.lock().fleet_state.requests
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
        .layer(from_fn_with_state(Arc::clone(shared), inject_faults))
}

async fn inject_faults(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    let fault = {
        let fleet_state = &mut shared.lock().fleet_state;
        fleet_state.requests += 1;
        fleet_state.faults.remove(&fleet_state.requests)
    };
    match fault {
        None => next.run(request).await,
        Some(RequestFault::Unavailable) => {
            let html = [(axum::http::header::CONTENT_TYPE, "text/html")];
            (StatusCode::BAD_GATEWAY, html, "<html>nginx</html>").into_response()
        }
        Some(RequestFault::StallBefore) => stall(&shared).await,
        Some(RequestFault::StallAfter) => {
            next.run(request).await;
            stall(&shared).await
        }
        Some(RequestFault::LostReply) => {
            next.run(request).await;
            // Ends the connection's task, and the connection with it.
            std::panic::resume_unwind(Box::new("hung up on demand"))
        }
    }
}

async fn stall(shared: &Shared) -> Response {
    shared.stalled.send_modify(|count| *count += 1);
    std::future::pending().await
}
