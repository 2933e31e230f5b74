//! `postern deploy`

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use postern_contract::gateway::{GatewayFile, Nodes, Token};
use serde_json::{Value, json};

use super::Global;
use super::maas::Maas;
use super::palette::Palette;
use crate::artifact::Artifacts;
use crate::deploy::{Deployed, Manner, Order, Pace, Plan, Todo, Watched, deploy, plan};
use crate::maas::machines::Machine;
use crate::maas::{ApiKey, Image, MaasError};
use crate::palette::Operator;
use crate::report::{Report, bytes};
use crate::userdata;

/// Make machines of MAAS a gateway
///
/// Looks whether MAAS can take it, allocates the machines that the gateway file
/// asks for, deploys the image on them and follows them until the gateway is
/// there. The image must have been brought to MAAS with `postern upload`. A run
/// that is interrupted leaves the machines to MAAS, and the same command goes on
/// with them; machines of others are never touched. The API key is taken from
/// MAAS_API_KEY or a file, never from an argument. With your Palette API key
/// (SPECTROCLOUD_APIKEY) what the gateway file leaves to Palette is obtained, and
/// the end is what Palette says; without it, what the agent tells MAAS.
#[derive(Debug, Args)]
pub struct Deploy {
    /// Directory that `postern build` left
    image: PathBuf,
    /// The gateway file
    gateway: PathBuf,
    #[command(flatten)]
    maas: Maas,
    #[command(flatten)]
    palette: Palette,
    /// Tell what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Give the machines back to MAAS if the deployment fails
    #[arg(long, conflicts_with = "dry_run")]
    release_on_failure: bool,
    /// How long to wait for the gateway once its machines are deployed, as 45m;
    /// how long deploying may take is MAAS' own setting [default: 30m]
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
        let order = Order::new(image, gateway);
        let plan = plan(region, &order, report).await?;
        if self.dry_run {
            if gateway.obtain.is_none() {
                Order::told(image, gateway)?;
            }
            match self.json {
                true => println!("{:#}", planned(&plan, &order)),
                false => print!("{}", table(&plan)),
            }
            report.note("nothing was changed");
            return Ok(());
        }
        // Palette is asked for something only if a machine is yet to be told it:
        // the first one, and it is deployed before all others.
        let follows = |(_, todo): &(Machine, Todo)| *todo == Todo::Follow;
        let order = if plan.machines.iter().all(follows) {
            Order::new(image, gateway)
        } else if plan.machines.iter().any(follows) {
            Order::joining(image, gateway)?
        } else {
            Palette::obtain(operator, gateway, report).await?;
            Order::told(image, gateway)?
        };
        let pace = Pace::default();
        let patience = self.timeout.unwrap_or(pace.patience);
        let manner = Manner {
            pace: Pace { patience, ..pace },
            release_on_failure: self.release_on_failure,
            report,
        };
        let name = order.name();
        let mut watched = operator.map(|operator| Watched { operator, name });
        let deployed = deploy(region, &order, manner, watched.as_mut()).await?;
        report.note(deployed.end.text(name));
        match self.json {
            true => println!("{:#}", document(&deployed, &order)),
            false => deployed
                .machines
                .iter()
                .for_each(|one| println!("{}", line(one))),
        }
        Ok(())
    }
}

/// Machines of three join with a token, and one that has an endpoint may be joined
/// later. It follows from the operator's key, so that a run which goes on with
/// another's machines has the same one.
fn give_token(file: &mut GatewayFile, key: &ApiKey) {
    let cluster = &mut file.gateway.cluster;
    let joined = cluster.nodes == Nodes::Three || cluster.api_endpoint.is_some();
    if joined && cluster.token.is_none() {
        let purpose = format!("token of the cluster of gateway {}", file.gateway.name);
        cluster.token = Some(Token::from(&key.derived(&purpose)));
    }
}

fn head(order: &Order<'_>) -> Value {
    json!({"gateway": order.name(), "distro_series": order.image.series()})
}

fn planned(plan: &Plan, order: &Order<'_>) -> Value {
    let machines = plan.machines.iter().map(|(machine, todo)| {
        json!({"system_id": machine.system_id, "fqdn": machine.fqdn, "todo": todo})
    });
    let mut document = head(order);
    document["dry_run"] = json!(true);
    document["machines"] = Value::from_iter(machines);
    document["notes"] = json!(plan.notes);
    document
}

fn document(deployed: &Deployed, order: &Order<'_>) -> Value {
    let machines = deployed.machines.iter().map(|machine| {
        json!({
            "system_id": machine.system_id,
            "fqdn": machine.fqdn,
            "addresses": machine.ip_addresses,
        })
    });
    let mut document = head(order);
    document["end"] = json!(deployed.end.word());
    document["told_by"] = json!(deployed.end.told_by());
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

/// What would be done, a machine a line.
fn table(plan: &Plan) -> String {
    let rows = plan.machines.iter().map(|(machine, todo)| {
        let todo = match todo {
            Todo::Allocate => "allocate and deploy",
            Todo::Deploy => "deploy",
            Todo::Follow => "follow",
        };
        let (cpu, memory) = (machine.cpu_count, bytes(machine.memory()));
        let disk = bytes(machine.disk());
        format!("{todo}  {machine}  {cpu} cores, {memory}, disk {disk}\n")
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
