//! What happens to a machine while MAAS deploys it, step by step.
//!
//! The events are MAAS' own, with its levels and terms (`maascommon/events.py`):
//! an event shows the description of its type and a text; the *name* of a status
//! report is kept by MAAS but shown by no list of events. A report becomes an
//! event when it is a start or a failure; progress and success leave none.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::FleetState;
use super::model::{Machine, Status};
use crate::maas::region::version::Release;
use crate::maas::{Report, ReportFile};

/// One step of a machine's life.
#[derive(Clone, Debug, PartialEq)]
pub enum LifeStep {
    /// It asks for what to boot, and gets MAAS' installer.
    NetworkBoot,
    /// It sends this to MAAS' status webhook.
    Reports(Report),
    /// curtin is done, the machine restarts from its disk.
    Reboots,
    /// Its cloud-init fetches the user-data: deployed.
    FetchesUserData,
    /// Its power controller does not answer: MAAS gives up at once.
    PowerFails,
    /// MAAS waits no longer.
    TimesOut,
    /// Somebody ends the deployment.
    Aborted,
    /// Somebody gives it back.
    Released,
    /// Nothing changes, this time.
    Idle,
    /// All of these between two polls.
    Several(Vec<LifeStep>),
}

impl LifeStep {
    /// A report that something begins.
    pub fn starts(origin: &str, name: &str, description: &str) -> Self {
        Self::Reports(report(origin, name, description, "start"))
    }

    /// A report of the gateway's agent that it reached `state`.
    pub fn agent(state: &str) -> Self {
        let description = format!("gateway is {state}");
        Self::starts("postern-agent", &format!("postern/{state}"), &description)
    }

    /// A report of the gateway's agent that it waits: `palette: it answered 503`.
    pub fn agent_waits(what: &str) -> Self {
        let description = format!("waiting for {what}");
        Self::starts("postern-agent", "postern/online", &description)
    }

    /// curtin's last report of an installation that failed, with its log.
    pub fn curtin_fails(log: &str) -> Self {
        let mut last = report("curtin", "cmd-install", "curtin command install", "finish");
        last.result = Some("FAIL".to_owned());
        last.files = vec![ReportFile {
            path: "/tmp/install.log".to_owned(),
            encoding: "base64".to_owned(),
            content: STANDARD.encode(log),
        }];
        Self::Reports(last)
    }

    /// What happens between the start of a deployment and its end.
    pub fn installation() -> Vec<Self> {
        let stage = |stage: &str, text: &str| {
            Self::starts("curtin", &format!("cmd-install/stage-{stage}"), text)
        };
        vec![
            Self::NetworkBoot,
            Self::starts("curtin", "cmd-install", "curtin command install"),
            stage("partitioning", "configuring storage"),
            stage("extract", "writing install sources to disk"),
            stage("curthooks", "configuring installed system"),
            Self::Reboots,
            Self::FetchesUserData,
        ]
    }

    /// A whole life: installed, and a gateway in the end.
    pub fn gateway() -> Vec<Self> {
        let mut all = Self::installation();
        let states = ["online", "cluster-ready", "registered", "healthy"];
        all.extend(states.map(Self::agent));
        all
    }
}

fn report(origin: &str, name: &str, description: &str, event_type: &str) -> Report {
    Report {
        name: name.to_owned(),
        description: description.to_owned(),
        event_type: event_type.to_owned(),
        origin: origin.to_owned(),
        timestamp: 1_795_197_081.24,
        result: None,
        files: Vec::new(),
    }
}

/// An entry of a machine's event log.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeEvent {
    /// Counts over all machines.
    pub id: u64,
    /// The machine's system id.
    pub node: String,
    /// Its host name.
    pub hostname: String,
    /// `DEBUG`, `INFO` or `ERROR`.
    pub level: &'static str,
    /// What it is about, in MAAS' own terms.
    pub kind: &'static str,
    /// The rest.
    pub description: String,
}

impl NodeEvent {
    pub(super) fn document(&self) -> Value {
        json!({
            "username": "unknown",
            "node": self.node,
            "hostname": self.hostname,
            "id": self.id,
            "level": self.level,
            "created": "Fri, 20 Nov. 2026 20:11:08",
            "type": self.kind,
            "description": self.description,
        })
    }
}

impl FleetState {
    /// Adds to a machine's event log.
    pub(super) fn log_event(
        &mut self,
        system_id: &str,
        (level, kind): (&'static str, &'static str),
        description: impl Into<String>,
    ) {
        self.last_event += 1;
        let hostname = self.get(system_id).map(|machine| machine.hostname.clone());
        self.events.push(NodeEvent {
            id: self.last_event,
            node: system_id.to_owned(),
            hostname: hostname.unwrap_or_default(),
            level,
            kind,
            description: description.into(),
        });
    }

