//! `postern-agent preflight`: the checks of the step before pairing, at any time.
//!
//! It asks with the settings the agent would use, and changes nothing.

use jiff::Timestamp;
use serde::Serialize;

use crate::host::world::World;
use crate::journal::condition::StepError;
use crate::life::hidden;
use crate::pairing;
use crate::preflight::survey::{Subject, survey};
use crate::preflight::{self, Check};
use crate::site::configure;

/// The result of all checks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// Version of this format; 1.
    pub schema: u32,
    /// When they ran.
    pub at: Timestamp,
    /// Name of the gateway.
    pub gateway: String,
    /// Palette, as it was asked.
    pub endpoint: String,
    /// Whether none failed; warnings do not count.
    pub passed: bool,
    /// Every check, in the order it ran.
    pub checks: Vec<Check>,
}

/// Runs every check once.
///
/// # Errors
/// [`StepError`] if this machine has no settings yet, or none that can be used; no
/// secret is in it.
pub async fn check(world: &World) -> Result<Report, StepError> {
    let wanted = configure::wanted(world)?;
    let mask = hidden::mask(&world.root, Some(&wanted));
    let settings = &wanted.settings;
    let subnets = world.network.addresses()?;
    let strategy = wanted.pairing.as_ref().map(pairing::strategy);
    let subject = Subject {
        world,
        settings,
        subnets: &subnets,
        strategy: strategy.map(|it| (it.summary().name, it.key().cloned())),
        k3s_version: &wanted.image.k3s_version,
    };
    let surveyed = survey(&subject)
        .await
        .map_err(|stop| hide(stop, |t| mask.apply(t)))?;
    let mut checks = surveyed.checks;
    for check in &mut checks {
        check.evidence = mask.apply(&check.evidence);
        check.remedy = check.remedy.as_deref().map(|text| mask.apply(text));
    }
    Ok(Report {
        schema: 1,
        at: world.pace.now(),
        gateway: settings.name.clone(),
        endpoint: mask.apply(settings.endpoint.as_str()),
        passed: preflight::failure(&checks).is_none(),
        checks,
    })
}

fn hide(stop: StepError, hidden: impl Fn(&str) -> String) -> StepError {
    match stop {
        StepError::Wait { on, detail } => StepError::wait(on, hidden(&detail)),
        StepError::Block {
            reason,
            detail,
            remedy,
        } => StepError::block(reason, hidden(&detail), &hidden(&remedy)),
        other => other,
    }
}
