//! The runtime of every command.

use anyhow::Context as _;

/// One thread is enough for a machine that mostly waits.
pub(super) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")
}
