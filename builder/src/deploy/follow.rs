//! The gateway's machines, watched until they are one, or are not.
//!
//! Two requests a look, however many machines there are: all machines by their
//! ids, and all events since the last look.

use tokio::time::{Instant, sleep};

use postern_contract::state::State;

use super::claim::{Ours, release};
use super::error::{DeployError, Failure};
use super::gateway::{GatewayState, Watch};
use super::log::{masked, telling};
use super::order::{Order, Pace};
use super::stage::Progress;
use super::{By, End};
use crate::maas::machines::{Machine, Status};
use crate::maas::operations::Select;
use crate::maas::{MaasError, Region};
use crate::report::{Report, StepGuard};

/// What following needs beside the machines.
pub(super) struct Around<'a> {
    pub(super) region: &'a Region,
    pub(super) order: &'a Order<'a>,
    pub(super) pace: &'a Pace,
    pub(super) report: &'a Report,
    /// Whether machines are given back when it fails.
    pub(super) release_on_failure: bool,
}

/// One machine that is followed.
struct Node {
    machine: Machine,
    since: u64,
    progress: Progress,
    /// Whether it was deployed before we looked: then it is never given back.
    was_deployed: bool,
    step: Option<StepGuard>,
    shown: String,
}

/// The machines that are followed.
pub(super) struct Follow<'a> {
    around: Around<'a>,
    nodes: Vec<Node>,
    seen: Option<u64>,
    /// Since when all machines are deployed.
    deployed: Option<Instant>,
    /// What Palette said last.
    palette: Option<String>,
    /// Since when MAAS does not answer.
    away: Option<Instant>,
}

