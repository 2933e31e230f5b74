//! What can go wrong with an answer of Palette, on demand.

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;

use super::route::Route;
use crate::events;

/// Keeps answers back until it is opened; clones are the same gate.
#[derive(Clone, Debug)]
pub struct Gate(watch::Sender<bool>);

impl Default for Gate {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Gate {
    /// Lets everything through from now on.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    pub(crate) async fn wait(&self) {
        // Cannot fail: the sender is ours.
        let _ = self.0.subscribe().wait_for(|&open| open).await;
    }
}

/// Whether an event is the one waited for.
pub type EventFilter = Arc<dyn Fn(&events::Event) -> bool + Send + Sync>;

/// One way for an answer to go wrong.
#[derive(Clone)]
pub enum Fault {
    /// This HTTP status with an error body of this code; nothing is done.
    Status(u16, &'static str),
    /// 303 to a page in HTML: what a proxy that intercepts does.
    Redirect,
    /// 200 with a page in HTML.
    Html,
    /// 200 with bytes that are no JSON, declared as JSON.
    Garbage,
    /// 200 with this JSON.
    Body(String),
    /// 200 with this text where a manifest is expected.
    Manifest(String),
    /// The request is done, but the connection closes after half of the answer.
    HalfReply,
    /// The request is done, but the connection closes before the answer.
    LostReply,
    /// The request is done, but the answer comes half and then byte by byte,
    /// never whole.
    Dribble,
    /// Nothing happens until the gate opens; then the right answer.
    Stall(Gate),
    /// Nothing happens until such an event is in the log; then the right answer.
    StallUntil(EventFilter),
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status, code) => write!(f, "Status({status}, {code})"),
            Self::Redirect => f.write_str("Redirect"),
            Self::Html => f.write_str("Html"),
            Self::Garbage => f.write_str("Garbage"),
            Self::Body(text) => write!(f, "Body({} bytes)", text.len()),
            Self::Manifest(text) => write!(f, "Manifest({} bytes)", text.len()),
            Self::HalfReply => f.write_str("HalfReply"),
            Self::LostReply => f.write_str("LostReply"),
            Self::Dribble => f.write_str("Dribble"),
            Self::Stall(_) => f.write_str("Stall"),
            Self::StallUntil(_) => f.write_str("StallUntil"),
        }
    }
}

/// Faults that wait for their requests, in the order they were asked for.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<(Route, u32, Fault)>);

impl Faults {
    pub(super) fn add(&mut self, route: Route, times: u32, fault: Fault) {
        self.0.push((route, times, fault));
    }

    /// Forgets those for `route`.
    pub(super) fn clear(&mut self, route: Route) {
        self.0.retain(|(of, ..)| *of != route);
    }

    /// Takes the next fault for `route`, if one is left.
    pub(super) fn take(&mut self, route: Route) -> Option<Fault> {
        self.0.retain(|(_, times, _)| *times > 0);
        let (_, times, fault) = self.0.iter_mut().find(|(of, ..)| *of == route)?;
        *times -= 1;
        Some(fault.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_come_in_order_and_end() {
        let mut faults = Faults::default();
        faults.add(Route::Ping, 2, Fault::Status(503, "A"));
        faults.add(Route::Ping, 1, Fault::Garbage);
        faults.add(Route::Manifest, 1, Fault::Redirect);
        let taken: Vec<_> = (0..4)
            .map(|_| format!("{:?}", faults.take(Route::Ping)))
            .collect();
        let all = [
            "Some(Status(503, A))",
            "Some(Status(503, A))",
            "Some(Garbage)",
            "None",
        ];
        assert_eq!(taken, all);
        assert!(faults.take(Route::Manifest).is_some());
    }
}
