//! A way to Palette under this machine's settings.

use std::rc::Rc;
use std::time::Duration;

use ipnet::IpNet;
use postern_contract::host::http::{MakeClient, Outbound};
use postern_contract::host::pace::Pace;
use url::Url;

use super::{Check, Names, Origin, Route, remote};
use crate::journal::condition::StepError;
use crate::site::reach;
use crate::site::settings::Settings;

/// A way to Palette, from wherever this process is.
pub(super) struct PalettePath<'a> {
    pub settings: &'a Settings,
    pub subnets: &'a [IpNet],
    pub outbound: Outbound,
    pub proxy_timeout: Duration,
    pub make: &'a MakeClient,
    pub from: Origin,
}

impl PalettePath<'_> {
    /// Who must be reached before anyone else.
    pub(super) fn first(&self) -> &Url {
        let proxy = self.settings.proxy_to_palette(self.subnets);
        proxy.unwrap_or(&self.settings.endpoint)
    }

    /// Runs the checks on it; and whether Palette had too many requests.
    pub(super) async fn run_checks(
        &self,
        names: &dyn Names,
        pace: &Rc<dyn Pace>,
    ) -> Result<(Vec<Check>, bool), StepError> {
        let endpoint = &self.settings.endpoint;
        let palette = reach::palette(self.make, &self.outbound, endpoint, pace)?;
        let route = Route {
            endpoint,
            proxy: self.settings.proxy_to_palette(self.subnets),
            palette: &palette,
            outbound: &self.outbound,
            make: self.make,
            from: self.from,
            proxy_timeout: self.proxy_timeout,
        };
        let checks = remote(&route, names, pace.now()).await;
        Ok((checks, palette.is_crowded()))
    }
}
