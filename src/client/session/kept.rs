//! What a session has seen of one item, and which replies go on from there.
//!
//! ```text
//!   demand   what a reply must know       {A:5}          (nothing, of an item not yet met)
//!   gone     what no reply may show again {}             left behind by the life before this one
//!   nothing  no value stood at last       false
//!
//!   reply {A:5 B:1} ─▶ descends: taken                     reply {A:4} ─▶ behind: ask more owners
//!   delete, so nothing stands: {A:6}; all owners collect the tombstone; their reply is {} ─▶ nothing, as before: taken
//!   somebody writes anew: {C:1}, shows (C,1), which we have not seen go ─▶ a new life: {A:6} moves to `gone`
//! ```
//!
//! Contexts are compared by the writes that they cover, never by clocks. That is right in `lww` buckets too: a
//! record that knows a write has taken its stamp into account, so whoever covers what was seen shows that or a
//! later one. A reply that shows a later stamp but knows less is asked for again; that errs towards asking.

use crate::client::{Context, Got};
use crate::version::{self, Actor, Dot, Seen};
use serde::{Deserialize, Serialize};

/// See the module's picture.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    demand: Seen,
    gone: Seen,
    nothing: bool,
    /// What the next write replaces: the token of the newest reply.
    token: String,
}

/// How a reply goes on from what was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It knows all of it.
    Descends,
    /// Nothing stood, and nothing does.
    StillNothing,
    /// Nothing stood, and what stands now has not been seen before.
    NewLife,
    /// It misses something, or shows what was seen to go.
    Behind,
    /// Its context is none that this library can read.
    Unreadable,
}

impl Kept {
    /// What the next write of the item replaces.
    pub(super) fn context(&self) -> Context {
        Context::from_node(self.token.clone())
    }

    /// Judges a read's reply.
    pub(super) fn judge(&self, got: &Got) -> Verdict {
        let Some(seen) = version::peek(got.context.as_str()) else { return Verdict::Unreadable };
        let shown: Option<Vec<Dot>> = got.siblings.iter().map(|s| dot_of(&s.dot)).collect();
        let every = |holds: &dyn Fn(&Dot) -> bool| {
            // A value whose dot cannot be read may be one that was seen to go.
            shown.as_ref().is_some_and(|dots| dots.iter().all(holds))
        };
        if seen.descends(&self.demand) {
            let stands = |dot: &Dot| self.demand.covers(dot) || !self.gone.covers(dot);
            let fine = self.gone == Seen::default() || every(&stands);
            return if fine { Verdict::Descends } else { Verdict::Behind };
        }
        if !self.nothing {
            return Verdict::Behind;
        }
        if got.is_empty() {
            return Verdict::StillNothing;
        }
        let is_new = |dot: &Dot| !self.demand.covers(dot) && !self.gone.covers(dot);
        if every(&is_new) { Verdict::NewLife } else { Verdict::Behind }
    }

    /// Takes in a read's reply that [`judge`](Kept::judge) let pass. Another request of the session may have
    /// moved on meanwhile: then what it has seen stays demanded too.
    pub(super) fn read(&mut self, got: &Got) {
        let Some(seen) = version::peek(got.context.as_str()) else { return };
        match self.judge(got) {
            Verdict::Descends => {
                self.demand.join(&seen);
                self.nothing = got.is_empty();
                got.context.as_str().clone_into(&mut self.token);
            }
            Verdict::NewLife => {
                self.gone.join(&self.demand);
                self.demand = seen;
                self.nothing = false;
                got.context.as_str().clone_into(&mut self.token);
            }
            Verdict::StillNothing | Verdict::Unreadable => (),
            // It passed when it was asked; by now more was seen.
            Verdict::Behind => {
                self.demand.join(&seen);
                self.nothing &= got.is_empty();
            }
        }
    }

    /// Takes in a write's reply. `before`: what the write said it had seen.
    pub(super) fn wrote(&mut self, context: &Context, before: &Context, delete: bool) {
        let Some(seen) = version::peek(context.as_str()) else { return };
        let replaced_all = version::peek(before.as_str())
            .is_some_and(|before| before.descends(&self.demand) || self.nothing);
        let known = version::peek(&self.token).unwrap_or_default();
        if seen.descends(&known) || replaced_all {
            context.as_str().clone_into(&mut self.token);
        }
        self.demand.join(&seen);
        self.nothing = delete && replaced_all;
    }
}

