//! How often a request that failed is sent again, and after how long.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};

/// The delays before further attempts.
pub type Backoff = ExponentialBuilder;

/// `retries` further attempts, after 1, 2, 4 … seconds.
pub const fn backoff(retries: usize) -> Backoff {
    Backoff::new()
        .with_min_delay(Duration::from_secs(1))
        .with_max_times(retries)
}

/// Why an attempt failed, and whether another one may work. `?` makes an error
/// permanent.
#[derive(Debug)]
pub enum AttemptError<E> {
    /// Another attempt may work.
    Transient(E),
    /// Another attempt is of no use.
    Permanent(E),
}

impl<E> From<E> for AttemptError<E> {
    fn from(error: E) -> Self {
        Self::Permanent(error)
    }
}

/// Runs `attempt` until it succeeds, fails for good, or `backoff` ends.
///
/// # Errors
/// The error of the last attempt.
pub async fn retry<T, E, F>(backoff: Backoff, attempt: impl FnMut() -> F) -> Result<T, E>
where
    F: Future<Output = Result<T, AttemptError<E>>>,
{
    let retried = attempt
        .retry(backoff)
        .when(|error| matches!(error, AttemptError::Transient(_)));
    retried.await.map_err(|error| match error {
        AttemptError::Transient(error) | AttemptError::Permanent(error) => error,
    })
}

/// `retries` further attempts, at once.
#[cfg(test)]
pub(crate) fn no_delay(retries: usize) -> Backoff {
    backoff(retries).with_min_delay(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn attempts(error: fn() -> AttemptError<&'static str>) -> (u32, &'static str) {
        let mut attempts = 0;
        let failed = retry(no_delay(2), || {
            attempts += 1;
            async move { Err::<(), _>(error()) }
        });
        let error = failed.await.unwrap_err();
        (attempts, error)
    }

    #[tokio::test]
    async fn only_what_may_pass_is_tried_again() {
        assert_eq!(
            attempts(|| AttemptError::Transient("busy")).await,
            (3, "busy")
        );
        assert_eq!(attempts(|| "no".into()).await, (1, "no"));
    }
}
