//! Uploads of the same image at the same time.

use super::releases::{each, of};
use super::*;

impl Bench {
    /// There is one resource with one image, the right one. Sets that nothing was
    /// sent to may be beside it.
    fn right(&self, about: &str) {
        let all = self.region.resources();
        let [one] = all.as_slice() else {
            panic!("{about}: {all:?}");
        };
        let bytes = fs::read(&self.image.path).unwrap();
        let complete: Vec<_> = one.sets.iter().filter(|set| set.is_complete()).collect();
        assert!(!complete.is_empty(), "{about}: {one:?}");
        assert!(complete.iter().all(|set| set.bytes == bytes), "{about}");
        let begun = one.sets.iter().filter(|set| !set.is_complete());
        assert!(begun.clone().all(|set| set.at == 0), "{about}: {one:?}");
    }

    async fn both(&self, limits: &Limits) -> [Result<Uploaded, MaasError>; 2] {
        let (one, two) = tokio::join!(self.run(&self.image, limits), self.run(&self.image, limits));
        [one, two]
    }
}

#[tokio::test]
async fn of_two_first_uploads_one_sends() {
    each(async |release| {
        let bench = of(release).await;
        let patient = Limits {
            settle_polls: 1000,
            ..limits()
        };
        let outcomes = bench
            .both(&patient)
            .await
            .map(|ended| ended.unwrap().outcome);
        assert!(
            outcomes.contains(&Outcome::Uploaded),
            "{release}: {outcomes:?}"
        );
        assert!(
            outcomes.contains(&Outcome::AlreadyThere),
            "{release}: {outcomes:?}"
        );
        assert_eq!(bench.puts(), PIECES, "{release}");
        bench.right(release);
    })
    .await;
}

#[tokio::test]
async fn two_that_do_not_wait_for_each_other_still_make_one_image() {
    each(async |release| {
        for settle_polls in 0..4 {
            let about = format!("{release}, {settle_polls} polls");
            let bench = of(release).await;
            let hasty = Limits {
                settle_polls,
                ..limits()
            };
            for ended in bench.both(&hasty).await {
                let is_expected = ended.map_or_else(|error| error.is_remote(), |_| true);
                assert!(is_expected, "{about}");
            }
            bench.upload().await.unwrap();
            bench.right(&about);
        }
    })
    .await;
}

#[tokio::test]
async fn a_second_run_takes_over_when_the_first_was_killed() {
    each(async |release| {
        let bench = of(release).await;
        bench.region.inject(2, Fault::Stall);
        let patient = Limits {
            settle_polls: 10,
            ..limits()
        };
        // The first to send is held, the other one watches, then goes on.
        let two = bench.both(&patient);
        tokio::select! {
            ended = two => panic!("{ended:?}"),
            ended = async {
                bench.region.stalled(1).await;
                bench.upload().await
            } => drop(ended.unwrap()),
        }
        bench.right(release);
    })
    .await;
}
