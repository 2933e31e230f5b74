//! `postern-agent console`: keeps the page on the machine's own screen.
//!
//! It only reads `status.json`, so the agent does not depend on screens.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use fs_err as fs;
use postern_contract::host::pace::Pace;

use super::{model, page};
use crate::host::events::Events;

/// Clears the screen, cursor to the top (ECMA-48).
const CLEAR: &str = "\x1b[2J\x1b[H";

/// How old the times on the page may get.
const MAX_PAGE_AGE: Duration = Duration::from_secs(60);

/// Draws the page at every change of the status file, and now and then for the
/// times on it; returns only with an error.
///
/// # Errors
/// If the folder cannot be watched or the screen cannot be written to.
pub async fn keep(
    path: &Path,
    screen: &mut dyn Write,
    pace: &dyn Pace,
) -> io::Result<std::convert::Infallible> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder)?;
    let events = Events::in_folder(folder)?;
    loop {
        draw(path, screen, pace)?;
        tokio::select! {
            changed = events.next() => changed?,
            () = pace.sleep(MAX_PAGE_AGE) => {}
        }
    }
}

/// Draws the page once.
///
/// # Errors
/// If the screen cannot be written to.
pub fn draw(path: &Path, screen: &mut dyn Write, pace: &dyn Pace) -> io::Result<()> {
    let text = match model::read(path) {
        Ok(status) => page::render(&status, pace.now()),
        Err(why) => format!("{why}\n"),
    };
    write!(screen, "{CLEAR}Postern gateway\n\n{text}")?;
    screen.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::model::Status;
    use jiff::Timestamp;
    use postern_contract::host::files::write_atomic;
    use postern_contract::host::pace::RealPace;

    /// A screen that is unplugged once it shows this.
    struct Screen(Vec<u8>, &'static str);

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            let shown = String::from_utf8_lossy(&self.0).contains(self.1);
            if shown {
                Err(io::ErrorKind::BrokenPipe.into())
            } else {
                Ok(())
            }
        }
    }

    #[tokio::test]
    async fn draws_again_when_the_status_changes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/status.json");
        let mut screen = Screen(Vec::new(), "unconfigured");
        let write = async {
            tokio::task::yield_now().await;
            let text = serde_json::to_vec(&Status::new(Timestamp::UNIX_EPOCH)).unwrap();
            write_atomic(&path, &text, 0o644).unwrap();
        };
        let (kept, ()) = tokio::join!(keep(&path, &mut screen, &RealPace), write);
        assert_eq!(kept.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        let shown = String::from_utf8(screen.0).unwrap();
        assert!(shown.contains("the agent has not started"), "{shown}");
    }
}
