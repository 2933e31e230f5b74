//! Following the gateway's machines until the gateway is healthy, or fails.
//!
//! A poll costs two requests, however many machines there are: all machines by
//! their ids, and all events since the last poll.

use tokio::time::{Instant, sleep};

use postern_contract::state::State;

use super::claim::{Claimed, release};
use super::deployment::{Deployment, Timeouts};
use super::error::{DeployError, FailedMachine};
use super::log::{masked, relevant_lines};
use super::node::Node;
use super::outcome::{Outcome, ReportedBy};
use super::stage::Progress;
use super::watch::Watch;
use crate::maas::machines::{Machine, Status};
use crate::maas::operations::MachineFilter;
use crate::maas::{MaasError, Region};
use crate::palette::GatewayState;
use crate::report::Report;

/// What the follower needs beside the machines.
pub(super) struct Context<'a> {
    pub(super) region: &'a Region,
    pub(super) deployment: &'a Deployment<'a>,
    pub(super) timeouts: &'a Timeouts,
    pub(super) report: &'a Report,
    /// Whether a failed deployment releases its machines.
    pub(super) release_on_failure: bool,
}

/// Follows the machines of one deployment.
pub(super) struct Follow<'a> {
    context: Context<'a>,
    nodes: Vec<Node>,
    seen: Option<u64>,
    /// Since when all machines are deployed.
    deployed: Option<Instant>,
    /// The last message about Palette.
    palette: Option<String>,
    /// Since when MAAS does not respond.
    unreachable_since: Option<Instant>,
}

impl<'a> Follow<'a> {
    pub(super) fn new(context: Context<'a>, ours: Vec<Claimed>) -> Self {
        let names = ours.iter().map(|one| one.machine.to_string());
        let width = names.map(|name| name.len()).max().unwrap_or_default();
        let node = |one: Claimed| Node {
            step: Some(
                context
                    .report
                    .step(format!("{:width$}", one.machine.to_string())),
            ),
            was_deployed: one.machine.status == Status::Deployed,
            machine: one.machine,
            since: one.since,
            progress: Progress::default(),
            shown: String::new(),
        };
        let nodes = ours.into_iter().map(node).collect();
        Self {
            context,
            nodes,
            seen: None,
            deployed: None,
            palette: None,
            unreachable_since: None,
        }
    }

    /// Whether to continue although MAAS did not respond: the machines continue
    /// without us, and a region restarts now and then.
    fn may_recover(&mut self, error: &MaasError) -> bool {
        if !error.may_have_worked() {
            return false;
        }
        if self.unreachable_since.is_none() {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            self.context.report.note(format!("{first}; still trying"));
        }
        let since = self.unreachable_since.get_or_insert_with(Instant::now);
        since.elapsed() < self.context.timeouts.gateway_timeout
    }

    /// Polls until the gateway is healthy, fails, or the timeout ends.
    pub(super) async fn run<W: Watch>(
        mut self,
        mut watch: Option<&mut W>,
    ) -> Result<(Outcome, Vec<Machine>), DeployError> {
        loop {
            match self.poll().await {
                Ok(()) => self.unreachable_since = None,
                Err(DeployError::Maas(error)) if self.may_recover(&error) => {
                    sleep(self.context.timeouts.poll_interval).await;
                    continue;
                }
                Err(error) => return Err(error),
            }
            self.report_changes();
            if self
                .nodes
                .iter()
                .any(|node| node.machine.status == Status::Failed)
            {
                return Err(self.failed().await);
            }
            if self.all_deployed() {
                if let Some(watch) = &mut watch
                    && self.is_healthy_in_palette(*watch).await
                {
                    return Ok(self.finish(Outcome::Healthy(ReportedBy::Palette)));
                }
                if let Some(outcome) = self.reported_outcome(watch.is_some()) {
                    return Ok(self.finish(outcome));
                }
                if self.waited() >= self.context.timeouts.gateway_timeout {
                    return Err(self.no_gateway().await);
                }
            }
            sleep(self.context.timeouts.poll_interval).await;
        }
    }

    async fn poll(&mut self) -> Result<(), DeployError> {
        let agent_name = self.context.deployment.agent_name();
        let ids: Vec<_> = self
            .nodes
            .iter()
            .map(|n| n.machine.system_id.clone())
            .collect();
        let ids: Vec<_> = ids.iter().map(String::as_str).collect();
        let select = MachineFilter {
            ids: ids.clone(),
            agent_name: Some(&agent_name),
            ..MachineFilter::default()
        };
        let region = self.context.region;
        let mut found = region.machines(&select).await?;
        let mut events = region.events(&ids, self.seen).await?;
        // They come newest first. The next poll gets what does not fit.
        events.reverse();
        for node in &mut self.nodes {
            let id = &node.machine.system_id;
            let own = events
                .iter()
                .filter(|event| event.node.as_ref() == Some(id) && event.id > node.since);
            own.for_each(|event| node.progress.record(event));
            let at = found.iter().position(|one| one.system_id == *id);
            let now = at.map(|at| found.swap_remove(at));
            node.update(now).map_err(|now| DeployError::Gone {
                machine: node.machine.to_string(),
                now,
                gateway: self.context.deployment.name().to_owned(),
                reason: node.progress.error.clone(),
            })?;
        }
        self.seen = events.last().map(|event| event.id).or(self.seen);
        if self.all_deployed() {
            self.deployed.get_or_insert_with(Instant::now);
        }
        Ok(())
    }

