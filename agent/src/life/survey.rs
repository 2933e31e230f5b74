//! Preflight as a step: every obstacle is told, and the first that matters is waited for.

use std::time::Duration;

use postern_contract::state::State;

use super::{CROWDED, Life};
use crate::journal::condition::{On, Stop};
use crate::preflight;
use crate::preflight::survey::{Subject, no_pod, survey, visit};
use crate::site::settings::Settings;

/// How long the first pod may take: its image is unpacked on slow disks.
const PODS: Duration = Duration::from_secs(120);

impl Life<'_> {
    /// `cluster-ready → preflight-ok`, if nothing stands in the way.
    pub(super) async fn survey(&mut self) -> Result<(), Stop> {
        let settings = self.settings()?;
        let surveyed = survey(&self.subject(&settings)).await?;
        let failed = preflight::failure(&surveyed.checks).map(|c| {
            let remedy = c.remedy.as_deref().unwrap_or_default();
            format!("{}: {}; {remedy}", c.name, c.evidence)
        });
        self.reporter.status.preflight = surveyed.checks;
        match failed {
            Some(detail) => Err(Stop::wait(On::Preflight, detail)),
            None => {
                self.heard();
                self.enter(self.journal.state.preflight_ok()?)?;
                match surveyed.crowded {
                    true => Err(Stop::wait(On::RequestLimit, CROWDED)),
                    false => Ok(()),
                }
            }
        }
    }

    /// Waits for the first pod with a network of its own, for so long that it
    /// would be there if k3s could start any; false if there is another gateway
    /// file meanwhile.
    pub(super) async fn a_pod_is_there(&mut self) -> Result<bool, Stop> {
        while self.waited() < PODS {
            let settings = self.settings()?;
            let looked = visit(&self.subject(&settings), true).await;
            let detail = match looked {
                Ok(Some(_)) => break,
                Ok(None) => no_pod(&settings),
                Err(error) => error.to_string(),
            };
            self.wait(On::PodNetwork, detail).await?;
            if self.journal.state != State::ClusterReady {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn subject<'a>(&'a self, settings: &'a Settings) -> Subject<'a> {
        let image = &self.reporter.status.image;
        Subject {
            world: self.world,
            settings,
            subnets: &self.addresses,
            strategy: self.strategy.as_deref(),
            k3s_version: image.as_ref().map_or("", |image| &image.k3s_version),
        }
    }
}
