//! Palette's request limit.
//!
//! Documented: 10 requests a second for each source address, counted apart for
//! each parent resource, "burst 5, so at most 50"; more is answered 429 with
//! `TooManyRequests` and no `Retry-After`. Assumed: that this is a bucket of 50
//! which fills at 10 a second, and that `/v1/pcg`, which the table does not
//! list, has the same limit.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;

/// Requests a second that refill a bucket.
const REQUESTS_PER_SECOND: f64 = 10.0;
/// Requests that a full bucket holds.
const MAX_BURST_REQUESTS: f64 = 50.0;

/// One bucket for each source address and parent resource.
#[derive(Debug, Default)]
pub(super) struct Limiter(BTreeMap<(IpAddr, String), (f64, Timestamp)>);

impl Limiter {
    /// Takes one request out of its bucket; false if the bucket is empty.
    pub(super) fn admit(&mut self, source: IpAddr, path: &str, now: Timestamp) -> bool {
        let bucket = self.0.entry((source, parent(path)));
        let (level, since) = bucket.or_insert((MAX_BURST_REQUESTS, now));
        let passed = now.duration_since(*since).as_secs_f64().max(0.0);
        *level = (*level + passed * REQUESTS_PER_SECOND).min(MAX_BURST_REQUESTS);
        *since = now;
        let admitted = *level >= 1.0;
        if admitted {
            *level -= 1.0;
        }
        admitted
    }
}

/// `/v1/overlords` of `/v1/overlords/maas/manifest`.
fn parent(path: &str) -> String {
    let end = path
        .match_indices('/')
        .nth(2)
        .map_or(path.len(), |(i, _)| i);
    path[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;
    use std::net::Ipv4Addr;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn fifty_at_once_then_ten_a_second() {
        let (mut limiter, mut now) = (Limiter::default(), Timestamp::UNIX_EPOCH);
        let count = |limiter: &mut Limiter, now| {
            let more = |_: &u32| limiter.admit(HERE, "/v1/overlords/x", now);
            (0..100).filter(more).count()
        };
        assert_eq!(count(&mut limiter, now), 50);
        now += SignedDuration::from_secs(1);
        assert_eq!(count(&mut limiter, now), 10);
        now += SignedDuration::from_hours(1);
        assert_eq!(count(&mut limiter, now), 50);
    }

    #[test]
    fn each_resource_and_each_address_has_its_own_bucket() {
        let (mut limiter, now) = (Limiter::default(), Timestamp::UNIX_EPOCH);
        while limiter.admit(HERE, "/v1/overlords", now) {}
        assert!(!limiter.admit(HERE, "/v1/overlords/maas/manifest", now));
        assert!(limiter.admit(HERE, "/v1/pcg/x/register", now));
        let there = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
        assert!(limiter.admit(there, "/v1/overlords", now));
    }
}
