//! What takes effect here once its batch is durable.
//!
//! ```text
//!   turn 7   stage a, b   staged ──commit──► 41 … durable ──► a, b come out, in order
//!   turn 8   stage c      staged ──refused ─► c comes back at once
//! ```

use crate::store::CommitNumber;
use std::collections::VecDeque;

/// See the module's picture. It is bounded by what is on its way to the disk.
#[derive(Debug)]
pub(super) struct AfterFlush<T> {
    staged: Vec<T>,
    committed: VecDeque<(CommitNumber, Vec<T>)>,
}

impl<T> Default for AfterFlush<T> {
    fn default() -> Self {
        AfterFlush { staged: Vec::new(), committed: VecDeque::new() }
    }
}

impl<T> AfterFlush<T> {
    /// It belongs to the batch of this turn.
    pub fn stage(&mut self, value: T) {
        self.staged.push(value);
    }

    /// What was staged is in this batch.
    pub fn committed(&mut self, number: CommitNumber) {
        let staged = std::mem::take(&mut self.staged);
        if !staged.is_empty() {
            self.committed.push_back((number, staged));
        }
    }

    /// Takes out what is durable, in order.
    pub fn durable(&mut self, number: CommitNumber) -> Vec<T> {
        let mut durable = Vec::new();
        while self.committed.front().is_some_and(|(at, _)| *at <= number) {
            durable.extend(self.committed.pop_front().into_iter().flat_map(|(_, values)| values));
        }
        durable
    }

    /// The batch under way was refused: takes out what was meant for it.
    pub fn refused(&mut self) -> Vec<T> {
        std::mem::take(&mut self.staged)
    }

    /// Everything that waits.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.committed.iter().flat_map(|(_, values)| values).chain(&self.staged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_durable_comes_out_in_order_and_what_is_refused_at_once() {
        let mut waiting = AfterFlush::default();
        waiting.stage('a');
        waiting.committed(CommitNumber(41));
        waiting.stage('b');
        waiting.committed(CommitNumber(42));
        waiting.stage('c');
        assert_eq!(waiting.durable(CommitNumber(40)), []);
        assert_eq!(waiting.durable(CommitNumber(42)), ['a', 'b']);
        assert_eq!(waiting.refused(), ['c']);
        assert_eq!(waiting.iter().count(), 0);
    }
}
