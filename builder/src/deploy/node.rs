//! A machine that a deployment follows.

use super::stage::Progress;
use crate::maas::machines::{Machine, Status};
use crate::report::StepGuard;

/// A followed machine.
pub(super) struct Node {
    pub(super) machine: Machine,
    pub(super) since: u64,
    pub(super) progress: Progress,
    /// Whether it was deployed before this run: then it is never released.
    pub(super) was_deployed: bool,
    pub(super) step: Option<StepGuard>,
    pub(super) shown: String,
}

impl Node {
    /// Takes its state in MAAS; the state's name is the error if MAAS no longer
    /// deploys it.
    pub(super) fn update(&mut self, now: Option<Machine>) -> Result<(), String> {
        match now {
            Some(now)
                if matches!(
                    now.status,
                    Status::Deploying | Status::Deployed | Status::Failed
                ) =>
            {
                self.machine = now;
                Ok(())
            }
            Some(now) => Err(now.status_name),
            None => Err("free".to_owned()),
        }
    }

    /// What it does now.
    pub(super) fn describe(&self) -> String {
        let (status, progress) = (self.machine.status, &self.progress);
        match status {
            Status::Failed => format!("failed: {}", self.failure()),
            Status::Deployed => match &progress.report {
                Some(report) => report.text.clone(),
                None => "deployed; no report of its agent yet".to_owned(),
            },
            _ => {
                let power = match self.machine.power_state.as_str() {
                    "error" => ", and MAAS cannot read its power state",
                    "off" => ", power off",
                    _ => "",
                };
                format!("{}{power}", progress.stage.describe())
            }
        }
    }

    pub(super) fn failure(&self) -> String {
        let description = self.machine.error_description.clone();
        let description = description.filter(|text| !text.is_empty());
        let reason = description.or_else(|| self.progress.error.clone());
        reason.unwrap_or_else(|| "MAAS gives no reason".to_owned())
    }
}
