//! `postern deploy`

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use postern_contract::gateway::{GatewayFile, Nodes, Token};
use serde_json::{Value, json};

use super::maas::Maas;
use super::palette::Palette;
use super::{Global, print_json, warn};
use crate::artifact::Artifacts;
use crate::deploy::{
    Action, Deployed, Deployment, Options, PaletteWatch, Plan, Timeouts, deploy, plan,
};
use crate::maas::machines::Machine;
use crate::maas::{ApiKey, Image, MaasError};
use crate::palette::Operator;
use crate::report::{Report, bytes};
use crate::userdata;

/// Deploy machines of MAAS as a gateway
///
/// Checks MAAS, allocates the machines that the gateway file asks for, deploys the
/// image on them and follows them until the gateway is healthy. Upload the image
/// first, with `postern upload`. After an interruption MAAS goes on with the
/// machines, and the same command continues; machines of others are never touched.
/// The API key comes from MAAS_API_KEY or a file, never from an argument. With your
/// Palette API key (SPECTROCLOUD_APIKEY) the command obtains what the gateway file
/// leaves to Palette, and ends when Palette reports the gateway healthy; without
/// it, when the agent does.
#[derive(Debug, Args)]
pub struct Deploy {
    /// Directory of an image, as `postern build` writes it
    image: PathBuf,
    /// The gateway file
    gateway: PathBuf,
    #[command(flatten)]
    maas: Maas,
    #[command(flatten)]
    palette: Palette,
    /// Show what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Release the machines to MAAS if the deployment fails
    #[arg(long, conflicts_with = "dry_run")]
    release_on_failure: bool,
    /// Wait this long for the gateway once its machines are deployed, as 45m; MAAS
    /// itself limits how long deploying may take [default: 30m]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,
    /// Print the result as one JSON document
    #[arg(long)]
    json: bool,
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed = text.parse::<jiff::SignedDuration>();
    let parsed = parsed
        .ok()
        .and_then(|duration| Duration::try_from(duration).ok());
    parsed.ok_or_else(|| "write it as 90s, 45m or 2h".to_owned())
}

impl Deploy {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<()> {
        let report = global.report();
        let artifacts = Artifacts::open(&self.image).map_err(MaasError::from)?;
        let image = Image::of(&artifacts, None)?;
        let mut gateway = userdata::load(&self.gateway)?;
        warn(&report, &gateway.warnings);
        give_token(&mut gateway, &self.maas.key()?);
        let operator = self.palette.operator(&gateway)?;
        let runtime = super::runtime()?;
        runtime.block_on(self.deploy(&image, &mut gateway, operator.as_ref(), &report))
    }

    async fn deploy(
        &self,
        image: &Image,
        gateway: &mut GatewayFile,
        operator: Option<&Operator>,
        report: &Report,
    ) -> anyhow::Result<()> {
        let region = &self.maas.region(report).await?;
        let deployment = Deployment::new(image, gateway);
        let plan = plan(region, &deployment, report).await?;
        if self.dry_run {
            if gateway.obtain.is_none() {
                Deployment::with_user_data(image, gateway)?;
            }
            match self.json {
                true => print_json(&planned(&plan, &deployment))?,
                false => print!("{}", table(&plan)),
            }
            report.note("dry run: nothing is changed");
            return Ok(());
        }
        // Only the first machine, which is deployed before all others, needs what
        // Palette provides.
        let follows = |(_, action): &(Machine, Action)| *action == Action::Follow;
        let deployment = if plan.machines.iter().all(follows) {
            Deployment::new(image, gateway)
        } else if plan.machines.iter().any(follows) {
            Deployment::joining(image, gateway)?
        } else {
            Palette::obtain(operator, gateway, report).await?;
            Deployment::with_user_data(image, gateway)?
        };
        let timeouts = Timeouts::default();
        let gateway_timeout = self.timeout.unwrap_or(timeouts.gateway_timeout);
        let options = Options {
            timeouts: Timeouts {
                gateway_timeout,
                ..timeouts
            },
            release_on_failure: self.release_on_failure,
            report,
        };
        let name = deployment.name();
        let mut watched = operator.map(|operator| PaletteWatch { operator, name });
        let deployed = deploy(region, &deployment, options, watched.as_mut()).await?;
        report.note(deployed.outcome.describe(name));
        match self.json {
            true => print_json(&document(&deployed, &deployment))?,
            false => deployed
                .machines
                .iter()
                .for_each(|one| println!("{}", line(one))),
        }
        Ok(())
    }
}

/// Sets the token by which machines join the cluster: three do, and a single one
/// with an endpoint may be joined later. It is derived from the operator's key, so
/// that a run that continues another one has the same token.
fn give_token(file: &mut GatewayFile, key: &ApiKey) {
    let cluster = &mut file.gateway.cluster;
    let joined = cluster.nodes == Nodes::Three || cluster.api_endpoint.is_some();
    if joined && cluster.token.is_none() {
        let purpose = format!("token of the cluster of gateway {}", file.gateway.name);
        cluster.token = Some(Token::from(&key.derived(&purpose)));
    }
}

fn head(deployment: &Deployment<'_>) -> Value {
    json!({"gateway": deployment.name(), "distro_series": deployment.image.series()})
}

fn planned(plan: &Plan, deployment: &Deployment<'_>) -> Value {
    let machines = plan.machines.iter().map(|(machine, action)| {
        json!({"system_id": machine.system_id, "fqdn": machine.fqdn, "todo": action})
    });
    let mut document = head(deployment);
    document["dry_run"] = json!(true);
    document["machines"] = Value::from_iter(machines);
    document["notes"] = json!(plan.notes);
    document
}

fn document(deployed: &Deployed, deployment: &Deployment<'_>) -> Value {
    let machines = deployed.machines.iter().map(|machine| {
        json!({
            "system_id": machine.system_id,
            "fqdn": machine.fqdn,
            "addresses": machine.ip_addresses,
        })
    });
    let mut document = head(deployment);
    document["end"] = json!(deployed.outcome.keyword());
    document["told_by"] = json!(deployed.outcome.reported_by());
    document["machines"] = Value::from_iter(machines);
    document
}

/// `4hsthq node-1.maas 10.0.0.5`
fn line(machine: &Machine) -> String {
    let words = [machine.system_id.as_str(), &machine.fqdn];
    let addresses = machine.ip_addresses.iter().map(String::as_str);
    words
        .into_iter()
        .chain(addresses)
        .collect::<Vec<_>>()
        .join(" ")
}

/// What would be done, one machine per line.
fn table(plan: &Plan) -> String {
    let rows = plan.machines.iter().map(|(machine, action)| {
        let action = match action {
            Action::Allocate => "allocate and deploy",
            Action::Deploy => "deploy",
            Action::Follow => "follow",
        };
        let (cpu, memory) = (machine.cpu_count, bytes(machine.memory()));
        let disk = bytes(machine.disk());
        format!("{action}  {machine}  {cpu} cores, {memory}, disk {disk}\n")
    });
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_people_do() {
        for (text, seconds) in [("45m", 2700), ("90s", 90), ("2h", 7200), ("1h 5m", 3900)] {
            assert_eq!(duration(text).unwrap().as_secs(), seconds, "{text}");
        }
        for bad in ["", "5", "-5m", "soon"] {
            assert!(duration(bad).unwrap_err().contains("45m"), "{bad}");
        }
    }
}
