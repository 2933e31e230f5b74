//! A simulated MAAS region for measurements and for trying out: prints its
//! address and its key on one line, and ends when its standard input does. The
//! first argument, if any, is the release of MAAS that it plays.

use std::io;

use anyhow::{Context, Result};
use postern_sim::maas::region::{Region, RegionConfig};

fn main() -> Result<()> {
    let mut config = RegionConfig::default();
    if let Some(version) = std::env::args().nth(1) {
        config.version = version;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let region = Region::start(config).await?;
        println!("{} {}", region.url(), region.key());
        let ended = tokio::task::spawn_blocking(|| io::copy(&mut io::stdin(), &mut io::sink()));
        ended.await?.context("waiting for the end of its input")?;
        Ok(())
    })
}
