//! Options that name pools.

use clap::Args;
use clap::builder::BoolishValueParser;

use crate::host::aws::Aws;
use crate::report::Report;
use crate::source::Pools;
use crate::source::pool::{Location, Options};

/// Where packages and results are shared.
#[derive(Debug, Args)]
pub struct Pool {
    // Plain texts, because clap would repeat a malformed one in its error.
    /// Share packages and layers with other machines: a directory, http(s)://… to
    /// read only, or s3://BUCKET/PREFIX (AWS_ACCESS_KEY_ID, AWS_REGION,
    /// AWS_ENDPOINT_URL … say how). Asked in this order, before the network;
    /// repeat it or separate them by commas
    #[arg(
        long = "pool",
        env = "POSTERN_POOL",
        value_delimiter = ',',
        hide_env_values = true,
        value_name = "LOCATION"
    )]
    pools: Vec<String>,
    /// After the build, give the pools what it fetched and made and they have not
    #[arg(
        long,
        env = "POSTERN_POOL_PUSH",
        value_parser = BoolishValueParser::new(),
        num_args = 0..=1,
        require_equals = true,
        default_value = "false",
        default_missing_value = "true",
        hide_default_value = true,
        hide_possible_values = true
    )]
    pool_push: bool,
}

impl Pool {
    /// The pools; offline only those that are directories.
    pub(super) fn open(&self, offline: bool, report: &Report) -> anyhow::Result<Pools> {
        // CI sets variables to nothing where others unset them.
        let given = self.pools.iter().map(|text| text.trim());
        let locations = given
            .filter(|text| !text.is_empty())
            .map(str::parse)
            .collect::<Result<Vec<Location>, _>>()?;
        let buckets = locations.iter().any(|l| matches!(l, Location::S3 { .. }));
        let options = Options {
            push: self.pool_push,
            offline,
            aws: match buckets && !offline {
                true => Some(Aws::from_environment()?),
                false => None,
            },
            ..Options::default()
        };
        Ok(Pools::open(&locations, &options, report)?)
    }
}