    /// Reports what changed.
    fn report_changes(&mut self) {
        let secrets = self.context.deployment.secrets();
        for node in &mut self.nodes {
            let text = masked(&node.describe(), &secrets);
            if text != node.shown
                && let Some(step) = &node.step
            {
                step.status(&text);
                node.shown = text;
            }
        }
    }

    fn all_deployed(&self) -> bool {
        let mut nodes = self.nodes.iter();
        nodes.all(|node| node.machine.status == Status::Deployed)
    }

    fn waited(&self) -> std::time::Duration {
        self.deployed
            .map(|since| since.elapsed())
            .unwrap_or_default()
    }

    async fn is_healthy_in_palette(&mut self, watch: &mut impl Watch) -> bool {
        let state = watch.state().await;
        let healthy = matches!(state, Ok(GatewayState::Healthy));
        let name = self.context.deployment.name();
        let text = match state {
            Ok(state) => format!("Palette reports that {name} is {state}"),
            Err(error) => format!("cannot query Palette: {error}"),
        };
        if self.palette.as_ref() != Some(&text) {
            self.context.report.note(&text);
            self.palette = Some(text);
        }
        healthy
    }

    /// The outcome that the agents report, unless Palette decides. One healthy agent
    /// is enough: it reports the health of the gateway.
    fn reported_outcome(&self, palette_decides: bool) -> Option<Outcome> {
        if palette_decides {
            return None;
        }
        let timeouts = self.context.timeouts;
        let furthest = self
            .nodes
            .iter()
            .filter_map(|node| node.progress.agent)
            .max();
        let silent = self.nodes.iter().all(|node| node.progress.report.is_none());
        match furthest {
            Some(State::Healthy) => Some(Outcome::Healthy(ReportedBy::Agent)),
            Some(State::Registered) if self.waited() >= timeouts.gateway_timeout => {
                Some(Outcome::Registered)
            }
            _ if silent && self.waited() >= timeouts.agent_timeout => Some(Outcome::Deployed),
            _ => None,
        }
    }

    fn finish(self, outcome: Outcome) -> (Outcome, Vec<Machine>) {
        let machines = self.nodes.into_iter().map(|mut node| {
            if let Some(step) = node.step.take() {
                step.done(&node.shown);
            }
            node.machine
        });
        (outcome, machines.collect())
    }

    async fn failed(&mut self) -> DeployError {
        let secrets = self.context.deployment.secrets();
        let mut failures = Vec::new();
        for node in &self.nodes {
            if node.machine.status != Status::Failed {
                continue;
            }
            let log = self
                .context
                .region
                .install_log(&node.machine.system_id)
                .await;
            let log = match log {
                Ok(Some(log)) => relevant_lines(&log, &secrets),
                Ok(None) => vec!["MAAS has no installation log".to_owned()],
                Err(error) => vec![unread(&error)],
            };
            failures.push(FailedMachine {
                machine: node.machine.to_string(),
                reason: masked(&node.failure(), &secrets),
                log,
            });
        }
        let help = match self.release_if_wanted().await {
            released if released.is_empty() => {
                let ids: Vec<_> = self
                    .nodes
                    .iter()
                    .map(|n| n.machine.system_id.as_str())
                    .collect();
                format!(
                    "release the machines (`maas PROFILE machine release {}`) or run again with --release-on-failure; then deploy again",
                    ids.join("|")
                )
            }
            released => format!("{released}correct the cause and run again"),
        };
        DeployError::Failed { failures, help }
    }

    async fn no_gateway(&mut self) -> DeployError {
        let of = |node: &Node| format!("{}: {}", node.machine, node.describe());
        let mut state: Vec<_> = self.nodes.iter().map(of).collect();
        state.extend(self.palette.clone());
        let kept = match self.release_if_wanted().await {
            released if released.is_empty() => "run again to wait longer".to_owned(),
            released => released.trim_end_matches("; ").to_owned(),
        };
        DeployError::NoGateway {
            gateway: self.context.deployment.name().to_owned(),
            minutes: self.context.timeouts.gateway_timeout.as_secs() / 60,
            state: masked(&state.join("; "), &self.context.deployment.secrets()),
            kept,
        }
    }

    /// Releases the machines that were not deployed before this run, if the options
    /// say so.
    async fn release_if_wanted(&mut self) -> String {
        for node in &mut self.nodes {
            // Dropping the step reports that it failed.
            node.step = None;
        }
        if !self.context.release_on_failure {
            return String::new();
        }
        let ours = self.nodes.iter().filter(|node| !node.was_deployed);
        let machines: Vec<_> = ours.map(|node| &node.machine).collect();
        release(self.context.region, &machines, self.context.report).await
    }
}

fn unread(error: &MaasError) -> String {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    format!("cannot read the installation log: {first}")
}
