//! One request from its first attempt to its end: the shell around [`Attempts`], with the clock and the
//! links in its hands.

use super::Client;
use super::attempts::{Attempts, Effect, Next, Outcome};
use crate::error::{Error, Result};
use crate::message::client::{Reply, Request};
use crate::message::{MAX_BODY_BYTES, encode_into};
use crate::time::HybridTime;
use bytes::Bytes;
use tokio::time::{Instant, sleep, timeout_at};

impl Client {
    pub(super) async fn execute(
        &self,
        request: &Request,
        effect: Effect,
        deadline: Instant,
    ) -> Result<Reply> {
        let mut body = encode(request)?;
        let mut says_so = false;
        let (pool, policy) = (&self.inner.pool, self.inner.profile.retries);
        let mut story = Attempts::new(effect, policy);
        let mut tried = Vec::new();
        let owners = pool.routing().owners(request);
        loop {
            if story.is_unknown() && !says_so {
                let mut again = request.clone();
                again.tried(HybridTime::default());
                (body, says_so) = (encode(&again)?, true);
            }
            if !pool.any_up() && !pool.wait_for_one(deadline).await {
                return Err(story.time_is_up(false, || pool.why()));
            }
            let submitted = pool
                .candidates(&tried, &owners)
                .find_map(|link| Some((link.node, link.submit(body.clone(), deadline)?)));
            let outcome = match submitted {
                None if pool.any_up() => Outcome::Full,
                None => continue,
                Some((node, answered)) => match timeout_at(deadline, answered).await {
                    Err(_) => return Err(story.time_is_up(true, || pool.why())),
                    Ok(outcome) => {
                        tried.push(node);
                        // A task that vanished with its runtime may have sent it.
                        outcome.unwrap_or(Outcome::Lost)
                    }
                },
            };
            match story.judge(outcome) {
                Next::Done(reply) => return Ok(reply),
                Next::Fail(error) => return Err(error),
                Next::Elsewhere => {
                    if Instant::now() >= deadline {
                        return Err(story.time_is_up(false, || pool.why()));
                    }
                }
                Next::Pause(nth) => {
                    let pause = policy.pause(nth, fastrand::f64());
                    if deadline.saturating_duration_since(Instant::now()) <= pause {
                        return Err(story.time_is_up(false, || pool.why()));
                    }
                    sleep(pause).await;
                }
            }
        }
    }
}

/// The body, for as many attempts as it is true for.
fn encode(request: &Request) -> Result<Bytes> {
    let mut body = Vec::with_capacity(256);
    encode_into(&mut body, request);
    if body.len() > MAX_BODY_BYTES {
        return Err(Error::TooLarge {
            what: "the request".into(),
            size: body.len() as u64,
            limit: MAX_BODY_BYTES as u64,
        });
    }
    Ok(body.into())
}

/// An answer to another question than was asked.
pub(super) fn unexpected(reply: &Reply) -> Error {
    let kind = match reply {
        Reply::Got { .. } => "a value",
        Reply::Written { .. } => "a write",
        Reply::Page { .. } => "a page",
        Reply::Keys { .. } => "keys",
        Reply::Agreed => "a bucket",
        Reply::Json(_) => "an inspection",
        Reply::Failed(_) => "an error",
        Reply::Placement(_) => "a placement",
    };
    Error::Internal(format!("the node answered with {kind} to something else"))
}
