//! The steps between a ready cluster and a registered gateway: look for
//! evidence, get and apply the manifest, register.
//!
//! Each function does one of these once, may be interrupted anywhere, and may
//! be called again. What must be remembered is the caller's, in the journal.

use fs_err as fs;
use postern_contract::host::files::write_atomic;
use postern_contract::palette::PairError;
use postern_contract::palette::client::Palette;
use postern_contract::palette::manifest::{self, Manifest, Source};
use sha2::{Digest, Sha256};

use crate::cluster::evidence::{self, EvidenceError, Jet};
use crate::host::world::World;
use crate::journal::condition::{Reason, StepError, WaitingFor};
use crate::pairing::Strategy;

/// The manifest between its arrival and the end of pairing, mode 0600: a code
/// may give it out only once.
pub const MANIFEST: &str = "/var/lib/postern/manifest.json";

/// Whether the cluster proves by itself that Palette authorized this gateway.
///
/// # Errors
/// [`StepError::Wait`] if the cluster cannot be asked.
pub async fn jet(world: &World) -> Result<Jet, StepError> {
    world
        .query(|_, cluster| evidence::jet(cluster))
        .await
        .map_err(|e| unclear(&e))
}

/// The gateway's uid in Palette, as the cluster holds it.
///
/// # Errors
/// [`StepError::Wait`] if the cluster cannot be asked.
pub async fn overlord_uid(world: &World) -> Result<Option<String>, StepError> {
    world
        .query(|_, cluster| evidence::overlord_uid(cluster))
        .await
        .map_err(|e| unclear(&e))
}

fn unclear(error: &EvidenceError) -> StepError {
    StepError::wait(WaitingFor::Cluster, error.to_string())
}

/// The manifest: the one on disk if it is the one the journal names, else a
/// new one as the strategy acquires it, which is then on disk. Also gives the
/// gateway's uid, if strategy or manifest say it.
///
/// # Errors
/// [`StepError`], if there is none or it may not be applied.
pub async fn manifest(
    world: &World,
    palette: &Palette,
    (strategy, name): (&dyn Strategy, &str),
    known: Option<&str>,
) -> Result<(Manifest, Option<String>), StepError> {
    let path = world.root.at(MANIFEST);
    let checked =
        |sources: &[Source]| manifest::parse(sources).map_err(|e| stop(PairError::from(e)));
    if let (Some(known), Ok(text)) = (known, fs::read(&path))
        && hex::encode(Sha256::digest(&text)) == known
        && let Ok(sources) = serde_json::from_slice::<Vec<Source>>(&text)
    {
        let manifest = checked(&sources)?;
        let uid = manifest.overlord_uid.clone();
        return Ok((manifest, uid));
    }
    let acquired = strategy.acquire(palette, name).await.map_err(stop)?;
    let manifest = checked(&acquired.sources)?;
    let text = manifest::kept(&acquired.sources);
    write_atomic(&path, &text, 0o600)?;
    let uid = manifest.overlord_uid.clone().or(acquired.overlord_uid);
    Ok((manifest, uid))
}

/// Hands the manifest to the cluster. Definitions need a moment before objects
/// of their kinds are taken, so the first try may fail and a later one not. When
/// this returns, a power cut does not undo it: k3s keeps the cluster of a machine
/// alone in SQLite (kine, `state.db?_journal=WAL`), and SQLite in that mode syncs
/// only at a checkpoint.
///
/// # Errors
/// [`StepError::Wait`] with the cluster's error.
pub async fn apply(world: &World, manifest: &Manifest) -> Result<(), StepError> {
    for (namespace, stream) in manifest.streams() {
        let namespace = namespace.map(str::to_owned);
        let applied = world
            .query(move |_, cluster| match namespace {
                Some(namespace) => {
                    let args = ["apply", "-n", &namespace, "-f", "-"];
                    cluster.kubectl(&args, stream.as_bytes())
                }
                None => cluster.kubectl(&["apply", "-f", "-"], stream.as_bytes()),
            })
            .await;
        applied.map_err(|e| StepError::wait(WaitingFor::Manifests, e.to_string()))?;
    }
    Ok(world.sync().await?)
}

/// What to do about a gateway that Palette has no more.
const REMOVED: &str = "if it was removed on purpose, release this machine in MAAS; to make it a gateway again, `postern-agent reset --pair-again FILE` with a new gateway file. Nothing is registered again by itself";

/// What a strategy's "no" means for the machine.
pub fn stop(error: PairError) -> StepError {
    match error {
        PairError::Later(detail) | PairError::Ambiguous(detail) => {
            StepError::wait(WaitingFor::Palette, detail)
        }
        PairError::Limited(detail) => StepError::wait(WaitingFor::RequestLimit, detail),
        PairError::Gone(detail) => StepError::block(Reason::Removed, detail, REMOVED),
        PairError::Refused { detail, remedy } => StepError::block(Reason::Refused, detail, &remedy),
        PairError::Unknown { detail, remedy } => {
            StepError::block(Reason::UnknownAnswer, detail, &remedy)
        }
        PairError::Local(error) => StepError::block(
            Reason::GatewayFile,
            error.to_string(),
            "check certificates and proxy in the gateway file",
        ),
        PairError::Manifest(error) => StepError::block(
            Reason::Manifest,
            error.to_string(),
            "ask Palette's support about these objects; none was applied",
        ),
    }
}
