//! The stations of a boot, and when each was reached.

use std::time::Duration;

use postern_sim::events::Event;
use postern_sim::maas::{Event as Maas, NodeState};
use postern_sim::palette::{Event as Palette, Stage};

use super::console::Heard;

/// Something on the way from power-on to a paired gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Station {
    /// Firmware and boot loader are done.
    Kernel,
    /// The root is verified; state and seed are mounted.
    RootVerified,
    /// cloud-init fetched the user-data from MAAS.
    Deployed,
    /// The agent configured proxy, trust and k3s.
    Configured,
    /// There is a network.
    Online,
    /// k3s is ready.
    ClusterReady,
    /// The way to Palette is free.
    PreflightOk,
    /// Palette's manifests are in the cluster.
    ManifestsApplied,
    /// Palette knows the gateway.
    Registered,
    /// Palette's agent runs.
    Healthy,
    /// Palette itself says so.
    PairedWithPalette,
    /// The agent told MAAS, before it erases the key for that.
    ToldMaas,
}

impl Station {
    /// All stations of a first boot, in order.
    pub const FIRST_BOOT: [Station; 12] = [
        Station::Kernel,
        Station::RootVerified,
        Station::Deployed,
        Station::Configured,
        Station::Online,
        Station::ClusterReady,
        Station::PreflightOk,
        Station::ManifestsApplied,
        Station::Registered,
        Station::Healthy,
        Station::PairedWithPalette,
        Station::ToldMaas,
    ];
    /// Those of a later boot, for which neither MAAS nor Palette is there.
    pub const LATER_BOOT: [Station; 3] = [Station::Kernel, Station::RootVerified, Station::Healthy];

    /// As a person reads it.
    pub const fn title(self) -> &'static str {
        match self {
            Station::Kernel => "firmware and boot loader",
            Station::RootVerified => "root verified, state and seed mounted",
            Station::Deployed => "cloud-init fetched its user-data, MAAS says Deployed",
            Station::Configured => "agent configured proxy, trust and k3s",
            Station::Online => "network is up",
            Station::ClusterReady => "k3s is ready",
            Station::PreflightOk => "the way to Palette is free",
            Station::ManifestsApplied => "Palette's manifests are applied",
            Station::Registered => "registered with Palette",
            Station::Healthy => "Palette's agent runs",
            Station::PairedWithPalette => "Palette says Running and Healthy",
            Station::ToldMaas => "MAAS was told so",
        }
    }

    /// The station that a line of the console tells of.
    pub fn of_console(heard: &Heard) -> Option<Self> {
        Some(match heard {
            Heard::Kernel => Self::Kernel,
            Heard::RootVerified => Self::RootVerified,
            Heard::Agent { state, .. } => match state.as_str() {
                "configured" => Self::Configured,
                "online" => Self::Online,
                "cluster-ready" => Self::ClusterReady,
                "preflight-ok" => Self::PreflightOk,
                "manifests-applied" => Self::ManifestsApplied,
                "registered" => Self::Registered,
                "healthy" => Self::Healthy,
                _ => return None,
            },
            Heard::Login | Heard::Refused(_) | Heard::Panic(_) => return None,
        })
    }

    /// The station that a simulator's event tells of.
    pub fn of_event(event: &Event) -> Option<Self> {
        match event {
            Event::Maas(Maas::State(NodeState::Deployed)) => Some(Self::Deployed),
            Event::Palette(Palette::Reached {
                stage: Stage::Healthy,
                ..
            }) => Some(Self::PairedWithPalette),
            Event::Maas(Maas::Status { name, .. }) if name == "postern/healthy" => {
                Some(Self::ToldMaas)
            }
            _ => None,
        }
    }
}

/// When each station was reached, from power-on.
#[derive(Clone, Debug, Default)]
pub struct Timeline(Vec<(Station, Duration)>);

impl Timeline {
    /// Notes a station; only its first time counts.
    pub fn reached(&mut self, station: Station, after: Duration) {
        if !self.has(station) {
            self.0.push((station, after));
        }
    }

    /// Whether it was reached.
    pub fn has(&self, station: Station) -> bool {
        self.0.iter().any(|(s, _)| *s == station)
    }

    /// In the order they were reached.
    pub fn iter(&self) -> impl Iterator<Item = (Station, Duration)> + '_ {
        self.0.iter().copied()
    }

    /// From power-on to the last station.
    pub fn total(&self) -> Duration {
        self.0.last().map(|(_, after)| *after).unwrap_or_default()
    }
}
