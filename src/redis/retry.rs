//! A request until it is answered: what may pass is tried again for a while, a write always under its own name.

use crate::Error;
use crate::error::Result;
use crate::quorum::QuorumRequest;
use crate::types::{Change, Objects};
use std::borrow::Cow;
use std::future::Future;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// For how long a request is tried again.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long between two tries, at first and at last.
const PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(200));

/// Tries to write; answers with the context for the next write.
///
/// # Errors
/// [`Error::OutcomeUnknown`] if any try may have happened.
pub(super) async fn write(
    objects: &impl Objects,
    change: Change,
    quorum: QuorumRequest,
) -> Result<String> {
    repeated(|| objects.write(change.clone(), quorum)).await
}

/// Tries to read.
pub(super) async fn read<T, F>(tried: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    again(tried, Error::is_retryable).await
}

/// Tries what may be done again, whatever came of it.
///
/// # Errors
/// [`Error::OutcomeUnknown`] if any try may have happened.
pub(super) async fn repeated<T, F>(tried: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    again(tried, Error::is_retryable).await
}

/// Tries what must not be done twice: again only if nothing has happened.
///
/// # Errors
/// [`Error::OutcomeUnknown`] if the last try may have happened.
pub(super) async fn once<T, F>(tried: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let passes =
        |error: &Error| error.is_retryable() && !matches!(error, Error::OutcomeUnknown { .. });
    again(tried, passes).await
}

async fn again<T, F>(tried: impl Fn() -> F, passes: impl Fn(&Error) -> bool) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let until = Instant::now() + PATIENCE;
    let mut pause = PAUSE.0;
    let mut unknown = None;
    loop {
        let error = match tried().await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        if matches!(error, Error::OutcomeUnknown { .. }) {
            unknown = Some(error.clone());
        }
        if !passes(&error) || Instant::now() >= until {
            return Err(unknown.unwrap_or(error));
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE.1);
    }
}

/// The error as a Redis client is told it: a stable first word, whether anything changed, and what to do.
pub(super) fn told(error: &Error) -> Cow<'static, str> {
    let (word, next) = match error {
        Error::OutcomeUnknown { .. } => {
            ("OUTCOMEUNKNOWN", "it may have changed, now or later: read before you write again")
        }
        Error::Unavailable { .. }
        | Error::QuorumNotMet { .. }
        | Error::Timeout { .. }
        | Error::Unreachable(_) => ("UNAVAILABLE", "nothing has changed: try again"),
        Error::Overloaded(_) => ("OVERLOADED", "nothing has changed: wait and try again"),
        Error::DiskFull(_) => ("DISKFULL", "nothing has changed"),
        Error::TooLarge { .. } => ("TOOLARGE", "nothing has changed"),
        Error::TooManySiblings { .. } => ("TOOMANYSIBLINGS", "nothing has changed"),
        _ => ("ERR", "nothing has changed"),
    };
    format!("{word} {error} ({next})").into()
}
