//! One request in, one answer out: what each operation does.
//!
//! Documented: paths, parameters, bodies and good answers (published API); the
//! header `ApiKey`; that creating a code, listing gateways and, since Palette
//! 4.9.16, fetching jet's and ally's manifests take a tenant administrator's key;
//! that a project header has no business with tenant resources (4.9.22); the
//! error body. Assumed and marked below: every 4xx status and most codes (U9),
//! who may call `register` (U1), and that a pairing code alone fetches a manifest (U2).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::event::{Event, Stage};
use super::jet;
use super::manifest::{Gateway, Part};
use super::published;
use super::reply::Reply;
use super::route::Route;
use super::world::{CodeState, Overlord, World};
use super::{HealthyAfter, Rules};

/// A request as the answer needs it.
#[derive(Debug, Default)]
pub(super) struct ApiRequest {
    pub uid: String,
    pub query: BTreeMap<String, String>,
    /// Header `ApiKey`.
    pub api_key: Option<String>,
    /// Header `ProjectUid` was sent.
    pub project: bool,
    pub body: Vec<u8>,
}

/// Answers `route` and changes the world accordingly.
pub(super) fn answer(
    world: &mut World,
    rules: &Rules,
    route: Route,
    asked: &ApiRequest,
    now: Timestamp,
) -> Reply {
    match checked(rules, route, asked) {
        Ok(body) => done(world, rules, (route, asked, &body), now).unwrap_or_else(|reply| reply),
        Err(reply) => reply,
    }
}

/// What every operation has in common: rights, parameters, body.
fn checked(rules: &Rules, route: Route, asked: &ApiRequest) -> Result<Value, Reply> {
    let open = match route {
        Route::Ping | Route::Ready | Route::Certs | Route::Register => true,
        Route::Manifest => !rules.manifest_needs_key,
        _ => false,
    };
    match &asked.api_key {
        _ if open => {}
        None => return Err(Reply::error(401, "Unauthorized", "no ApiKey was sent")),
        Some(key) if *key == rules.api_key => {}
        Some(key) if rules.weak_key.as_ref() == Some(key) => {
            let message = "the ApiKey is not that of a tenant administrator";
            return Err(Reply::error(403, "ResourceAccessDenied", message));
        }
        Some(_) => return Err(Reply::error(401, "Unauthorized", "the ApiKey is not valid")),
    }
    if asked.project && !open {
        let message = "the project is not known in this tenant";
        return Err(Reply::error(404, "ProjectNotFoundInTenant", message));
    }
    let invalid = |problems: Vec<String>| match problems.is_empty() {
        true => Ok(()),
        false => Err(Reply::error(400, "InvalidRequest", &problems.join("; "))),
    };
    invalid(published::query_problems(route, &asked.query))?;
    if route.method() != "POST" {
        return Ok(Value::Null);
    }
    let body = serde_json::from_slice(&asked.body)
        .map_err(|error| Reply::error(400, "InvalidRequest", &error.to_string()))?;
    invalid(published::body_problems(route, &body))?;
    Ok(body)
}

fn done(
    world: &mut World,
    rules: &Rules,
    (route, asked, body): (Route, &ApiRequest, &Value),
    now: Timestamp,
) -> Result<Reply, Reply> {
    let ok = |value: Value| Ok(Reply::json(200, &value));
    match route {
        Route::Ping | Route::Ready => ok(json!({"msg": "ok"})),
        Route::Certs => ok(json!({
            "apiDomain": rules.host,
            "caCert": rules.ca,
            "insecureSkipVerify": false,
            "rootDomain": rules.host,
        })),
        Route::PairingCode => ok(json!({"pairingCode": world.issue_code(now).0})),
        Route::Manifest => {
            let code = asked.query.get("pairingCode").map_or("", String::as_str);
            let uid = check_code(world, code, now)?;
            let text = manifest(world, rules, &uid, Part::Whole)?;
            world.reach(&uid, Stage::Importing);
            ok(json!({"manifest": text}))
        }
        Route::Overlords => {
            let wanted = asked.query.get("name");
            let items: Vec<_> = world
                .overlords()
                .filter(|overlord| wanted.is_none_or(|name| *name == overlord.name))
                .map(|overlord| overlord.published(now))
                .collect();
            ok(json!({"items": items}))
        }
        Route::Overlord => {
            observe(world, rules, &asked.uid)?;
            ok(known(world, &asked.uid)?.published(now))
        }
        Route::Remove => {
            known(world, &asked.uid)?;
            world.remove(&asked.uid);
            ok(json!({"msg": "deleted"}))
        }
        Route::Register => registered(world, rules, &asked.uid, body, now),
        Route::SelfHosted => {
            let name = body["name"].as_str().unwrap_or_default();
            let uid = world.add_overlord(name, true, now);
            let base = format!("https://{}/v1/pcg/{uid}/services", rules.host);
            ok(json!({
                "overlordUid": uid,
                "kubectlCommands": [
                    format!("kubectl apply -f {base}/jet/manifest"),
                    format!("kubectl apply -f {base}/ally/manifest"),
                ],
            }))
        }
        Route::JetManifest => downloaded(world, rules, &asked.uid, Part::Jet),
        Route::AllyManifest => downloaded(world, rules, &asked.uid, Part::Ally),
        Route::ServiceVersion => ok(json!({"spec": {
            "name": asked.uid,
            "latestVersion": {"content": format!("version: {}\n", rules.version)},
        }})),
        Route::Account | Route::CloudConfig => created(world, route, &asked.uid, body),
    }
}

