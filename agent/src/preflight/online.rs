//! The step `online`: a route, an address, a clock, and networks that do not collide.

use fs_err as fs;
use ipnet::IpNet;
use jiff::Timestamp;
use postern_contract::paths;

use crate::host::world::World;
use crate::journal::condition::{Reason, StepError, WaitingFor};
use crate::preflight::{self, Verdict};
use crate::site::settings::Settings;

/// Looks once; returns the machine's addresses.
///
/// # Errors
/// [`StepError`] with what is still missing.
pub fn online(world: &World, settings: &Settings) -> Result<Vec<IpNet>, StepError> {
    let addresses = world.network.addresses()?;
    if addresses.is_empty() {
        return Err(StepError::wait(
            WaitingFor::Network,
            "no interface has an address yet",
        ));
    }
    if !world.network.has_default_route()? {
        return Err(StepError::wait(
            WaitingFor::Network,
            "there is no default route yet",
        ));
    }
    let clock = preflight::time_sane(world.pace.now(), image_made(world)?);
    if clock.verdict == Verdict::Fail {
        return Err(StepError::wait(WaitingFor::Clock, clock.evidence));
    }
    let check = preflight::overlap(&settings.pod_cidr, &settings.service_cidr, &addresses);
    if check.verdict == Verdict::Fail {
        let remedy = check.remedy.unwrap_or_default();
        return Err(StepError::block(Reason::Overlap, check.evidence, &remedy));
    }
    Ok(addresses)
}

/// When the image was made: the builder gives every file that time.
fn image_made(world: &World) -> Result<Timestamp, StepError> {
    let modified = fs::metadata(world.root.at(paths::IMAGE_FACTS))?.modified()?;
    Ok(Timestamp::try_from(modified).unwrap_or(Timestamp::UNIX_EPOCH))
}
