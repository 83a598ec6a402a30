//! Writers that note what they were promised.
//!
//! ```text
//! writer 7:  put new/7-0 ─ put chain/7 ─ get chain/7 ─ put new/7-1 ─ put chain/7 …
//!                             └── with the context of what was acknowledged before: replaces it
//! ```
//!
//! * What was acknowledged must be read back. Of a chain: the value acknowledged last, or one that was
//!   offered later and whose outcome nobody knew.

use super::gaps::Gaps;
use quorate::client::{Bytes, Client, Consistency, Context};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinSet;

/// The bucket of new keys and of chains.
pub const BUCKET: &str = "load";

/// What a key must hold: one of these, the first was acknowledged.
pub type Promises = BTreeMap<String, Vec<String>>;

/// Writers at work.
pub struct Load {
    pub puts: Gaps,
    pub gets: Gaps,
    pub acked: AtomicUsize,
    pub unknown: AtomicUsize,
    pub refused: AtomicUsize,
    promises: Mutex<Promises>,
    stop: AtomicBool,
    trigger: Mutex<Option<Trigger>>,
}

/// At which acknowledgement, and what is done then.
type Trigger = (usize, Box<dyn FnOnce() + Send>);

/// A running load.
pub struct Running {
    pub load: Arc<Load>,
    writers: JoinSet<()>,
}

impl Running {
    /// So many writers through this client; `life` tells their keys from those of other loads.
    pub fn start(client: &Client, writers: usize, life: &str) -> Running {
        let load = Arc::new(Load {
            puts: Gaps::new(),
            gets: Gaps::new(),
            acked: AtomicUsize::new(0),
            unknown: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            promises: Mutex::default(),
            stop: AtomicBool::new(false),
            trigger: Mutex::default(),
        });
        let mut set = JoinSet::new();
        for writer in 0..writers {
            set.spawn(load.clone().write(client.clone(), format!("{life}-{writer}")));
        }
        Running { load, writers: set }
    }

    /// Waits until so many writes were acknowledged.
    pub async fn acked(&self, count: usize) {
        super::cluster::until("writes are acknowledged", super::cluster::SOON, async || {
            let acked = self.load.acked.load(SeqCst);
            if acked >= count { Ok(()) } else { Err(format!("only {acked} of {count}")) }
        })
        .await;
    }

    /// Does something at the very moment of an acknowledgement: in the writer that gets it, while the others
    /// have requests on their way. Waits until it is done.
    pub async fn at<T: Send + 'static>(
        &self,
        count: usize,
        action: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let (tell, done) = tokio::sync::oneshot::channel();
        let action = move || drop(tell.send(action()));
        *self.load.trigger.lock().expect("no writer has panicked") =
            Some((count, Box::new(action)));
        let done = tokio::time::timeout(super::cluster::SOON, done).await;
        done.expect("writes are acknowledged").expect("the trigger is pulled")
    }

    /// Ends it, and says what was promised.
    pub async fn stop(mut self) -> Promises {
        self.load.stop.store(true, SeqCst);
        while let Some(ended) = self.writers.join_next().await {
            ended.expect("a writer does not panic");
        }
        std::mem::take(&mut *self.load.promises.lock().expect("no writer has panicked"))
    }
}

impl Load {
    async fn write(self: Arc<Self>, client: Client, name: String) {
        let chain = format!("chain/{name}");
        let mut context = Context::default();
        for sequence in 0.. {
            if self.stop.load(SeqCst) {
                return;
            }
            let new = format!("new/{name}-{sequence}");
            self.put(&client, &new, format!("{name} {sequence}"), &Context::default()).await;
            let value = format!("{name} link {sequence}");
            if let Some(seen) = self.put(&client, &chain, value, &context).await {
                context = seen;
            }
            let get = client.get(BUCKET, &chain).consistency(Consistency::Quorum);
            if get.timeout(Duration::from_secs(3)).await.is_ok() {
                self.gets.success();
            }
        }
    }

    async fn put(
        &self,
        client: &Client,
        key: &str,
        value: String,
        context: &Context,
    ) -> Option<Context> {
        let put =
            client.put(BUCKET, key, Bytes::from(value.clone())).consistency(Consistency::Quorum);
        match put.context(context).timeout(Duration::from_secs(3)).await {
            Ok(written) => {
                // Noted before it counts: whoever acts on the count finds it here.
                self.promises
                    .lock()
                    .expect("no writer has panicked")
                    .insert(key.into(), vec![value]);
                self.puts.success();
                let acked = self.acked.fetch_add(1, SeqCst) + 1;
                let mut trigger = self.trigger.lock().expect("no writer has panicked");
                if let Some((_, pull)) = trigger.take_if(|(count, _)| acked >= *count) {
                    pull();
                }
                drop(trigger);
                Some(written.context)
            }
            Err(error) => {
                if error.code() == "outcome_unknown" {
                    self.unknown.fetch_add(1, SeqCst);
                    let mut promises = self.promises.lock().expect("no writer has panicked");
                    promises.get_mut(key).into_iter().for_each(|values| values.push(value.clone()));
                } else {
                    self.refused.fetch_add(1, SeqCst);
                }
                None
            }
        }
    }
}

/// Reads everything that was promised at QUORUM.
pub async fn keeps(client: &Client, promises: &Promises) {
    let promises: Arc<Vec<(String, Vec<String>)>> =
        Arc::new(promises.iter().map(|(key, values)| (key.clone(), values.clone())).collect());
    let next = Arc::new(AtomicUsize::new(0));
    let mut readers = JoinSet::new();
    for _ in 0..32 {
        let (client, promises, next) = (client.clone(), promises.clone(), next.clone());
        readers.spawn(async move {
            while let Some((key, values)) = promises.get(next.fetch_add(1, SeqCst)) {
                let get = client.get(BUCKET, key).consistency(Consistency::Quorum);
                let got = get.timeout(Duration::from_secs(10)).await;
                let got = got.unwrap_or_else(|error| panic!("{key}: {error}"));
                let found =
                    |value: &String| got.siblings.iter().any(|s| s.value == value.as_bytes());
                assert!(
                    values.iter().any(found),
                    "{key}: {values:?} was acknowledged, there is {got:?}"
                );
            }
        });
    }
    while let Some(ended) = readers.join_next().await {
        if let Err(error) = ended {
            std::panic::resume_unwind(error.into_panic());
        }
    }
}

/// How often, by a variable or as usual.
pub fn times(variable: &str, usual: usize) -> usize {
    let said = std::env::var(variable).ok();
    said.map_or(usual, |text| {
        text.parse().unwrap_or_else(|_| panic!("{variable}={text}: a number"))
    })
}