    /// Lets the next step of a machine's plan happen, once it is deployed.
    pub(super) fn advance(&mut self, system_id: &str) {
        let Some(machine) = self.get_mut(system_id) else {
            return;
        };
        if !matches!(machine.status, Status::Deploying | Status::Deployed) {
            return;
        }
        if let Some(next) = machine.plan.pop_front() {
            self.apply(system_id, next);
        }
    }

    /// Applies a step of a machine's life.
    pub(super) fn apply(&mut self, system_id: &str, step: LifeStep) {
        match step {
            LifeStep::Idle => {}
            LifeStep::Several(several) => {
                for one in several {
                    self.apply(system_id, one);
                }
            }
            LifeStep::NetworkBoot => {
                self.log_event(system_id, ("DEBUG", "Node powered on"), "");
                self.log_event(system_id, ("INFO", "Performing PXE boot"), "");
                self.log_event(system_id, ("INFO", "Loading ephemeral"), "");
            }
            LifeStep::Reports(report) => self.receive_report(system_id, &report),
            LifeStep::Reboots => self.log_event(system_id, ("INFO", "Rebooting"), ""),
            LifeStep::FetchesUserData => {
                if self.transition(system_id, Status::Deploying, Status::Deployed) {
                    self.log_event(system_id, ("INFO", "Deployed"), "");
                }
            }
            LifeStep::TimesOut => {
                // Since 3.6 a workflow watches the whole deployment.
                let why = match self.release {
                    Release::V2_9 | Release::V3_4 => {
                        "Node operation 'Deploying' timed out after 30 minutes."
                    }
                    Release::V3_7 | Release::V3_8 => "time-out during deployment",
                };
                self.fail(system_id, why);
            }
            LifeStep::PowerFails => {
                let why = "No rack controllers can access the BMC of node";
                self.log_event(system_id, ("ERROR", "Failed to query node's BMC"), why);
                self.transition(system_id, Status::Deploying, Status::Allocated);
            }
            LifeStep::Aborted => {
                self.transition(system_id, Status::Deploying, Status::Allocated);
                self.log_event(system_id, ("INFO", "Aborted deployment"), "");
            }
            LifeStep::Released => self.make_ready(system_id),
        }
    }

    /// What MAAS makes of a status report (`metadataserver/api_twisted.py`).
    fn receive_report(&mut self, system_id: &str, report: &Report) {
        let Some(machine) = self.get_mut(system_id) else {
            return;
        };
        let failed = matches!(report.result.as_deref(), Some("FAIL" | "FAILURE"));
        let status = machine.status;
        for file in &report.files {
            if file.path == "/tmp/install.log" {
                machine.log = STANDARD.decode(&file.content).ok();
            }
        }
        if report.event_type == "start" || failed {
            if report.event_type == "start"
                && let Some(kind) = stage(&report.name)
            {
                self.log_event(system_id, ("INFO", kind), "");
            }
            let kind = match (status, failed, report.result.as_deref()) {
                (Status::Deploying, false, _) => ("DEBUG", "Node installation"),
                (Status::Deploying, true, _) => ("ERROR", "Node installation failure"),
                (Status::Deployed, _, Some("FAIL")) => ("ERROR", "Node post-installation failure"),
                _ => ("DEBUG", "Node status event"),
            };
            let text = format!("'{}' {}", report.origin, report.description);
            self.log_event(system_id, kind, text);
        }
        if report.fails_the_deployment() && status == Status::Deploying {
            let why = "Installation failed (refer to the installation log for more information).";
            self.fail(system_id, why);
        }
    }

    fn fail(&mut self, system_id: &str, why: &str) {
        if self.transition(system_id, Status::Deploying, Status::FailedDeployment) {
            if let Some(machine) = self.get_mut(system_id) {
                machine.error = why.to_owned();
            }
            self.log_event(system_id, ("ERROR", "Marking node failed"), why);
        }
    }

    /// Ready at once: the power of these machines can always be controlled.
    pub(super) fn make_ready(&mut self, system_id: &str) {
        self.log_event(system_id, ("INFO", "Releasing"), "");
        if let Some(machine) = self.get_mut(system_id) {
            let plan = std::mem::take(&mut machine.plan);
            *machine = Machine {
                status: Status::Ready,
                owner: None,
                agent_name: String::new(),
                owner_data: std::collections::BTreeMap::new(),
                on: false,
                series: String::new(),
                user_data: None,
                error: String::new(),
                log: None,
                plan,
                ..machine.clone()
            };
        }
    }

    fn transition(&mut self, system_id: &str, from: Status, to: Status) -> bool {
        match self.get_mut(system_id) {
            Some(machine) if machine.status == from => {
                machine.status = to;
                true
            }
            _ => false,
        }
    }
}

/// The extra event of some of curtin's stages.
fn stage(name: &str) -> Option<&'static str> {
    match name {
        "cmd-install/stage-partitioning" => Some("Configuring storage"),
        "cmd-install/stage-extract" => Some("Installing OS"),
        "cmd-install/stage-curthooks" => Some("Configuring OS"),
        _ => None,
    }
}
