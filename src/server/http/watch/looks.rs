//! Looks at what is watched: one task for each item or range, for as long as anybody waits.

use super::target::Target;
use crate::server::http::bridge::Bridge;
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::watch;

/// How long between two looks: from the first to the second, so that many looks spread.
const PAUSE_MS: (u64, u64) = (150, 250);
/// Of how many HTTP connections one may watch: others want to ask, too.
const SHARE: usize = 2;

/// All looks of a node.
#[derive(Default)]
pub(in crate::server::http) struct Looks {
    looks: Mutex<BTreeMap<Vec<u8>, Weak<Look>>>,
    watchers: Arc<()>,
}

struct Look {
    changes: watch::Sender<()>,
}

/// Somebody who waits.
pub(super) struct Watcher {
    changes: watch::Receiver<()>,
    _look: Arc<Look>,
    _counted: Arc<()>,
}

impl Watcher {
    /// From here on changes count.
    pub fn mark(&mut self) {
        self.changes.mark_unchanged();
    }

    /// Waits until there may be something new.
    pub async fn changed(&mut self) {
        // The look lives as long as we hold it.
        let _ = self.changes.changed().await;
    }
}

impl Looks {
    /// Joins those who wait for this, or begins.
    ///
    /// # Errors
    /// [`Error::Overloaded`]: as many as may wait already.
    pub(super) fn join(&self, bridge: &Arc<Bridge>, target: &Target) -> Result<Watcher> {
        let counted = self.watchers.clone();
        // We and the list itself hold one, too.
        if Arc::strong_count(&counted) > bridge.connections / SHARE + 2 {
            let why = format!("{} watch here already", bridge.connections / SHARE);
            return Err(Error::Overloaded(why));
        }
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        let name = target.name();
        if let Some(look) = looks.get(&name).and_then(Weak::upgrade) {
            return Ok(Watcher {
                changes: look.changes.subscribe(),
                _look: look,
                _counted: counted,
            });
        }
        looks.retain(|_, look| look.strong_count() > 0);
        let (changes, receiver) = watch::channel(());
        let look = Arc::new(Look { changes });
        looks.insert(name, Arc::downgrade(&look));
        tokio::spawn(again_and_again(bridge.clone(), target.clone(), Arc::downgrade(&look)));
        Ok(Watcher { changes: receiver, _look: look, _counted: counted })
    }
}

/// Ends when nobody waits any more.
async fn again_and_again(bridge: Arc<Bridge>, target: Target, look: Weak<Look>) {
    let mut last = None;
    let mut failed = false;
    loop {
        tokio::time::sleep(Duration::from_millis(fastrand::u64(PAUSE_MS.0..PAUSE_MS.1))).await;
        if look.strong_count() == 0 {
            return;
        }
        let found = target.fingerprint(&bridge).await;
        // After a time in which nothing could be found out, everybody asks for himself.
        let is_new = found.is_some() && (found != last || failed);
        failed = found.is_none();
        last = found.or(last);
        match look.upgrade() {
            Some(look) if is_new => look.changes.send_replace(()),
            Some(_) => {}
            None => return,
        }
    }
}
