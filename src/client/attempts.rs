//! What is known of one request after each of its attempts, and what may therefore be said.
//!
//! ```text
//!   a write:  attempt 1 lost on the way ─▶ attempt 2: "unavailable, nothing changed"
//!                     │                                   │
//!             it may be stored ───────────────────▶ the truth is: outcome unknown
//! ```
//!
//! - Once a write may have reached a node that gave no final answer, no error but `OutcomeUnknown` is true.
//! - A write that never left is `Unreachable`; no write ends as `Timeout`.

use super::RetryPolicy;
use crate::error::Error;
use crate::message::client::Reply;

/// What a request does to the data, and how many replicas it asks for, as far as the client knows.
#[derive(Clone, Copy, Debug)]
pub(super) enum Effect {
    /// Nothing.
    Reads { required: usize },
    /// It changes something.
    Changes { required: usize },
}

/// What became of one attempt.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The node answered.
    Answered(Reply),
    /// It was sent, at least in part, and no answer can come any more.
    Lost,
    /// It was not sent.
    NotSent,
    /// Every connection that is up carries as much as it may. It was not sent.
    Full,
}

/// What to do now.
#[derive(Debug)]
pub(super) enum Next {
    /// Hand over the answer, which is no error.
    Done(Reply),
    /// Give up.
    Fail(Error),
    /// Try another node, at once.
    Elsewhere,
    /// Try another node after a pause, which is the n-th.
    Pause(u32),
}

/// The story of one request so far.
#[derive(Debug)]
pub(super) struct Attempts {
    effect: Effect,
    policy: RetryPolicy,
    /// Sent, or held back by full queues.
    tried: u32,
    answered: u32,
    /// A write that may be stored: how many copies a node spoke of.
    unknown: Option<(usize, usize)>,
    last: Option<Error>,
}

impl Attempts {
    pub(super) fn new(effect: Effect, policy: RetryPolicy) -> Attempts {
        Attempts { effect, policy, tried: 0, answered: 0, unknown: None, last: None }
    }

    /// Whether an attempt may have been stored that was not acknowledged.
    pub(super) fn is_unknown(&self) -> bool {
        self.unknown.is_some()
    }

    /// Takes note of an attempt's end.
    pub(super) fn judge(&mut self, outcome: Outcome) -> Next {
        match outcome {
            Outcome::Answered(Reply::Failed(error)) => self.refused(error),
            Outcome::Answered(reply) => Next::Done(reply),
            Outcome::Full => {
                self.refused(Error::Overloaded("every connection of this client is full".into()))
            }
            Outcome::NotSent => Next::Elsewhere,
            Outcome::Lost => {
                self.tried += 1;
                self.may_be_stored(None);
                if self.tried < self.policy.attempts {
                    return Next::Elsewhere;
                }
                Next::Fail(self.honest(Error::Unreachable(format!(
                    "the connection broke before an answer came, {} times",
                    self.tried
                ))))
            }
        }
    }

    fn refused(&mut self, error: Error) -> Next {
        self.tried += 1;
        self.answered += 1;
        if matches!(error, Error::OutcomeUnknown { .. } | Error::Timeout { .. }) {
            self.may_be_stored(error.counts());
        }
        // A full disk is the trouble of one node: another may still take the write.
        let again = error.is_retryable() || matches!(error, Error::DiskFull(_));
        if !again || self.tried >= self.policy.attempts {
            return Next::Fail(self.honest(error));
        }
        self.last = Some(error);
        Next::Pause(self.answered)
    }

    fn may_be_stored(&mut self, counts: Option<(usize, usize)>) {
        if let Effect::Changes { .. } = self.effect {
            self.unknown = counts.or(self.unknown).or(Some((self.required(), 0)));
        }
    }

    fn required(&self) -> usize {
        match self.effect {
            Effect::Reads { required } | Effect::Changes { required } => required,
        }
    }

    /// `error`, unless the truth is that nobody knows.
    fn honest(&self, error: Error) -> Error {
        match self.unknown {
            Some((required, received)) => Error::OutcomeUnknown { required, received },
            None => error,
        }
    }

    /// The error when another attempt would help, and may not be made for the client's retry budget is empty.
    pub(super) fn out_of_budget(mut self) -> Error {
        let why = match self.last.take() {
            Some(error) => format!("the last answer was `{error}`"),
            None => "the connection broke before an answer came".into(),
        };
        self.honest(Error::Overloaded(format!("this client's retry budget is empty, and {why}")))
    }

