//! Against the stand-in for Palette, over real TLS.

use std::path::Path;

use jiff::Timestamp;
use postern_contract::gateway::{Node, Undeliverable};
use postern_contract::host::secrets::HostSecrets;
use postern_sim::clock::Clock;
use postern_sim::events::EventLog;
use postern_sim::palette::{Fault, HealthyAfter, Palette, PaletteConfig, Route};
use postern_sim::tls::Authority;
use secrecy::ExposeSecret;

use super::*;
use crate::userdata;

const KEY: &str = "stand-in-tenant-admin-key";

async fn palette(healthy_after: HealthyAfter) -> Palette {
    let log = EventLog::new(Clock::real());
    let authority = Authority::generate("Private CA", Timestamp::now()).unwrap();
    let mut config = PaletteConfig::new("localhost", authority, log);
    config.healthy_after = healthy_after;
    config.weak_key = Some("weak".to_owned());
    Palette::start(config).await.unwrap()
}

fn file(palette: &Palette, pairing: &str) -> GatewayFile {
    let ca = palette.ca().trim_end().replace('\n', "\n    ");
    let text = format!(
        "apiVersion: postern/v1\nname: edge-1\npalette:\n  endpoint: https://localhost:{}\n  \
         pairing: {pairing}\ncertificates:\n  - |\n    {ca}\n",
        palette.addr().port()
    );
    let secrets = HostSecrets::beside(Path::new("edge.yaml"));
    GatewayFile::parse("edge.yaml", &text, Timestamp::now(), &secrets).unwrap()
}

fn operator(file: &GatewayFile, key: &str) -> Operator {
    Operator::new(file, &key.into()).unwrap()
}

#[tokio::test]
async fn manifests_are_obtained_here_and_no_key_is_delivered() {
    let palette = palette(HealthyAfter::Polls).await;
    let mut file = file(&palette, "{manifests: {from: palette}}");
    let operator = operator(&file, KEY);
    assert_eq!(
        operator.state("edge-1").await.unwrap(),
        GatewayState::Absent
    );
    let Obtained::Manifests { uid, found } = operator.obtain(&mut file).await.unwrap() else {
        panic!("manifests");
    };
    assert_eq!(found, Found::Created);
    let text = userdata::render(&file, Node::FIRST).unwrap();
    let text = text.expose_secret();
    assert!(text.contains(&uid) && text.contains("jet-system"), "{text}");
    assert!(!text.contains(KEY));
    let mut states = Vec::new();
    for _ in 0..2 {
        states.push(operator.state("edge-1").await.unwrap());
    }
    assert_eq!(states, [GatewayState::Running, GatewayState::Healthy]);

    // A gateway that is deployed again is the same gateway.
    let mut again = self::file(&palette, "{manifests: {from: palette}}");
    let known = Obtained::Manifests {
        uid,
        found: Found::Known,
    };
    assert_eq!(operator.obtain(&mut again).await.unwrap(), known);
}

#[tokio::test]
async fn a_code_is_obtained_for_each_deployment() {
    let palette = palette(HealthyAfter::Registration).await;
    let mut file = file(&palette, "{pairing-code: {from: palette}}");
    let missing = userdata::render(&file, Node::FIRST).unwrap_err();
    assert!(
        missing.to_string().contains("SPECTROCLOUD_APIKEY"),
        "{missing}"
    );
    let operator = operator(&file, KEY);
    assert_eq!(operator.obtain(&mut file).await.unwrap(), Obtained::Code);
    assert_eq!(
        operator.obtain(&mut file).await.unwrap(),
        Obtained::Nothing,
        "the file has all it needs"
    );
    assert!(!matches!(
        file.deliverable(Node::FIRST),
        Err(Undeliverable::NotObtained(_))
    ));
}

#[tokio::test]
async fn errors_of_palette_are_quoted_with_help() {
    let palette = palette(HealthyAfter::Registration).await;
    for (key, expected) in [
        ("other", ["status 401", "tenant administrator"]),
        ("weak", ["status 403", "tenant administrator"]),
    ] {
        let mut file = file(&palette, "{manifests: {from: palette}}");
        let error = operator(&file, key).obtain(&mut file).await.unwrap_err();
        let message = error.to_string();
        assert!(
            expected.iter().all(|word| message.contains(word)),
            "{message}"
        );
        assert!(error.is_remote());
    }
    let mut file = file(&palette, "{manifests: {from: palette}}");
    palette.inject(Route::Overlords, 1, Fault::Status(502, "BadGateway"));
    let error = operator(&file, KEY).obtain(&mut file).await.unwrap_err();
    assert!(error.to_string().contains("502"), "{error}");
    drop(palette);
    let error = operator(&file, KEY).obtain(&mut file).await.unwrap_err();
    assert!(
        error.to_string().contains("help: check that this machine"),
        "{error}"
    );
}

#[tokio::test]
async fn two_gateways_of_one_name_are_not_guessed_between() {
    let palette = palette(HealthyAfter::Registration).await;
    let file = file(&palette, "{manifests: {from: palette}}");
    let client = http::client_for_palette(&file.gateway.certificates).unwrap();
    for _ in 0..2 {
        let url = format!("{}v1/pcg/selfHosted", file.gateway.endpoint);
        let body = serde_json::json!({"cloudType": "maas", "name": "edge-1"});
        let request = client.post(url).header("ApiKey", KEY).json(&body);
        assert_eq!(request.send().await.unwrap().status(), 200);
    }
    let error = operator(&file, KEY).state("edge-1").await.unwrap_err();
    assert!(error.to_string().contains("2 gateways called"), "{error}");
}
