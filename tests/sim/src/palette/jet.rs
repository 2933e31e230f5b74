//! What the stand-in for k3s asks in jet's name: may it stay up?
//!
//! How jet proves itself to Palette is not known (U4). So that it is down until
//! its gateway is registered, as in the field, it is asked at an address that
//! Palette itself does not have.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};

use super::Shared;
use super::answer::observe;
use super::event::Stage;
use super::world::Overlord;

/// The stand-ins' own address.
pub(super) const PATH: &str = "/stand-in/jet";

/// The token that a gateway's manifest holds.
pub(super) fn token(uid: &str) -> String {
    format!("stand-in token of {uid}")
}

/// 204 if the gateway with this token is registered, 401 otherwise. The agents of
/// a self-hosted one register it by this.
pub(super) async fn authenticate(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
) -> StatusCode {
    let sent = headers
        .get(header::AUTHORIZATION)
        .map(HeaderValue::as_bytes);
    let registered = shared.change(|world| {
        let is_it = |o: &&Overlord| sent == Some(token(&o.uid).as_bytes());
        let uid = world.overlords().find(is_it)?.uid.clone();
        observe(world, &shared.rules, &uid).ok()?;
        Some(world.overlord(&uid)?.stage >= Stage::Running)
    });
    match registered {
        Some(true) => StatusCode::NO_CONTENT,
        _ => StatusCode::UNAUTHORIZED,
    }
}
