//! How machines behind one address share Palette's limit of requests.
//!
//! Documented: 10 requests a second for each source address, counted apart for
//! each parent resource (`/v1/overlords`, `/v1/pcg`, …), 50 at most at once, and a
//! 429 that does not say until when. The address is that of the site's NAT or
//! proxy, so a thousand machines that are deployed together share one budget
//! and cannot see each other: each knows its own refusals, and what the gateway
//! file's `palette.fleet` says.
//!
//! A budget is used up without refusals only if machines that have not asked
//! yet are spread over the time that all of them take. No machine can learn
//! that time before its first request, so the gateway file says it
//! ([`Turns::first`]); a fleet that no gateway file names is refused about once per
//! machine, and then spread
//! ([`Turns::again`]).

use std::time::Duration;

/// Requests a second for each source address and parent resource.
const REQUESTS_PER_SECOND: u32 = 10;
/// Requests that may come at once.
const BURST_REQUESTS: u32 = 50;
/// Machines behind one address unless the gateway file says otherwise: so many
/// need not wait for each other.
pub const ALONE: u32 = BURST_REQUESTS;
/// The fleet that a first refusal is taken as a sign of, where the gateway file names none.
const ASSUMED_FLEET: u32 = 1000;
/// Of the time that a fleet takes, so much more, in percent: random moments are
/// not even, and a budget that is used to the last cannot make up for that.
const SLACK_PERCENT: u32 = 2;
/// Shortest spread after a refusal of a fleet that is spread already.
const MIN_RETRY_SPREAD: Duration = Duration::from_secs(8);
/// Longest spread.
const MAX_SPREAD: Duration = Duration::from_secs(3600);

/// One machine's place among those that share its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turns {
    /// Machines that share the address, this one included.
    pub fleet: u32,
    /// Requests that pairing makes of the resource it asks most.
    pub calls: u32,
}

impl Turns {
    /// The time over which the fleet's first requests are spread.
    pub fn first(self) -> Duration {
        self.takes(self.fleet.max(ALONE))
    }

    /// The time over which to spread the next request after refusal number
    /// `refused` in a row, from 1.
    pub fn again(self, refused: u32) -> Duration {
        let first = if self.fleet > ALONE {
            MIN_RETRY_SPREAD
        } else {
            self.takes(ASSUMED_FLEET)
        };
        let doublings = refused.saturating_sub(1).min(12);
        first.saturating_mul(1 << doublings).min(MAX_SPREAD)
    }

    /// The least time to leave Palette alone after a refusal. A crowd that was
    /// not spread has used up the budget: that takes some time to fill again.
    pub fn least(self) -> Duration {
        match self.fleet > ALONE {
            true => Duration::from_secs(1),
            false => MIN_RETRY_SPREAD,
        }
    }

    /// Between two requests of the same machine for its gateway's status, so that
    /// the fleet's requests take half of the budget at most; not less than `least`.
    pub fn between(self, least: Duration) -> Duration {
        let all = Duration::from_secs(1) * self.fleet * 2 / REQUESTS_PER_SECOND;
        all.max(least)
    }

    fn takes(self, fleet: u32) -> Duration {
        let requests = Duration::from_secs(1) * fleet * self.calls.max(1);
        (requests / REQUESTS_PER_SECOND * (100 + SLACK_PERCENT) / 100).min(MAX_SPREAD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(fleet: u32, calls: u32) -> Turns {
        Turns { fleet, calls }
    }

    #[test]
    fn a_fleet_is_spread_over_the_time_that_its_requests_take() {
        for (fleet, calls, least, most) in [
            (1, 1, 5, 6),
            (50, 1, 5, 6),
            (1000, 1, 100, 103),
            (1000, 3, 300, 307),
            (1000, 0, 100, 103),
            (u32::MAX / 1000, 3, 3600, 3600),
        ] {
            let spread = turns(fleet, calls).first().as_secs();
            assert!(
                (least..=most).contains(&spread),
                "{fleet} {calls}: {spread}"
            );
        }
    }

    #[test]
    fn a_refusal_spreads_more_each_time_up_to_an_hour() {
        let seconds = |turns: Turns| [1, 2, 3, 60].map(|n| turns.again(n).as_secs());
        assert_eq!(seconds(turns(1, 1)), [102, 204, 408, 3600]);
        assert_eq!(seconds(turns(1000, 1)), [8, 16, 32, 3600]);
    }

    #[test]
    fn looks_of_a_fleet_take_half_of_the_budget() {
        let least = Duration::from_secs(30);
        assert_eq!(turns(1, 1).between(least), least);
        assert_eq!(turns(1000, 3).between(least).as_secs(), 200);
    }
}