/// The dot that a node tells as `incarnation.mint:counter`, the first of them in hexadecimal digits.
fn dot_of(text: &str) -> Option<Dot> {
    let (actor, counter) = text.split_once(':')?;
    let (incarnation, mint) = actor.split_once('.')?;
    let incarnation = u64::from_str_radix(incarnation, 16).ok()?;
    Some(Dot::new(Actor { incarnation, mint: mint.parse().ok()? }, counter.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{BucketId, ClusterId};
    use crate::message::client::{Info, Version};
    use crate::version::ContextScope;

    fn dot(actor: u32, counter: u64) -> Dot {
        Dot::new(Actor { incarnation: u64::from(actor), mint: 0 }, counter)
    }

    /// A reply that knows `vector` and shows `values`.
    fn reply(vector: &[Dot], values: &[Dot]) -> Got {
        let seen = Seen { vector: vector.iter().copied().collect(), ..Seen::default() };
        let scope = ContextScope::new(ClusterId(1), BucketId(1), b"k", b"", &[1; 32]);
        let context = Context::from_node(scope.seal(&seen).as_str().to_owned());
        let text = |dot: &Dot| format!("{:016x}.{}:{}", dot.actor.incarnation, 0, dot.counter);
        let value = |dot: &Dot| Version { value: "v".into(), dot: text(dot) };
        Got { siblings: values.iter().map(value).collect(), context, info: Info::default() }
    }

    /// A session that has read `vector` with `values`.
    fn after(vector: &[Dot], values: &[Dot]) -> Kept {
        let mut kept = Kept::default();
        let first = reply(vector, values);
        assert_eq!(kept.judge(&first), Verdict::Descends, "a session that knows nothing");
        kept.read(&first);
        kept
    }

    #[test]
    fn a_reply_must_know_what_was_seen() {
        let kept = after(&[dot(1, 5), dot(2, 1)], &[dot(1, 5)]);
        let check = |vector: &[Dot], values: &[Dot], expected| {
            assert_eq!(kept.judge(&reply(vector, values)), expected, "{vector:?} {values:?}");
        };
        check(&[dot(1, 5), dot(2, 1)], &[dot(1, 5)], Verdict::Descends);
        check(&[dot(1, 6), dot(2, 1)], &[], Verdict::Descends);
        check(&[dot(1, 4), dot(2, 1)], &[dot(1, 4)], Verdict::Behind);
        check(&[dot(1, 5)], &[dot(1, 5)], Verdict::Behind);
        check(&[dot(3, 9)], &[dot(3, 9)], Verdict::Behind);
        check(&[], &[], Verdict::Behind);
    }

    #[test]
    fn after_a_delete_nothing_is_nothing_and_only_what_is_new_is_a_new_life() {
        let mut kept = after(&[dot(1, 5)], &[]);
        let check = |kept: &Kept, vector: &[Dot], values: &[Dot], expected| {
            assert_eq!(kept.judge(&reply(vector, values)), expected, "{vector:?} {values:?}");
        };
        // Collected, or on its way to a replica that has heard of neither: the caller sees the same.
        check(&kept, &[], &[], Verdict::StillNothing);
        check(&kept, &[dot(1, 4)], &[dot(1, 4)], Verdict::Behind);
        check(&kept, &[dot(1, 4), dot(3, 1)], &[dot(1, 4), dot(3, 1)], Verdict::Behind);
        let anew = reply(&[dot(3, 1)], &[dot(3, 1)]);
        assert_eq!(kept.judge(&anew), Verdict::NewLife);
        kept.read(&anew);
        // From now on the new life is demanded, and what was seen to go in the old one still may not return.
        check(&kept, &[], &[], Verdict::Behind);
        check(&kept, &[dot(3, 1)], &[dot(3, 1)], Verdict::Descends);
        check(&kept, &[dot(1, 4), dot(3, 1)], &[dot(1, 4), dot(3, 1)], Verdict::Behind);
        // The tombstone may stand beside it for a while: it is no value.
        check(&kept, &[dot(1, 5), dot(3, 1)], &[dot(3, 1)], Verdict::Descends);
        // What cannot be told from what went is asked for again.
        let mut odd = reply(&[dot(3, 1)], &[dot(3, 1)]);
        odd.siblings[0].dot = "a:1".into();
        assert_eq!(kept.judge(&odd), Verdict::Behind);
    }

    #[test]
    fn an_own_write_is_demanded_and_an_own_delete_leaves_nothing() {
        let mut kept = after(&[dot(1, 5)], &[dot(1, 5)]);
        let before = kept.context();
        kept.wrote(&reply(&[dot(1, 6)], &[dot(1, 6)]).context, &before, false);
        assert_eq!(kept.judge(&reply(&[dot(1, 5)], &[dot(1, 5)])), Verdict::Behind);
        assert_eq!(kept.judge(&reply(&[], &[])), Verdict::Behind);
        let stale = before;
        let before = kept.context();
        kept.wrote(&reply(&[dot(1, 7)], &[]).context, &before, true);
        assert_eq!(kept.judge(&reply(&[], &[])), Verdict::StillNothing);
        // A delete that had not seen all leaves something standing.
        kept.wrote(&reply(&[dot(1, 8)], &[dot(1, 8)]).context, &kept.context(), false);
        kept.wrote(&reply(&[dot(1, 9)], &[]).context, &stale, true);
        assert_eq!(kept.judge(&reply(&[], &[])), Verdict::Behind);
    }

    #[test]
    fn what_cannot_be_read_is_told_apart() {
        let mut junk = reply(&[], &[]);
        junk.context = Context::from_node("no token".into());
        assert_eq!(Kept::default().judge(&junk), Verdict::Unreadable);
    }
}
