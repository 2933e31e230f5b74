//! What can be looked at.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde_json::{Value, json};

use super::allocate::{Fields, field};
use super::documents::{statistics, subnet_document};
use super::model::Machine;
use crate::maas::region::store::{Refusal, bad_request};
use crate::maas::region::{Served, Shared, json_text, refused};

fn json_reply(document: &Value) -> axum::response::Response {
    json_text(StatusCode::OK, document.to_string())
}

pub(super) fn unknown(what: &str) -> Refusal {
    let text = format!("No {what} matches the given query.");
    (StatusCode::NOT_FOUND, text)
}

/// Each poll of machines by their ids advances their plans.
pub(super) async fn machines(
    State(shared): State<Arc<Shared>>,
    Query(fields): Query<Fields>,
) -> Served {
    let mut state = shared.lock();
    let fleet_state = &mut state.fleet_state;
    for (key, names, what) in [
        ("zone", &fleet_state.fleet.zones, "zone"),
        ("pool", &fleet_state.fleet.pools, "pool"),
    ] {
        if let Some(name) = field(&fields, key)
            && !names.iter().any(|known| known == name)
        {
            let text = format!("No such {what}(s): {name}.");
            return Err(refused(bad_request(json!({key: [text]}).to_string())));
        }
    }
    for (_, id) in fields.iter().filter(|(key, _)| key == "id") {
        fleet_state.advance(id);
    }
    let wanted = |machine: &&Machine| matches(machine, &fields);
    let all = fleet_state.fleet.machines.iter().filter(wanted);
    let all = Value::from_iter(all.map(|machine| fleet_state.machine(machine)));
    Ok(json_reply(&all))
}

fn matches(machine: &Machine, fields: &Fields) -> bool {
    let ids: Vec<_> = fields.iter().filter(|(key, _)| key == "id").collect();
    let named = ids.is_empty() || ids.iter().any(|(_, id)| *id == machine.system_id);
    let status = machine.status.name().to_lowercase().replace(' ', "_");
    named
        && fields.iter().all(|(key, value)| match key.as_str() {
            "agent_name" => machine.agent_name == *value,
            "zone" => machine.zone == *value,
            "pool" => machine.pool == *value,
            "domain" => machine.domain == *value,
            "hostname" => machine.hostname == *value,
            "status" => status == *value,
            _ => true,
        })
}

pub(super) async fn machine(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Served {
    let mut state = shared.lock();
    state.fleet_state.advance(&id);
    let fleet_state = &state.fleet_state;
    let found = fleet_state
        .get(&id)
        .ok_or_else(|| refused(unknown("Machine")))?;
    Ok(json_reply(&fleet_state.machine(found)))
}

pub(super) async fn results(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Served {
    let state = shared.lock();
    let fleet_state = &state.fleet_state;
    let found = fleet_state
        .get(&id)
        .ok_or_else(|| refused(unknown("Node")))?;
    if found.series.is_empty() {
        let text = "No current installation script set exists for this node.";
        return Err(refused(bad_request(text)));
    }
    Ok(json_reply(&fleet_state.results(found)))
}

pub(super) async fn subnets(State(shared): State<Arc<Shared>>) -> Served {
    let state = shared.lock();
    let all = state.fleet_state.fleet.subnets.iter().map(subnet_document);
    Ok(json_reply(&Value::from_iter(all)))
}

pub(super) async fn subnet(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<u64>,
    Query(fields): Query<Fields>,
) -> Served {
    let state = shared.lock();
    let mut all = state.fleet_state.fleet.subnets.iter();
    let found = all.find(|subnet| subnet.id == id);
    let found = found.ok_or_else(|| refused(unknown("Subnet")))?;
    Ok(match field(&fields, "op") {
        Some("statistics") => json_reply(&statistics(found)),
        Some(_) => StatusCode::BAD_REQUEST.into_response(),
        None => json_reply(&subnet_document(found)),
    })
}

fn named(names: &[String]) -> axum::response::Response {
    let all = names.iter().map(|name| json!({"name": name}));
    json_reply(&Value::from_iter(all))
}

pub(super) async fn zones(State(shared): State<Arc<Shared>>) -> Served {
    Ok(named(&shared.lock().fleet_state.fleet.zones))
}

pub(super) async fn pools(State(shared): State<Arc<Shared>>) -> Served {
    Ok(named(&shared.lock().fleet_state.fleet.pools))
}

pub(super) async fn tags(State(shared): State<Arc<Shared>>) -> Served {
    Ok(named(&shared.lock().fleet_state.fleet.tags))
}

pub(super) async fn domains(State(shared): State<Arc<Shared>>) -> Served {
    Ok(named(&shared.lock().fleet_state.fleet.domains))
}

pub(super) async fn whoami(State(shared): State<Arc<Shared>>) -> Served {
    let state = shared.lock();
    let admin = shared.config.admin;
    let document = json!({
        "username": state.fleet_state.fleet.user,
        "email": "",
        "is_superuser": admin,
    });
    Ok(json_reply(&document))
}
