//! `events/?op=query` (`maasserver/api/events.py`).

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::allocate::{Fields, field};
use super::life::NodeEvent;
use crate::maas::region::store::{Refusal, bad_request};
use crate::maas::region::{Served, Shared, json_text, refused};

const LEVELS: [&str; 3] = ["DEBUG", "INFO", "ERROR"];

pub(super) async fn query(
    State(shared): State<Arc<Shared>>,
    Query(fields): Query<Fields>,
) -> Served {
    let state = shared.lock();
    let fleet_state = &state.fleet_state;
    let agent = field(&fields, "agent_name");
    let ids: Vec<_> = fields.iter().filter(|(key, _)| key == "id").collect();
    let wanted = |event: &&NodeEvent| {
        let named = ids.is_empty() || ids.iter().any(|(_, id)| *id == event.node);
        let machine = fleet_state.get(&event.node);
        named && agent.is_none_or(|agent| machine.is_some_and(|m| m.agent_name == agent))
    };
    let all: Vec<_> = fleet_state.events.iter().filter(wanted).collect();
    let page = page(&all, &fields).map_err(refused)?;
    let document = json!({
        "count": page.len(),
        "events": Value::from_iter(page.iter().map(|event| event.document())),
        "next_uri": "/MAAS/api/2.0/events/?op=query",
        "prev_uri": null,
    });
    Ok(json_text(StatusCode::OK, document.to_string()))
}

/// Newest first, always; with `after`, the page is the oldest ones after it.
fn page<'e>(all: &[&'e NodeEvent], fields: &Fields) -> Result<Vec<&'e NodeEvent>, Refusal> {
    let number = |name: &str| field(fields, name).and_then(|text| text.parse::<u64>().ok());
    let level = field(fields, "level").unwrap_or("INFO");
    let Some(lowest) = LEVELS.iter().position(|known| *known == level) else {
        return Err(bad_request(format!("Unrecognised log level: {level}")));
    };
    let limit = number("limit").unwrap_or(100).max(1);
    if limit > 1000 {
        let text = format!("Requested number of events {limit} is greater than limit: 1000");
        return Err(bad_request(text));
    }
    let high = |event: &&&NodeEvent| LEVELS[lowest..].contains(&event.level);
    let mut found: Vec<_> = all.iter().filter(high).copied().collect();
    match (number("after"), number("before")) {
        (Some(after), None) => {
            found.retain(|event| event.id > after);
            found.truncate(limit as usize);
            found.reverse();
        }
        (None, before) => {
            found.retain(|event| before.is_none_or(|before| event.id < before));
            found.reverse();
            found.truncate(limit as usize);
        }
        (Some(_), Some(_)) => {
            let text =
                "There is undetermined behaviour when both `after` and `before` are specified.";
            return Err(bad_request(text));
        }
    }
    Ok(found)
}
