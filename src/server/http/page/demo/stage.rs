//! What the script may do: ask the node as any client does, and tell what came of it.

use super::super::super::bridge::Bridge;
use super::super::super::kv::unexpected;
use super::super::super::metrics;
use crate::message::client::{
    BucketSpec, Info, Inspect, Item, REHEARSAL_BUCKET, Rehearsal, Reply, Request,
};
use crate::quorum::QuorumRequest;
use crate::{Error, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Sender;

/// How long what is to happen is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often is looked meanwhile.
const LOOK: Duration = Duration::from_millis(50);
/// How long an act stands before the next: people read, and the page looks once a second.
const BREATH: Duration = Duration::from_millis(1_200);
/// How long the items of a demo are kept.
const KEPT_MS: u64 = 3_600_000;

/// Why a demo ended early.
pub(super) enum End {
    /// Nobody reads it any more.
    Alone,
    /// A claim did not hold; it was told.
    Failed,
    /// A request failed.
    Error(Error),
}

impl From<Error> for End {
    fn from(error: Error) -> End {
        End::Error(error)
    }
}

/// See the module.
pub(super) struct Stage {
    pub(super) bridge: Arc<Bridge>,
    lines: Sender<Bytes>,
    began: Instant,
    claims: u32,
    acted: bool,
}

impl Stage {
    pub(super) fn new(bridge: Arc<Bridge>, lines: Sender<Bytes>) -> Stage {
        Stage { bridge, lines, began: Instant::now(), claims: 0, acted: false }
    }

    async fn tell(&self, mut line: Value) -> Result<(), End> {
        line["ms"] = (self.began.elapsed().as_millis() as u64).into();
        let line = format!("{line}\n");
        self.lines.send(line.into()).await.map_err(|_| End::Alone)
    }

    /// A new act begins, when whoever watches has read the last.
    pub(super) async fn act(&mut self, title: &str, why: &str) -> Result<(), End> {
        if std::mem::replace(&mut self.acted, true) {
            tokio::time::sleep(BREATH).await;
        }
        self.tell(json!({ "act": title, "text": why })).await
    }

    /// Something that was found and is not claimed.
    pub(super) async fn say(&self, text: &str) -> Result<(), End> {
        self.tell(json!({ "say": text })).await
    }

    /// It is so, or the demo ends here. `found` says what there is.
    pub(super) async fn claim(
        &mut self,
        claim: &str,
        holds: bool,
        found: String,
    ) -> Result<(), End> {
        self.claims += 1;
        self.tell(json!({ "claim": claim, "ok": holds, "text": found })).await?;
        if holds { Ok(()) } else { Err(End::Failed) }
    }

    /// The node plays its part again, and whoever still reads hears how it ended.
    pub(super) async fn leave(self, ended: Result<(), End>) {
        // Without a bucket there was no part.
        let _ = self.rehearse(Rehearsal::Whole).await;
        let (ok, why) = match ended {
            Ok(()) => (true, None),
            Err(End::Alone) => return,
            Err(End::Failed) => (false, None),
            Err(End::Error(error)) => (false, Some(error.to_string())),
        };
        let _ = self.tell(json!({ "done": ok, "claims": self.claims, "text": why })).await;
    }

    /// Waits until a look finds what it looks for; the last look says what there was instead.
    pub(super) async fn until<F>(
        &self,
        look: impl Fn() -> F,
    ) -> Result<std::result::Result<Duration, String>, End>
    where
        F: Future<Output = Result<std::result::Result<(), String>>>,
    {
        let began = Instant::now();
        loop {
            match look().await? {
                Ok(()) => return Ok(Ok(began.elapsed())),
                Err(found) if began.elapsed() > PATIENCE => return Ok(Err(found)),
                Err(_) => tokio::time::sleep(LOOK).await,
            }
            if self.lines.is_closed() {
                return Err(End::Alone);
            }
        }
    }

    /// What the node says of itself.
    pub(super) async fn inspect(&self, what: Inspect) -> Result<Value> {
        match self.bridge.ask(Request::Inspect(what), None).await {
            Reply::Json(text) => serde_json::from_str(&text)
                .map_err(|e| Error::Internal(format!("the node's own words: {e}"))),
            other => Err(unexpected(other)),
        }
    }

    /// How many records were withheld since the last part began.
    pub(super) async fn rehearse(&self, part: Rehearsal) -> Result<u64> {
        let answer = self.inspect(Inspect::Rehearse(part)).await?;
        Ok(answer["withheld"].as_u64().unwrap_or_default())
    }

    /// The bucket, which may be there from the last time.
    pub(super) async fn create_bucket(&self) -> Result<()> {
        let name = REHEARSAL_BUCKET.into();
        let spec = BucketSpec { name, ttl_ms: Some(KEPT_MS), ..BucketSpec::default() };
        match self.bridge.ask(Request::CreateBucket(spec), None).await {
            Reply::Agreed => Ok(()),
            other => Err(unexpected(other)),
        }
    }

    /// Writes, at the bucket's own consistency, what replaces what the context saw.
    pub(super) async fn put(
        &self,
        key: &str,
        value: &str,
        context: String,
    ) -> Result<(String, Info)> {
        let request = Request::Put {
            item: item(key),
            quorum: QuorumRequest::default(),
            value: Some(Bytes::copy_from_slice(value.as_bytes())),
            context,
            operation: self.bridge.operation(),
            expires_at: None,
            tried_since: None,
        };
        match self.bridge.ask(request, None).await {
            Reply::Written { context, info } => Ok((context, info)),
            other => Err(unexpected(other)),
        }
    }

    /// Reads, at the bucket's own consistency.
    pub(super) async fn get(&self, key: &str) -> Result<Vec<String>> {
        let request = Request::Get { item: item(key), quorum: QuorumRequest::default() };
        match self.bridge.ask(request, None).await {
            Reply::Got { values, .. } => Ok(values
                .iter()
                .map(|version| String::from_utf8_lossy(&version.value).into_owned())
                .collect()),
            other => Err(unexpected(other)),
        }
    }

    /// What lies on this node's own disk, as its dump shows it.
    pub(super) async fn own_copy(&self, key: &str) -> Result<Vec<String>> {
        let record = match self.inspect(Inspect::Local(item(key))).await {
            Ok(record) => record,
            Err(Error::NotFound(_)) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let values = record["siblings"].as_array().into_iter().flatten();
        let values = values.filter_map(|sibling| sibling["value"].as_str());
        let text = |value| STANDARD.decode(value).map(|v| String::from_utf8_lossy(&v).into_owned());
        values
            .map(text)
            .collect::<std::result::Result<_, _>>()
            .map_err(|e| Error::Internal(format!("the node's own record: {e}")))
    }

    /// The names of a key's owners.
    pub(super) async fn owners(&self, key: &str) -> Result<Vec<String>> {
        let answer = self.inspect(Inspect::Locate(item(key))).await?;
        let owners = answer["owners"].as_array().into_iter().flatten();
        Ok(owners.filter_map(|name| name.as_str().map(String::from)).collect())
    }

    /// One figure of `/metrics`, as it is now: not from a moment ago, as whoever scrapes may be told.
    pub(super) async fn figure(&self, name: &str) -> u64 {
        let snapshot = self.bridge.snapshot_since(Instant::now(), PATIENCE).await;
        let all = metrics::object(&snapshot, self.bridge.ingested());
        all[name].as_u64().unwrap_or_default()
    }
}

fn item(key: &str) -> Item {
    let key = Bytes::copy_from_slice(key.as_bytes());
    Item { bucket: REHEARSAL_BUCKET.into(), key, sort: Bytes::new() }
}