    /// The error when time is up. `under_way`: an attempt is with a node. `why`: what the connections
    /// suffer from.
    pub(super) fn time_is_up(mut self, under_way: bool, why: impl FnOnce() -> String) -> Error {
        if under_way {
            self.tried += 1;
            self.may_be_stored(None);
        }
        let error = match (self.last.take(), self.effect) {
            (Some(error), _) => error,
            (None, Effect::Reads { required }) if self.tried > 0 => {
                Error::Timeout { required, received: 0 }
            }
            (None, _) => Error::Unreachable(why()),
        };
        self.honest(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITE: Effect = Effect::Changes { required: 2 };
    const READ: Effect = Effect::Reads { required: 2 };

    fn failed(error: Error) -> Outcome {
        Outcome::Answered(Reply::Failed(error))
    }

    fn unavailable() -> Error {
        Error::Unavailable { required: 2, alive: 1 }
    }

    /// The error after `outcomes`, none of which but the last may be final; then time is up.
    fn end(effect: Effect, attempts: u32, under_way: bool, outcomes: Vec<Outcome>) -> Error {
        let policy = RetryPolicy { attempts, ..RetryPolicy::default() };
        let mut story = Attempts::new(effect, policy);
        for outcome in outcomes {
            match story.judge(outcome) {
                Next::Fail(error) => return error,
                Next::Done(reply) => panic!("done: {reply:?}"),
                Next::Elsewhere | Next::Pause(_) => (),
            }
        }
        story.time_is_up(under_way, || "nobody home".into())
    }

    #[test]
    fn an_empty_budget_is_told_and_hides_no_unknown_outcome() {
        let mut read = Attempts::new(READ, RetryPolicy::default());
        assert!(matches!(read.judge(failed(unavailable())), Next::Pause(1)));
        let end = read.out_of_budget().to_string();
        assert!(end.contains("retry budget is empty") && end.contains("unavailable:"), "{end}");
        let mut write = Attempts::new(WRITE, RetryPolicy::default());
        assert!(matches!(write.judge(Outcome::Lost), Next::Elsewhere));
        assert_eq!(write.out_of_budget(), Error::OutcomeUnknown { required: 2, received: 0 });
    }

    #[test]
    fn a_write_that_may_have_been_sent_ends_as_an_unknown_outcome() {
        let unknown = Error::OutcomeUnknown { required: 2, received: 0 };
        assert_eq!(end(WRITE, 9, true, vec![]), unknown);
        assert_eq!(end(WRITE, 9, false, vec![Outcome::Lost]), unknown);
        assert_eq!(end(WRITE, 9, false, vec![Outcome::Lost, failed(unavailable())]), unknown);
        assert_eq!(end(WRITE, 2, false, vec![Outcome::Lost, failed(unavailable())]), unknown);
        let invalid = || failed(Error::Invalid("x".into()));
        assert_eq!(end(WRITE, 9, false, vec![Outcome::Lost, invalid()]), unknown);
        let late = Error::Timeout { required: 2, received: 1 };
        let counted = Error::OutcomeUnknown { required: 2, received: 1 };
        assert_eq!(end(WRITE, 1, false, vec![failed(late)]), counted);
        assert_eq!(end(WRITE, 9, true, vec![failed(counted.clone())]), counted);
    }

    #[test]
    fn a_write_that_never_left_is_unreachable() {
        let nobody = Error::Unreachable("nobody home".into());
        assert_eq!(end(WRITE, 9, false, vec![]), nobody);
        assert_eq!(end(WRITE, 9, false, vec![Outcome::NotSent, Outcome::NotSent]), nobody);
    }

    #[test]
    fn a_write_that_was_refused_for_sure_says_why() {
        assert_eq!(end(WRITE, 9, false, vec![failed(unavailable())]), unavailable());
        let invalid = Error::Invalid("x".into());
        assert_eq!(end(WRITE, 9, false, vec![failed(invalid.clone())]), invalid);
        assert!(matches!(
            end(WRITE, 2, false, vec![Outcome::Full, Outcome::Full]),
            Error::Overloaded(_)
        ));
    }

    #[test]
    fn a_read_is_late_or_knows_why() {
        assert_eq!(end(READ, 9, true, vec![]), Error::Timeout { required: 2, received: 0 });
        assert_eq!(end(READ, 9, true, vec![failed(unavailable())]), unavailable());
        assert!(matches!(
            end(READ, 2, false, vec![Outcome::Lost, Outcome::Lost]),
            Error::Unreachable(_)
        ));
    }

    #[test]
    fn what_another_try_cannot_better_is_not_tried_again() {
        let mut story = Attempts::new(WRITE, RetryPolicy::default());
        assert!(matches!(story.judge(failed(Error::Forbidden("x".into()))), Next::Fail(_)));
        let mut story = Attempts::new(WRITE, RetryPolicy::default());
        assert!(matches!(story.judge(failed(Error::DiskFull("x".into()))), Next::Pause(1)));
        let mut story = Attempts::new(WRITE, RetryPolicy::never());
        assert!(matches!(story.judge(failed(unavailable())), Next::Fail(_)));
    }
}
