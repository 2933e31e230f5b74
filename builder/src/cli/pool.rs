//! Options for pools.

use clap::builder::FalseyValueParser;
use clap::{ArgAction, Args};

use crate::host::aws::Aws;
use crate::report::Report;
use crate::source::Pools;
use crate::source::pool::{Location, Options};

/// The pools that share packages and results between machines.
#[derive(Debug, Args)]
pub struct Pool {
    // Plain texts, because clap would repeat a malformed one in its error.
    /// Share packages and layers with other machines: a directory, http(s)://… to
    /// read only, or s3://BUCKET/PREFIX (set AWS_ACCESS_KEY_ID, AWS_REGION,
    /// AWS_ENDPOINT_URL …). Pools are tried in this order, before the network;
    /// repeat the option or separate locations by commas
    #[arg(
        long = "pool",
        env = "POSTERN_POOL",
        value_delimiter = ',',
        hide_env_values = true,
        value_name = "LOCATION"
    )]
    pools: Vec<String>,
    /// Copy what the build fetched and made to the pools that lack it
    #[arg(
        long,
        env = "POSTERN_POOL_PUSH",
        action = ArgAction::SetTrue,
        value_parser = FalseyValueParser::new()
    )]
    pool_push: bool,
}

impl Pool {
    /// Opens the pools; offline only those that are directories.
    pub(super) fn open(&self, offline: bool, report: &Report) -> anyhow::Result<Pools> {
        // CI services set variables to nothing where others unset them.
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Given {
        #[command(flatten)]
        pool: Pool,
    }

    fn open(words: &[&str]) -> anyhow::Result<Pools> {
        let given = Given::try_parse_from([&["postern"], words].concat())?;
        given.pool.open(true, &Report::quiet())
    }

    #[test]
    fn several_pools_none_and_empty_ones() {
        assert!(open(&[]).unwrap().is_empty());
        assert!(open(&["--pool", ""]).unwrap().is_empty());
        assert!(
            open(&["--pool", "https://pool.invalid"])
                .unwrap()
                .is_empty()
        );
        let several = open(&["--pool", "/a,, /b", "--pool", "c", "--pool-push"]).unwrap();
        assert_eq!(format!("{several:?}"), r#"Pools(Some(["/a", "/b", "c"]))"#);
    }

    #[test]
    fn a_password_in_an_address_is_refused_and_not_repeated() {
        for address in [
            "https://u:TOPSECRET@pool.invalid",
            "s3://k:TOPSECRET@bucket",
        ] {
            let error = open(&["--pool", address]).unwrap_err();
            assert!(
                !format!("{error:#} {error:?}").contains("TOPSECRET"),
                "{error}"
            );
        }
    }
}
