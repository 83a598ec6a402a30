//! The oracle: sets of values, and no idea of vectors or dots.

use quorate::quorum::QuorumRequest;
use quorate::version::OperationId;
use std::collections::BTreeSet;

/// A token, and what its holder was shown.
#[derive(Clone, Debug, Default)]
pub struct Token {
    pub text: String,
    pub shown: BTreeSet<String>,
}

/// A write as its client sees it, in all its tries.
#[derive(Clone, Debug)]
pub struct Write {
    pub key: usize,
    pub client: usize,
    pub value: Option<String>,
    pub token: Token,
    pub operation: OperationId,
    pub quorum: QuorumRequest,
    /// How many writes of the key were sent before it first was.
    pub after: usize,
}

/// What is known of a key.
#[derive(Default)]
pub struct Book {
    /// How many writes were sent, with retries.
    pub writes: usize,
    /// Every value that was ever sent.
    sent: BTreeSet<String>,
    /// Values whose write was acknowledged.
    acked: BTreeSet<String>,
    /// Values acknowledged, or shown, under `strict`.
    strict: BTreeSet<String>,
    /// Values that a reader was shown: they were durable somewhere, and no disk has been lost since.
    shown: BTreeSet<String>,
    /// Values that some write, acknowledged or not, had been shown.
    maybe_replaced: BTreeSet<String>,
    /// Values that an acknowledged write had been shown.
    replaced: BTreeSet<String>,
}

impl Book {
    /// A write is on its way, perhaps not for the first time.
    pub fn sent(&mut self, write: &Write) {
        self.writes += 1;
        self.sent.extend(write.value.clone());
        self.maybe_replaced.extend(write.token.shown.iter().cloned());
    }

    pub fn acked(&mut self, write: &Write) {
        self.acked.extend(write.value.clone());
        if write.quorum.strict {
            self.strict.extend(write.value.clone());
        }
        self.replaced.extend(write.token.shown.iter().cloned());
    }

    /// What a strict read that begins now must show, unless it is replaced meanwhile.
    pub fn must_show(&self) -> BTreeSet<String> {
        self.strict.difference(&self.maybe_replaced).cloned().collect()
    }

    /// A reader was shown these. `lasting`: no disk was lost since it asked.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn read(
        &mut self,
        values: &BTreeSet<String>,
        must_show: &BTreeSet<String>,
        strict: bool,
        lasting: bool,
    ) -> Result<(), String> {
        let mut missed = must_show.difference(&self.maybe_replaced);
        if let Some(value) = missed.find(|value| !values.contains(*value)) {
            return Err(format!("a strict read misses {value}"));
        }
        if let Some(value) = values.difference(&self.sent).next() {
            return Err(format!("{value} is of nobody"));
        }
        if lasting {
            self.shown.extend(values.iter().cloned());
        }
        if strict {
            self.strict.extend(values.iter().cloned());
        }
        Ok(())
    }

    /// A disk is lost, and with it perhaps the only copy of what was not acknowledged.
    pub fn disk_lost(&mut self) {
        self.shown.clear();
    }

    /// Everything has healed, and this is what there is.
    ///
    /// # Errors
    /// What is wrong with that.
    pub fn compare(&self, values: &BTreeSet<String>) -> Result<(), String> {
        for kept in [&self.acked, &self.strict, &self.shown] {
            let mut standing = kept.difference(&self.maybe_replaced);
            if let Some(value) = standing.find(|value| !values.contains(*value)) {
                return Err(format!("{value} is lost: {values:?}"));
            }
        }
        if let Some(value) = values.difference(&self.sent).next() {
            return Err(format!("{value} is of nobody"));
        }
        match values.intersection(&self.replaced).next() {
            Some(value) => Err(format!("{value} is back")),
            None => Ok(()),
        }
    }
}
