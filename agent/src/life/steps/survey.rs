//! Preflight as a step: every obstacle is told, and the first that matters is waited for.

use super::Life;
use crate::life::survey::{Subject, survey};
use crate::life::trouble::{On, Stop};
use crate::preflight;

impl Life<'_> {
    /// `cluster-ready → preflight-ok`, if nothing stands in the way.
    pub(super) async fn survey(&mut self) -> Result<(), Stop> {
        let (settings, palette) = self.palette()?;
        let subject = Subject {
            world: self.world,
            settings: &settings,
            subnets: &self.addresses,
            palette: &palette,
        };
        let checks = survey(&subject).await?;
        let failed = preflight::failure(&checks).map(|c| {
            let remedy = c.remedy.as_deref().unwrap_or_default();
            format!("{}: {}; {remedy}", c.name, c.evidence)
        });
        self.reporter.status.preflight = checks;
        match failed {
            Some(detail) => Err(Stop::wait(On::Preflight, detail)),
            None => self.enter(self.journal.state.preflight_ok()?),
        }
    }
}
