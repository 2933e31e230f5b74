//! The milestones of a boot, and when each was reached.

use std::time::Duration;

use postern_sim::events::Event;
use postern_sim::maas::{Event as Maas, NodeState};
use postern_sim::palette::{Event as Palette, Stage};

use super::console::ConsoleEvent;

/// Something on the way from power-on to a paired gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Milestone {
    /// Firmware and boot loader are done.
    Kernel,
    /// The root is verified; state and seed are mounted.
    RootVerified,
    /// cloud-init fetched the user-data from MAAS.
    Deployed,
    /// cloud-init has ended, and no later boot runs it.
    CloudInitOff,
    /// The agent configured proxy, trust and k3s.
    Configured,
    /// There is a network.
    Online,
    /// k3s is ready.
    ClusterReady,
    /// Preflight found no problem on the way to Palette.
    PreflightOk,
    /// Palette's manifests are in the cluster.
    ManifestsApplied,
    /// Palette knows the gateway.
    Registered,
    /// Palette's agent runs.
    Healthy,
    /// Palette itself says so.
    PairedWithPalette,
    /// The agent reported it to MAAS, before it erases the key for that.
    ReportedToMaas,
}

impl Milestone {
    /// All milestones of a first boot, in order.
    pub const FIRST_BOOT: [Milestone; 12] = [
        Milestone::Kernel,
        Milestone::RootVerified,
        Milestone::Deployed,
        Milestone::Configured,
        Milestone::Online,
        Milestone::ClusterReady,
        Milestone::PreflightOk,
        Milestone::ManifestsApplied,
        Milestone::Registered,
        Milestone::Healthy,
        Milestone::PairedWithPalette,
        Milestone::ReportedToMaas,
    ];
    /// Those of a later boot, for which neither MAAS nor Palette is there.
    pub const LATER_BOOT: [Milestone; 3] = [
        Milestone::Kernel,
        Milestone::RootVerified,
        Milestone::Healthy,
    ];

    /// As a person reads it.
    pub const fn title(self) -> &'static str {
        match self {
            Milestone::Kernel => "firmware and boot loader",
            Milestone::RootVerified => "root verified, state and seed mounted",
            Milestone::Deployed => "cloud-init fetched its user-data, MAAS says Deployed",
            Milestone::CloudInitOff => "cloud-init has ended and is kept off",
            Milestone::Configured => "agent configured proxy, trust and k3s",
            Milestone::Online => "network is up",
            Milestone::ClusterReady => "k3s is ready",
            Milestone::PreflightOk => "Palette can be reached",
            Milestone::ManifestsApplied => "Palette's manifests are applied",
            Milestone::Registered => "registered with Palette",
            Milestone::Healthy => "Palette's agent runs",
            Milestone::PairedWithPalette => "Palette says Running and Healthy",
            Milestone::ReportedToMaas => "MAAS shows that it is healthy",
        }
    }

    /// The milestone that a line of the console shows.
    pub fn of_console(event: &ConsoleEvent) -> Option<Self> {
        Some(match event {
            ConsoleEvent::Kernel => Self::Kernel,
            ConsoleEvent::RootVerified => Self::RootVerified,
            ConsoleEvent::CloudInitOff => Self::CloudInitOff,
            ConsoleEvent::Agent { state, .. } => match state.as_str() {
                "configured" => Self::Configured,
                "online" => Self::Online,
                "cluster-ready" => Self::ClusterReady,
                "preflight-ok" => Self::PreflightOk,
                "manifests-applied" => Self::ManifestsApplied,
                "registered" => Self::Registered,
                "healthy" => Self::Healthy,
                _ => return None,
            },
            ConsoleEvent::Login | ConsoleEvent::Refused(_) | ConsoleEvent::Panic(_) => return None,
        })
    }

    /// The milestone that a simulator's event shows.
    pub fn of_event(event: &Event) -> Option<Self> {
        match event {
            Event::Maas(Maas::State(NodeState::Deployed)) => Some(Self::Deployed),
            Event::Palette(Palette::Reached {
                stage: Stage::Healthy,
                ..
            }) => Some(Self::PairedWithPalette),
            Event::Maas(Maas::Status { name, .. }) if name == "postern/healthy" => {
                Some(Self::ReportedToMaas)
            }
            _ => None,
        }
    }
}

/// When each milestone was reached, from power-on.
#[derive(Clone, Debug, Default)]
pub struct Timeline(Vec<(Milestone, Duration)>);

impl Timeline {
    /// Notes a milestone; only its first time counts.
    pub fn reached(&mut self, milestone: Milestone, after: Duration) {
        if !self.has(milestone) {
            self.0.push((milestone, after));
        }
    }

    /// Whether it was reached.
    pub fn has(&self, milestone: Milestone) -> bool {
        self.0.iter().any(|(reached, _)| *reached == milestone)
    }

    /// In the order they were reached.
    pub fn iter(&self) -> impl Iterator<Item = (Milestone, Duration)> + '_ {
        self.0.iter().copied()
    }

    /// From power-on to the last milestone.
    pub fn total(&self) -> Duration {
        self.0.last().map(|(_, after)| *after).unwrap_or_default()
    }
}