fn known<'a>(world: &'a World, uid: &str) -> Result<&'a Overlord, Reply> {
    let message = format!("overlord {uid} is not found");
    world
        .overlord(uid)
        .ok_or_else(|| Reply::error(404, "ResourceNotFound", &message))
}

/// Assumed (U3, U9): 400 with these codes; nothing public says how Palette
/// answers a code that is wrong, expired or used.
fn check_code(world: &World, code: &str, now: Timestamp) -> Result<String, Reply> {
    let (code, message) = match world.look_up(code, now) {
        CodeState::Valid(uid) => return Ok(uid),
        CodeState::Unknown => ("PairingCodeInvalid", "the pairing code is not known"),
        CodeState::Expired => (
            "PairingCodeExpired",
            "the pairing code is older than 24 hours",
        ),
        CodeState::Used => ("PairingCodeUsed", "the pairing code was used already"),
    };
    Err(Reply::error(400, code, message))
}

/// Assumed (U1): the code is the credential, the uid is the one in the
/// manifest's `overlord-config`, and one registration uses the code up.
fn registered(
    world: &mut World,
    rules: &Rules,
    uid: &str,
    body: &Value,
    now: Timestamp,
) -> Result<Reply, Reply> {
    known(world, uid)?;
    let code = body["pairingCode"].as_str().unwrap_or_default();
    if check_code(world, code, now)? != uid {
        let message = "the pairing code is not that of this gateway";
        return Err(Reply::error(400, "PairingCodeInvalid", message));
    }
    world.mark_used(code);
    world.reach(uid, Stage::Running);
    if rules.healthy_after == HealthyAfter::Registration {
        world.reach(uid, Stage::Healthy);
    }
    let audit = world.generate_id("audit", 24);
    Ok(Reply::audited(204, None, &audit))
}

/// Somebody looks at a gateway. A self-hosted one registers behind our back,
/// so its first poll after both manifests were fetched finds it running.
pub(super) fn observe(world: &mut World, rules: &Rules, uid: &str) -> Result<(), Reply> {
    let overlord = known(world, uid)?;
    let (stage, came_up) = (overlord.stage, overlord.fetched.len() == 2);
    match (rules.healthy_after, stage) {
        (HealthyAfter::SetStage, _) => {}
        (HealthyAfter::Registration, Stage::Importing) if came_up => {
            world.reach(uid, Stage::Healthy);
        }
        (HealthyAfter::Polls, Stage::Importing) if came_up => world.reach(uid, Stage::Running),
        (HealthyAfter::Polls, Stage::Running) => world.reach(uid, Stage::Healthy),
        _ => {}
    }
    Ok(())
}

fn downloaded(world: &mut World, rules: &Rules, uid: &str, part: Part) -> Result<Reply, Reply> {
    let text = manifest(world, rules, uid, part)?;
    world.reach(uid, Stage::Importing);
    if let Some(overlord) = world.overlord_mut(uid) {
        overlord.fetched.insert(part);
    }
    let name = format!("cluster-{uid}-{part}-manifest.yaml");
    Ok(Reply::download(&name, text))
}

fn manifest(world: &World, rules: &Rules, uid: &str, part: Part) -> Result<String, Reply> {
    let overlord = known(world, uid)?;
    let (host, port) = match rules.host.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().unwrap_or(443)),
        None => (rules.host.as_str(), 443),
    };
    let gateway = Gateway {
        uid,
        cluster: &overlord.cluster,
        host,
        port,
        ca: &rules.ca,
        token: &jet::token(uid),
    };
    Ok(gateway.text(part))
}

fn created(world: &mut World, route: Route, uid: &str, body: &Value) -> Result<Reply, Reply> {
    known(world, uid)?;
    let made = world.generate_id("entity", 24);
    let overlord = uid.to_owned();
    if route == Route::Account {
        if let Some(overlord) = world.overlord_mut(uid) {
            overlord.account = Some(made.clone());
            if let Some(name) = body["name"].as_str() {
                overlord.name = name.to_owned();
            }
        }
        world.events.push(Event::AccountCreated { overlord });
    } else {
        world.events.push(Event::CloudConfigCreated { overlord });
    }
    let audit = world.generate_id("audit", 24);
    Ok(Reply::audited(201, Some(&json!({"uid": made})), &audit))
}
