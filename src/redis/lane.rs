//! All commands that wait for one key, on one view of it.
//!
//! ```text
//!   INCR INCR GET INCR … ─► one read ─► one after the other ─► one write ─► all are answered
//! ```
//!
//! What was changed and could not be written is not answered as if it had been: from the first change on, all that saw it
//! are told.

use super::actors::{Actors, Name};
use super::command;
use super::load::Loader;
use super::retry::told;
use super::value::KEY_LIMIT;
use super::view::{Need, Stop, View};
use super::{Reply, value};
use crate::error::Result;
use crate::quorum::QuorumRequest;
use crate::types::Objects;
use bytes::Bytes;
use std::sync::{Arc, Mutex};

/// One command on one key, its second word.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) name: &'static str,
    pub(super) args: Vec<Bytes>,
    pub(super) read: QuorumRequest,
    pub(super) write: QuorumRequest,
}

impl Call {
    pub(super) fn key(&self) -> &Bytes {
        &self.args[1]
    }

    /// Whether both may be run on one view.
    pub(super) fn goes_with(&self, other: &Call) -> bool {
        (self.read, self.write) == (other.read, other.write)
    }

    /// The number that it counts.
    fn counts(&self) -> Option<Name> {
        match self.name {
            "incr" | "decr" | "incrby" | "decrby" => Some((self.key().clone(), None)),
            "hincrby" => Some((self.key().clone(), Some(self.args.get(2)?.clone()))),
            _ => None,
        }
    }
}

/// Runs them, in their order; as many answers as calls.
pub(super) async fn run<O: Objects>(
    objects: &O,
    actors: &Arc<Mutex<Actors>>,
    calls: &[Call],
    now: u64,
    value_limit: usize,
    random: fastrand::Rng,
) -> Vec<Reply> {
    let Some(first) = calls.first() else { return Vec::new() };
    let key = first.key();
    if key.len() > KEY_LIMIT || value::partition_key(key).len() > KEY_LIMIT {
        let text = format!("TOOLARGE the key has {} bytes, the limit is {KEY_LIMIT}", key.len());
        return vec![Reply::error(text); calls.len()];
    }
    let loader = Loader::new(objects.clone(), key, first.read);
    let mut own = Vec::new();
    {
        let mut actors = locked(actors);
        for name in calls.iter().filter_map(Call::counts) {
            if let Some(one) = actors.take(&name) {
                own.push((name, one));
            }
        }
    }
    match on_view(&loader, calls, &mut own, now, value_limit, random).await {
        Ok(replies) => {
            let mut actors = locked(actors);
            own.into_iter().for_each(|(name, one)| actors.give(name, one));
            replies
        }
        // It could not be read, so nothing was written, and whoever counted here goes on.
        Err(error) => {
            let mut actors = locked(actors);
            own.into_iter().for_each(|(name, one)| actors.give(name, one));
            vec![Reply::Error(told(&error)); calls.len()]
        }
    }
}

async fn on_view<O: Objects>(
    loader: &Loader<O>,
    calls: &[Call],
    own: &mut Vec<(Name, super::actors::Own)>,
    now: u64,
    value_limit: usize,
    random: fastrand::Rng,
) -> Result<Vec<Reply>> {
    let (root, context) = loader.root().await?;
    let mut view = View::new(root, now, value_limit, random);
    for ((_, field), one) in own.iter() {
        view.own.insert(field.clone(), *one);
    }
    // What is left over of old groups goes by the way; if that fails, it goes another time.
    let _ = loader.sweep(&mut view).await;
    prefetch(loader, &mut view, calls).await?;
    let (mut replies, mut first_change) = (Vec::with_capacity(calls.len()), None);
    for (index, call) in calls.iter().enumerate() {
        let reply = loop {
            match command::run(&mut view, call.name, &call.args) {
                Ok(reply) => break reply,
                Err(Stop::Say(text)) => break Reply::Error(text),
                Err(Stop::Need(need)) => loader.fetch(&mut view, need).await?,
            }
        };
        if first_change.is_none() && (view.changed || view.touched) {
            first_change = Some(index);
        }
        replies.push(reply);
    }
    let counted = view.own.clone();
    let saved = match first_change.is_some() || view.swept {
        true => loader.save(&mut view, context, calls[0].write).await,
        false => Ok(()),
    };
    let key = calls[0].key();
    match saved {
        Ok(()) => {
            *own = counted.into_iter().map(|(field, one)| ((key.clone(), field), one)).collect();
        }
        Err(error) => {
            // Nobody goes on with an actor of whose last write nobody knows.
            own.clear();
            if let Some(first) = first_change {
                let text = told(&error);
                replies[first..].fill(Reply::Error(text));
            }
        }
    }
    Ok(replies)
}

/// Reads at once what these commands will want, as far as one can tell before they run.
async fn prefetch<O: Objects>(loader: &Loader<O>, view: &mut View, calls: &[Call]) -> Result<()> {
    let Some(of) = view.element() else { return Ok(()) };
    if calls.iter().any(|call| command::wants_all(call.name)) {
        return loader.fetch(view, Need::All).await;
    }
    let named = calls.iter().filter_map(|call| command::named(call.name, &call.args));
    let named = named.filter(|(kind, _)| *kind == of.kind).flat_map(|(_, members)| members);
    let mut members: Vec<Bytes> = named.cloned().collect();
    members.sort();
    members.dedup();
    members.retain(|member| member.len() <= value::MEMBER_LIMIT);
    if members.is_empty() { Ok(()) } else { loader.fetch(view, Need::Members(members)).await }
}

fn locked(actors: &Mutex<Actors>) -> std::sync::MutexGuard<'_, Actors> {
    // A poisoned lock still guards whole entries.
    actors.lock().unwrap_or_else(|e| e.into_inner())
}
