//! One request from its first attempt to its end: the shell around [`Attempts`], with the clock and the
//! links in its hands.

use super::Client;
use super::attempts::{Attempts, Effect, Next, Outcome};
use super::observer::{RequestDone, RequestKind};
use super::routing::Owners;
use crate::error::{Error, Result};
use crate::message::client::{Reply, Request};
use crate::message::{MAX_BODY_BYTES, encode_into};
use crate::time::HybridTime;
use bytes::Bytes;
use std::time::Duration;
use tokio::sync::oneshot::Receiver;
use tokio::time::{Instant, sleep, timeout_at};

/// Where a request has been.
#[derive(Debug, Default)]
pub(super) struct Trail {
    pub(super) attempts: u32,
    /// To whom it was sent last, by its place in the builder's list.
    #[cfg(feature = "tracing")]
    pub(super) node: Option<usize>,
}

impl Trail {
    #[cfg_attr(not(feature = "tracing"), allow(unused_variables))] // only spans tell it
    fn sent(&mut self, node: usize) {
        self.attempts += 1;
        #[cfg(feature = "tracing")]
        {
            self.node = Some(node);
        }
    }
}

impl Client {
    pub(super) async fn execute(
        &self,
        request: &Request,
        effect: Effect,
        deadline: Instant,
    ) -> Result<Reply> {
        let began = Instant::now();
        self.inner.retries.request(began);
        if self.profile.speculation.is_some() {
            self.inner.speculations.request(began);
        }
        let mut trail = Trail::default();
        #[cfg(feature = "tracing")]
        let end = super::span::within(self, request, effect, deadline, &mut trail).await;
        #[cfg(not(feature = "tracing"))]
        let end = self.run(request, effect, deadline, &mut trail).await;
        if self.inner.watch.0.is_none() {
            return end;
        }
        let done = RequestDone {
            kind: RequestKind::of(request),
            error: end.as_ref().err(),
            duration: began.elapsed(),
            attempts: trail.attempts,
        };
        self.inner.watch.tell(|observer| observer.done(&done));
        end
    }

    pub(super) async fn run(
        &self,
        request: &Request,
        effect: Effect,
        deadline: Instant,
        trail: &mut Trail,
    ) -> Result<Reply> {
        let mut body = encode(request)?;
        let mut says_so = false;
        let (pool, policy) = (&self.inner.pool, self.profile.retries);
        let mut story = Attempts::new(effect, policy);
        let mut tried = Vec::new();
        let owners = pool.routing().owners(request);
        let kind = RequestKind::of(request);
        let early = self.profile.speculation.filter(|_| matches!(effect, Effect::Reads { .. }));
        loop {
            if story.is_unknown() && !says_so {
                let mut again = request.clone();
                again.tried(HybridTime::default());
                (body, says_so) = (encode(&again)?, true);
            }
            if !pool.any_up() && !pool.wait_for_one(deadline).await {
                return Err(story.time_is_up(false, || pool.why()));
            }
            let outcome = match self.submit(&body, deadline, &tried, &owners) {
                None if pool.any_up() => Outcome::Full,
                None => continue,
                Some((node, answered)) => {
                    tried.push(node);
                    trail.sent(node);
                    let ended = match early {
                        None => ended(answered, deadline).await,
                        Some(early) => {
                            let second = || {
                                let (node, answered) =
                                    self.second(&body, deadline, &tried, &owners)?;
                                tried.push(node);
                                trail.sent(node);
                                Some(answered)
                            };
                            first_of(answered, early.after, deadline, second).await
                        }
                    };
                    match ended {
                        None => return Err(story.time_is_up(true, || pool.why())),
                        Some(outcome) => outcome,
                    }
                }
            };
            let was_sent = matches!(outcome, Outcome::Answered(_) | Outcome::Lost);
            let next = story.judge(outcome);
            let goes_on = matches!(next, Next::Elsewhere | Next::Pause(_));
            if was_sent && goes_on {
                if !self.inner.retries.allows(Instant::now()) {
                    self.inner.watch.tell(|observer| observer.retry_refused(kind));
                    return Err(story.out_of_budget());
                }
                self.inner.watch.tell(|observer| observer.retried(kind));
            }
            match next {
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

    /// Hands the body to the best link that takes it.
    fn submit(
        &self,
        body: &Bytes,
        deadline: Instant,
        tried: &[usize],
        owners: &Owners,
    ) -> Option<(usize, Receiver<Outcome>)> {
        let mut candidates = self.inner.pool.candidates(tried, owners);
        candidates.find_map(|link| Some((link.node, link.submit(body.clone(), deadline)?)))
    }

    /// The same to a node that was not tried, if there may be one attempt more.
    fn second(
        &self,
        body: &Bytes,
        deadline: Instant,
        tried: &[usize],
        owners: &Owners,
    ) -> Option<(usize, Receiver<Outcome>)> {
        let mut fresh = self
            .inner
            .pool
            .candidates(tried, owners)
            .filter(|link| !tried.contains(&link.node))
            .peekable();
        fresh.peek()?;
        if !self.inner.speculations.allows(Instant::now()) {
            return None;
        }
        let sent =
            fresh.find_map(|link| Some((link.node, link.submit(body.clone(), deadline)?)))?;
        self.inner.watch.tell(|observer| observer.speculated());
        Some(sent)
    }
}

/// How an attempt ends; `None`: not by the deadline.
async fn ended(answered: Receiver<Outcome>, deadline: Instant) -> Option<Outcome> {
    // A task that vanished with its runtime may have sent it.
    timeout_at(deadline, answered).await.ok().map(|outcome| outcome.unwrap_or(Outcome::Lost))
}

/// How an attempt ends, or the one to a second node if that ends well before; `second` sends it when the first has
/// not ended after `delay`.
async fn first_of(
    first: Receiver<Outcome>,
    delay: Duration,
    deadline: Instant,
    second: impl FnOnce() -> Option<Receiver<Outcome>>,
) -> Option<Outcome> {
    let early = super::options::after(delay).min(deadline);
    let mut first = std::pin::pin!(ended(first, deadline));
    if let Ok(outcome) = timeout_at(early, &mut first).await {
        return outcome;
    }
    let Some(second) = second() else { return first.await };
    let mut second = std::pin::pin!(ended(second, deadline));
    let is_good = |outcome: &Option<Outcome>| matches!(outcome, Some(Outcome::Answered(reply)) if !matches!(reply, Reply::Failed(_)));
    tokio::select! {
        outcome = &mut first => match is_good(&outcome) {
            true => outcome,
            false => second.await.or(outcome),
        },
        outcome = &mut second => match is_good(&outcome) {
            true => outcome,
            false => first.await.or(outcome),
        },
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
