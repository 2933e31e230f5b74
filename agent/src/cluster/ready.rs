//! The step `cluster-ready`: k3s runs with the files of the step before.

use crate::cluster::evidence;
use crate::host::world::World;
use crate::journal::condition::{On, Stop};

/// The unit that runs k3s.
pub const UNIT: &str = "k3s.service";

/// Starts k3s, or restarts it if its files changed, and asks whether it is ready.
/// The unit is `Type=notify`: systemd answers when k3s says that it is up.
///
/// # Errors
/// [`Stop`] while it is not ready.
pub async fn cluster_ready(world: &World, changed: bool) -> Result<(), Stop> {
    let up = world
        .ask(move |services, _| {
            if changed && services.is_active(UNIT)? {
                services.restart(UNIT)
            } else {
                services.start(UNIT)
            }
        })
        .await;
    up.map_err(|e| Stop::wait(On::Cluster, e.to_string()))?;
    match world.ask(|_, cluster| evidence::ready(cluster)).await {
        Ok(answer) if answer == "ok" => Ok(()),
        Ok(answer) => Err(Stop::wait(On::Cluster, format!("/readyz says {answer}"))),
        Err(error) => Err(Stop::wait(On::Cluster, error.to_string())),
    }
}
