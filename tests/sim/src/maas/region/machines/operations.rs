//! What can be done to machines (`maasserver/api/machines.py`).

use std::sync::Arc;

use axum::extract::{Form, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::FleetState;
use super::allocate::{Fields, field};
use super::model::Status;
use super::reads::unknown;
use crate::maas::UserData;
use crate::maas::region::store::{Refusal, Store, bad_request};
use crate::maas::region::{Resource, Served, Set, Shared, json_text, refused};

/// `POST machines/?op=…`
pub(super) async fn on_all(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<Fields>,
    Form(fields): Form<Fields>,
) -> Served {
    if field(&query, "op") != Some("allocate") {
        return Ok(StatusCode::BAD_REQUEST.into_response());
    }
    let mut state = shared.lock();
    let fleet_state = &mut state.fleet_state;
    let id = fleet_state.choose(&fields).map_err(refused)?;
    if field(&fields, "dry_run") != Some("true") {
        fleet_state.acquire(&id, &fields);
    }
    Ok(answer(fleet_state, &id))
}

/// `POST machines/ID/?op=…`
pub(super) async fn on_one(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Query(query): Query<Fields>,
    Form(fields): Form<Fields>,
) -> Served {
    let mut state = shared.lock();
    let state = &mut *state;
    let (fleet_state, store) = (&mut state.fleet_state, &state.store);
    let machine = fleet_state.get(&id);
    let machine = machine.ok_or_else(|| refused(unknown("Machine")))?;
    let others = machine
        .owner
        .as_ref()
        .is_some_and(|o| *o != fleet_state.fleet.user);
    if others && !shared.config.admin {
        return Err(StatusCode::FORBIDDEN.into_response());
    }
    let done = match field(&query, "op") {
        Some("deploy") => fleet_state.deploy(&id, &fields, store),
        Some("release") => fleet_state.release(&id),
        Some("abort") => fleet_state.abort(&id),
        Some("power_on") => fleet_state.power(&id, true),
        Some("power_off") => fleet_state.power(&id, false),
        Some("set_owner_data" | "set_workload_annotations") => fleet_state.annotate(&id, &fields),
        _ => return Ok(StatusCode::BAD_REQUEST.into_response()),
    };
    done.map_err(refused)?;
    Ok(answer(fleet_state, &id))
}

fn answer(fleet_state: &FleetState, id: &str) -> Response {
    match fleet_state.get(id) {
        Some(machine) => json_text(StatusCode::OK, fleet_state.machine(machine).to_string()),
        None => refused(unknown("Machine")),
    }
}

/// What the image is called that a deployment names.
fn image(fields: &Fields, store: &Store) -> Result<String, Refusal> {
    let given = field(fields, "distro_series").unwrap_or_default();
    let name = given.strip_prefix("custom/").unwrap_or(given);
    let mut images = store.resources.iter();
    let there = |image: &Resource| image.name == name && image.sets.iter().any(Set::is_complete);
    match images.any(there) {
        true => Ok(name.to_owned()),
        false => {
            let text = format!("'{given}' is not a valid distro_series.  It should be one of: ''.");
            Err(bad_request(json!({"distro_series": [text]}).to_string()))
        }
    }
}

fn conflict(text: String) -> Refusal {
    (StatusCode::CONFLICT, text)
}

impl FleetState {
    fn acquire(&mut self, id: &str, fields: &Fields) {
        let user = self.fleet.user.clone();
        let text = match field(fields, "comment") {
            Some(comment) => format!("({user}) - {comment}"),
            None => format!("({user})"),
        };
        self.log_event(id, ("DEBUG", "User acquiring node"), text);
        if let Some(machine) = self.get_mut(id) {
            machine.status = Status::Allocated;
            machine.owner = Some(user);
            machine.agent_name = field(fields, "agent_name").unwrap_or_default().to_owned();
        }
    }

    fn deploy(&mut self, id: &str, fields: &Fields, store: &Store) -> Result<(), Refusal> {
        let status = self
            .get(id)
            .map_or(Status::Broken, |machine| machine.status);
        match status {
            Status::Ready => self.acquire(id, fields),
            Status::Allocated => {}
            other => {
                let name = other.name();
                return Err(conflict(format!(
                    "Can't deploy a machine that is in the '{name}' state"
                )));
            }
        }
        let name = image(fields, store)?;
        let user_data = field(fields, "user_data").map(|text| STANDARD.decode(text));
        let user_data = match user_data {
            Some(Ok(bytes)) => Some(UserData(bytes)),
            Some(Err(_)) => return Err(bad_request("user_data is not base64")),
            None => None,
        };
        let subnets = &mut self.fleet.subnets;
        let Some(machine) = self.fleet.machines.iter_mut().find(|m| m.system_id == id) else {
            return Err(unknown("Machine"));
        };
        let link = machine.link.as_ref().filter(|(_, mode)| mode != "link_up");
        let Some((subnet, mode)) = link else {
            let text = "Node must be configured to use a network";
            return Err(bad_request(json!({"network": [text]}).to_string()));
        };
        if !machine.root_mounted {
            let text = "Mount the root '/' filesystem to be able to deploy this node.";
            return Err(bad_request(json!({"storage": [text]}).to_string()));
        }
        if mode == "auto"
            && let Some(subnet) = subnets.iter_mut().find(|s| s.id == *subnet)
        {
            let Some(left) = subnet.free.checked_sub(1) else {
                let text = "Unable to allocate static IP due to address exhaustion.";
                return Err((StatusCode::SERVICE_UNAVAILABLE, text.into()));
            };
            subnet.free = left;
        }
        machine.series = name;
        machine.user_data = user_data;
        machine.status = Status::Deploying;
        machine.on = true;
        let user = self.fleet.user.clone();
        self.log_event(
            id,
            ("DEBUG", "User starting deployment"),
            format!("({user})"),
        );
        self.log_event(id, ("INFO", "Deploying"), "");
        Ok(())
    }

    fn release(&mut self, id: &str) -> Result<(), Refusal> {
        let status = self.get(id).map_or(Status::New, |machine| machine.status);
        match status {
            Status::Releasing | Status::Ready => Ok(()),
            Status::New => Err(conflict(format!(
                "Machine cannot be released in its current state ('{}').",
                status.name()
            ))),
            _ => {
                self.make_ready(id);
                Ok(())
            }
        }
    }

    fn abort(&mut self, id: &str) -> Result<(), Refusal> {
        let status = self.get(id).map_or(Status::New, |machine| machine.status);
        if status != Status::Deploying {
            let name = status.name();
            return Err(conflict(format!(
                "Cannot abort in current state: node {id} is in state {name}."
            )));
        }
        self.apply(id, super::LifeStep::Aborted);
        Ok(())
    }

    fn power(&mut self, id: &str, on: bool) -> Result<(), Refusal> {
        if let Some(machine) = self.get_mut(id) {
            machine.on = on;
        }
        Ok(())
    }

    fn annotate(&mut self, id: &str, fields: &Fields) -> Result<(), Refusal> {
        let user = self.fleet.user.clone();
        let machine = self.get_mut(id).ok_or_else(|| unknown("Machine"))?;
        if machine.owner.as_ref() != Some(&user) {
            let text = "Cannot set workload annotation: it hasn't been acquired.";
            return Err(conflict(text.into()));
        }
        for (key, value) in fields {
            match value.is_empty() {
                true => machine.owner_data.remove(key),
                false => machine.owner_data.insert(key.clone(), value.clone()),
            };
        }
        Ok(())
    }
}
