//! One file per way to pair.

use std::rc::Rc;

use postern_contract::gateway::Pairing;

use super::Strategy;

pub mod api_key;
pub mod manifests;
pub mod pairing_code;

/// The strategy that the gateway file asks for.
pub fn strategy(pairing: &Pairing) -> Rc<dyn Strategy> {
    match pairing {
        Pairing::Code(code) => Rc::new(pairing_code::PairingCode::new(code.clone())),
        Pairing::Manifests(manifests) => Rc::new(manifests::Supplied::new(manifests)),
        Pairing::ApiKey(key) => Rc::new(api_key::ApiKey::new(key.clone())),
    }
}
