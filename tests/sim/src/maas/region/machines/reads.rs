//! What can be looked at.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde_json::{Value, json};

use super::allocate::{Fields, field};
use super::documents::{statistics, subnet_document};
use super::model::Machine;
use crate::maas::region::store::{Refusal, bad};
use crate::maas::region::{Served, Shared, json_text, refused};

fn json_answer(document: &Value) -> axum::response::Response {
    json_text(StatusCode::OK, document.to_string())
}

pub(super) fn unknown(what: &str) -> Refusal {
    let text = format!("No {what} matches the given query.");
    (StatusCode::NOT_FOUND, text)
}

/// Each look at machines by their ids lets their plans go on.
pub(super) async fn machines(
    State(shared): State<Arc<Shared>>,
    Query(fields): Query<Fields>,
) -> Served {
    let mut changing = shared.changing();
    let park = &mut changing.park;
    for (key, names, what) in [
        ("zone", &park.fleet.zones, "zone"),
        ("pool", &park.fleet.pools, "pool"),
    ] {
        if let Some(name) = field(&fields, key)
            && !names.iter().any(|known| known == name)
        {
            let text = format!("No such {what}(s): {name}.");
            return Err(refused(bad(json!({key: [text]}).to_string())));
        }
    }
    for (_, id) in fields.iter().filter(|(key, _)| key == "id") {
        park.advance(id);
    }
    let wanted = |machine: &&Machine| matches(machine, &fields);
    let all = park.fleet.machines.iter().filter(wanted);
    let all = Value::from_iter(all.map(|machine| park.machine(machine)));
    Ok(json_answer(&all))
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
    let mut changing = shared.changing();
    changing.park.advance(&id);
    let park = &changing.park;
    let found = park.get(&id).ok_or_else(|| refused(unknown("Machine")))?;
    Ok(json_answer(&park.machine(found)))
}

pub(super) async fn results(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Served {
    let changing = shared.changing();
    let park = &changing.park;
    let found = park.get(&id).ok_or_else(|| refused(unknown("Node")))?;
    if found.series.is_empty() {
        let text = "No current installation script set exists for this node.";
        return Err(refused(bad(text)));
    }
    Ok(json_answer(&park.results(found)))
}

pub(super) async fn subnets(State(shared): State<Arc<Shared>>) -> Served {
    let changing = shared.changing();
    let all = changing.park.fleet.subnets.iter().map(subnet_document);
    Ok(json_answer(&Value::from_iter(all)))
}

pub(super) async fn subnet(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<u64>,
    Query(fields): Query<Fields>,
) -> Served {
    let changing = shared.changing();
    let mut all = changing.park.fleet.subnets.iter();
    let found = all.find(|subnet| subnet.id == id);
    let found = found.ok_or_else(|| refused(unknown("Subnet")))?;
    Ok(match field(&fields, "op") {
        Some("statistics") => json_answer(&statistics(found)),
        Some(_) => StatusCode::BAD_REQUEST.into_response(),
        None => json_answer(&subnet_document(found)),
    })
}

fn named(names: &[String]) -> axum::response::Response {
    let all = names.iter().map(|name| json!({"name": name}));
    json_answer(&Value::from_iter(all))
}

pub(super) async fn zones(State(shared): State<Arc<Shared>>) -> Served {
    Ok(named(&shared.changing().park.fleet.zones))
}

pub(super) async fn pools(State(shared): State<Arc<Shared>>) -> Served {
    Ok(named(&shared.changing().park.fleet.pools))
}

pub(super) async fn tags(State(shared): State<Arc<Shared>>) -> Served {
    Ok(named(&shared.changing().park.fleet.tags))
}

pub(super) async fn domains(State(shared): State<Arc<Shared>>) -> Served {
    Ok(named(&shared.changing().park.fleet.domains))
}

pub(super) async fn whoami(State(shared): State<Arc<Shared>>) -> Served {
    let changing = shared.changing();
    let admin = shared.config.admin;
    let document = json!({
        "username": changing.park.fleet.user,
        "email": "",
        "is_superuser": admin,
    });
    Ok(json_answer(&document))
}
