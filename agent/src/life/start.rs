//! `configured → online → cluster-ready`: the network, and k3s.

use postern_contract::state::State;

use super::machine::Life;
use super::waiting::POLL_INTERVAL;
use crate::cluster::{ready, shared_address};
use crate::journal::condition::{StepError, WaitingFor};
use crate::preflight::online;

/// What is shown while k3s starts.
const STARTING: &str = "k3s is starting: see `journalctl -u k3s`";

impl Life<'_> {
    /// `configured → online`
    pub(super) async fn go_online(&mut self) -> Result<(), StepError> {
        let plan = self.plan()?;
        let settings = plan.settings.clone();
        let addresses = online::online(self.world, &settings)?;
        if addresses != plan.addresses {
            // The exceptions to the proxy hold the machine's own networks.
            self.write(&settings, &addresses).await?;
        }
        let node = (settings.node_name.as_str(), settings.node);
        let address = settings.virtual_address;
        shared_address::share(self.world, address, node, &addresses).await?;
        if let Some(plan) = &mut self.plan {
            plan.addresses = addresses;
        }
        // k3s starts meanwhile, so a turn costs little.
        self.draw_turn()?;
        self.enter(self.journal.state.online()?)
    }

    /// `online → cluster-ready`
    pub(super) async fn start_cluster(&mut self) -> Result<(), StepError> {
        // systemd gives k3s all the time it wants; a person sees that meanwhile, and
        // another gateway file ends the wait.
        let ready = ready::cluster_ready(self.world);
        let mut ready = std::pin::pin!(ready);
        let mut quiet = true;
        loop {
            let still = async {
                if std::mem::take(&mut quiet) {
                    return self.sleep_for(POLL_INTERVAL).await;
                }
                self.wait(WaitingFor::Cluster, STARTING.to_owned()).await
            };
            tokio::select! {
                biased;
                done = &mut ready => {
                    done?;
                    break;
                }
                waited = still => waited?,
            }
            if self.journal.state != State::Online {
                return Ok(());
            }
        }
        self.enter(self.journal.state.cluster_ready()?)
    }
}