impl<'a> Follow<'a> {
    pub(super) fn new(around: Around<'a>, ours: Vec<Ours>) -> Self {
        let names = ours.iter().map(|one| one.machine.to_string());
        let width = names.map(|name| name.len()).max().unwrap_or_default();
        let node = |one: Ours| Node {
            step: Some(
                around
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
            around,
            nodes,
            seen: None,
            deployed: None,
            palette: None,
            away: None,
        }
    }

    /// Whether to go on although MAAS did not answer: the machines go on
    /// without us, and a region is restarted now and then.
    fn may_return(&mut self, error: &MaasError) -> bool {
        if !error.may_have_worked() {
            return false;
        }
        if self.away.is_none() {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            self.around.report.note(format!("{first}; still trying"));
        }
        let since = self.away.get_or_insert_with(Instant::now);
        since.elapsed() < self.around.pace.patience
    }

    /// Watches until the end.
    pub(super) async fn until_the_end<W: Watch>(
        mut self,
        mut watch: Option<&mut W>,
    ) -> Result<(End, Vec<Machine>), DeployError> {
        loop {
            match self.look().await {
                Ok(()) => self.away = None,
                Err(DeployError::Maas(error)) if self.may_return(&error) => {
                    sleep(self.around.pace.poll).await;
                    continue;
                }
                Err(error) => return Err(error),
            }
            self.show();
            if self
                .nodes
                .iter()
                .any(|node| node.machine.status == Status::Failed)
            {
                return Err(self.failed().await);
            }
            if self.all_deployed() {
                if let Some(watch) = &mut watch
                    && self.palette_says_healthy(*watch).await
                {
                    return Ok(self.ended(End::Healthy(By::Palette)));
                }
                if let Some(end) = self.end_by_agent(watch.is_some()) {
                    return Ok(self.ended(end));
                }
                if self.waited() >= self.around.pace.patience {
                    return Err(self.no_gateway().await);
                }
            }
            sleep(self.around.pace.poll).await;
        }
    }

    async fn look(&mut self) -> Result<(), DeployError> {
        let agent_name = self.around.order.agent_name();
        let ids: Vec<_> = self
            .nodes
            .iter()
            .map(|n| n.machine.system_id.clone())
            .collect();
        let ids: Vec<_> = ids.iter().map(String::as_str).collect();
        let select = Select {
            ids: ids.clone(),
            agent_name: Some(&agent_name),
            ..Select::default()
        };
        let region = self.around.region;
        let mut found = region.machines(&select).await?;
        let mut events = region.events(&ids, self.seen).await?;
        // Told newest first. More than a page are told at the next look.
        events.reverse();
        for node in &mut self.nodes {
            let id = &node.machine.system_id;
            let its = events
                .iter()
                .filter(|event| event.node.as_ref() == Some(id) && event.id > node.since);
            its.for_each(|event| node.progress.learn(event));
            let at = found.iter().position(|one| one.system_id == *id);
            let now = at.map(|at| found.swap_remove(at));
            node.is_now(now).map_err(|now| DeployError::Gone {
                machine: node.machine.to_string(),
                now,
                gateway: self.around.order.name().to_owned(),
                why: node.progress.error.clone(),
            })?;
        }
        self.seen = events.last().map(|event| event.id).or(self.seen);
        if self.all_deployed() {
            self.deployed.get_or_insert_with(Instant::now);
        }
        Ok(())
    }

    /// Tells what changed.
    fn show(&mut self) {
        let secrets = self.around.order.secrets();
        for node in &mut self.nodes {
            let text = masked(&node.text(), &secrets);
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

    async fn palette_says_healthy(&mut self, watch: &mut impl Watch) -> bool {
        let said = watch.state().await;
        let healthy = matches!(said, Ok(GatewayState::Healthy));
        let text = match said {
            Ok(state) => format!("Palette says that {} is {state}", self.around.order.name()),
            Err(error) => format!("Palette cannot be asked: {error}"),
        };
        if self.palette.as_ref() != Some(&text) {
            self.around.report.note(&text);
            self.palette = Some(text);
        }
        healthy
    }

    /// The end that the agents tell, if nobody asks Palette. One healthy agent
    /// is enough: what is healthy is the gateway.
    fn end_by_agent(&self, palette_is_asked: bool) -> Option<End> {
        if palette_is_asked {
            return None;
        }
        let pace = self.around.pace;
        let furthest = self
            .nodes
            .iter()
            .filter_map(|node| node.progress.agent)
            .max();
        let silent = self.nodes.iter().all(|node| node.progress.said.is_none());
        match furthest {
            Some(State::Healthy) => Some(End::Healthy(By::Agent)),
            Some(State::Registered) if self.waited() >= pace.patience => Some(End::Registered),
            _ if silent && self.waited() >= pace.silence => Some(End::Deployed),
            _ => None,
        }
    }

    fn ended(self, end: End) -> (End, Vec<Machine>) {
        let machines = self.nodes.into_iter().map(|mut node| {
            if let Some(step) = node.step.take() {
                step.done(&node.shown);
            }
            node.machine
        });
        (end, machines.collect())
    }

    async fn failed(&mut self) -> DeployError {
        let secrets = self.around.order.secrets();
        let mut failures = Vec::new();
        for node in &self.nodes {
            if node.machine.status != Status::Failed {
                continue;
            }
            let log = self
                .around
                .region
                .install_log(&node.machine.system_id)
                .await;
            let log = match log {
                Ok(Some(log)) => telling(&log, &secrets),
                Ok(None) => vec!["MAAS has no installation log of it".to_owned()],
                Err(error) => vec![unread(&error)],
            };
            failures.push(Failure {
                machine: node.machine.to_string(),
                why: masked(&node.why(), &secrets),
                log,
            });
        }
        let help = match self.give_back().await {
            released if released.is_empty() => {
                let ids: Vec<_> = self
                    .nodes
                    .iter()
                    .map(|n| n.machine.system_id.as_str())
                    .collect();
                format!(
                    "MAAS deploys a failed machine only after its release: `maas PROFILE machine release {}`, or run again with --release-on-failure; then deploy again",
                    ids.join("|")
                )
            }
            released => format!("{released}mend what failed and run again"),
        };
        DeployError::Failed { failures, help }
    }

    async fn no_gateway(&mut self) -> DeployError {
        let of = |node: &Node| format!("{}: {}", node.machine, node.text());
        let mut state: Vec<_> = self.nodes.iter().map(of).collect();
        state.extend(self.palette.clone());
        let kept = match self.give_back().await {
            released if released.is_empty() => "run again to go on waiting".to_owned(),
            released => released.trim_end_matches("; ").to_owned(),
        };
        DeployError::NoGateway {
            gateway: self.around.order.name().to_owned(),
            minutes: self.around.pace.patience.as_secs() / 60,
            state: masked(&state.join("; "), &self.around.order.secrets()),
            kept,
        }
    }

    /// Gives back what was not deployed before we looked, if that is wanted.
    async fn give_back(&mut self) -> String {
        for node in &mut self.nodes {
            // Dropped, it tells that this machine did not get there.
            node.step = None;
        }
        if !self.around.release_on_failure {
            return String::new();
        }
        let ours = self.nodes.iter().filter(|node| !node.was_deployed);
        let machines: Vec<_> = ours.map(|node| &node.machine).collect();
        release(self.around.region, &machines, self.around.report).await
    }
}

impl Node {
    /// Takes what MAAS has of it now; what else it is if it is not being
    /// deployed any more.
    fn is_now(&mut self, now: Option<Machine>) -> Result<(), String> {
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

    /// What it is at.
    fn text(&self) -> String {
        let (status, progress) = (self.machine.status, &self.progress);
        match status {
            Status::Failed => format!("failed: {}", self.why()),
            Status::Deployed => match &progress.said {
                Some(said) => said.text.clone(),
                None => "deployed; nothing heard of its agent yet".to_owned(),
            },
            _ => {
                let power = match self.machine.power_state.as_str() {
                    "error" => ", and MAAS cannot ask for its power",
                    "off" => ", power off",
                    _ => "",
                };
                format!("{}{power}", progress.stage.text())
            }
        }
    }

    fn why(&self) -> String {
        let told = self.machine.error_description.clone();
        let told = told.filter(|text| !text.is_empty());
        let told = told.or_else(|| self.progress.error.clone());
        told.unwrap_or_else(|| "MAAS does not say why".to_owned())
    }
}

fn unread(error: &MaasError) -> String {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    format!("the installation log cannot be read: {first}")
}
