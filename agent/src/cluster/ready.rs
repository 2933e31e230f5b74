//! The step `cluster-ready`: k3s runs with the files of the step before.

use crate::cluster::evidence;
use crate::host::consumers::Consumer;
use crate::host::world::World;
use crate::journal::condition::{StepError, WaitingFor};

/// Starts k3s, or restarts it if its files changed, and asks whether it is ready.
/// The unit is `Type=notify`: systemd answers when k3s says that it is up.
///
/// # Errors
/// [`StepError`] while it is not ready.
pub async fn cluster_ready(world: &World) -> Result<(), StepError> {
    let root = world.root.clone();
    let up = world
        .query(move |services, _| Consumer::K3s.start(&root, services))
        .await;
    up.map_err(|e| StepError::wait(WaitingFor::Cluster, e.to_string()))?;
    match world.query(|_, cluster| evidence::ready(cluster)).await {
        Ok(answer) if answer == "ok" => Ok(()),
        Ok(answer) => Err(StepError::wait(
            WaitingFor::Cluster,
            format!("/readyz answers {answer}"),
        )),
        Err(error) => Err(StepError::wait(WaitingFor::Cluster, error.to_string())),
    }
}
