//! `/v1/logs`: lines in, lines out; and what Loki's shippers send.

use super::answer;
use super::body;
use super::bridge::Bridge;
use super::own::OwnNode;
use super::query::Query;
use crate::logs::{
    By, Cursor, Entry, Events, Filter, Format as LineFormat, Ingested, Level, Levels, Logs, Nanos,
    Order, Outcome, Parser, Rejected, Stream, Zone, json as shape, open, parse_time,
};
use crate::{Error, Result};
use axum::body::Body;
use axum::extract::State;
use axum::http::{Response, StatusCode, Uri};
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The longest body, in bytes, packed or not.
const BODY_LIMIT: usize = 16 << 20;
/// How many rejected lines an answer names.
const REJECTED_LIMIT: usize = 1_000;
/// How many lines an answer holds, unless said, and at most.
const LIMIT: (u32, u32) = (100, 10_000);
/// The source of lines for which none was said.
const NO_SOURCE: &str = "http";

/// Now, in nanoseconds since 1970.
pub(in crate::server) fn now() -> Nanos {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// The log store, by way of this node.
pub(in crate::server) fn logs(bridge: &Arc<Bridge>) -> Logs<OwnNode> {
    Logs::sharing(OwnNode(bridge.clone()), bridge.announced.clone())
}

/// `POST /v1/logs`: NDJSON or plain lines, packed or not.
pub(super) async fn ingest(
    State(bridge): State<Arc<Bridge>>,
    uri: Uri,
    body: Body,
) -> Response<Body> {
    let body = match body::read(&bridge, body, "the lines", BODY_LIMIT).await {
        Ok(body) => body,
        Err(response) => return *response,
    };
    let ingested = async {
        let query = Query::parse(uri.query(), &["source", "format", "zone", "ttl"])?;
        let format = match query.text("format")? {
            None | Some("auto") => None,
            Some(name) => Some(name.parse::<LineFormat>().map_err(said)?),
        };
        let zone = query.text("zone")?.map(str::parse::<Zone>).transpose().map_err(said)?;
        let ttl = query.duration("ttl")?.map(Duration::from_millis);
        let source = query.text("source")?.unwrap_or(NO_SOURCE);
        let parser = Parser::new(format, zone.unwrap_or_else(Zone::utc), now());
        let reader = open(&body[..]).map_err(said)?;
        let mut events = Events::new(reader, parser);
        let mut sending = Sending::new(logs(&bridge), ttl);
        let mut rejected = Vec::new();
        while let Some(outcome) = events.next(now()).map_err(said)? {
            match outcome {
                Outcome::Event(event) => {
                    let source = event.source.clone().unwrap_or_else(|| source.to_owned());
                    sending.push(&source, Entry::from(event)).await?;
                }
                Outcome::Rejected(line) => rejected.push(line),
            }
        }
        let ingested = sending.flush().await?;
        bridge.count_ingested(ingested.lines);
        Ok::<_, Error>((ingested, rejected))
    };
    match ingested.await {
        Ok((ingested, rejected)) => answer::json_with(StatusCode::OK, &told(&ingested, &rejected)),
        Err(error) => answer::failed(&error),
    }
}

fn said(error: impl std::fmt::Display) -> Error {
    Error::Invalid(error.to_string())
}

fn told(ingested: &Ingested, rejected: &[Rejected]) -> serde_json::Value {
    let each = |rejected: &Rejected| json!({"line": rejected.line, "reason": rejected.reason});
    json!({
        "ingested": ingested.lines,
        "rejected": rejected.iter().take(REJECTED_LIMIT).map(each).collect::<Vec<_>>(),
        "rejected_count": rejected.len(),
    })
}

/// The streams of one request, by source.
struct Sending {
    logs: Logs<OwnNode>,
    ttl: Option<Duration>,
    streams: BTreeMap<String, Stream<OwnNode>>,
}

impl Sending {
    fn new(logs: Logs<OwnNode>, ttl: Option<Duration>) -> Sending {
        Sending { logs, ttl, streams: BTreeMap::new() }
    }

    async fn push(&mut self, source: &str, entry: Entry) -> Result<()> {
        if !self.streams.contains_key(source) {
            let stream = self.logs.stream(source, self.ttl, now()).await?;
            self.streams.insert(source.into(), stream);
        }
        self.streams.get_mut(source).expect("it is there now").push(entry).await
    }

    async fn flush(mut self) -> Result<Ingested> {
        let mut all = Ingested::default();
        for stream in self.streams.values_mut() {
            all += stream.flush().await?;
        }
        Ok(all)
    }
}

/// `GET /v1/logs`: which lines, or how many.
pub(super) async fn query(State(bridge): State<Arc<Bridge>>, uri: Uri) -> Response<Body> {
    match answer_query(&bridge, &uri).await {
        Ok(value) => answer::json_with(StatusCode::OK, &value),
        Err(error) => answer::failed(&error),
    }
}

async fn answer_query(bridge: &Arc<Bridge>, uri: &Uri) -> Result<serde_json::Value> {
    const KNOWN: [&str; 12] = [
        "level", "source", "since", "until", "contains", "regex", "order", "limit", "cursor",
        "count", "by", "step",
    ];
    let (query, now) = (Query::parse(uri.query(), &KNOWN)?, now());
    let filter = filter(&query, now)?;
    // All of it is read before anything is asked, also what only the other kind of question needs: what makes no sense is
    // not passed over.
    let step = step(&query, &filter, now)?;
    let by = match query.text("by")? {
        None => By::Nothing,
        Some("level") => By::Level,
        Some("source") => By::Source,
        Some("time") => By::Time(step),
        Some(other) => {
            return Err(Error::Invalid(format!("`by` is `{other}`: use level, source or time")));
        }
    };
    let order = match query.text("order")? {
        None | Some("newest") => Order::Newest,
        Some("oldest") => Order::Oldest,
        Some(other) => {
            return Err(Error::Invalid(format!("`order` is `{other}`: use newest or oldest")));
        }
    };
    let limit = query.number("limit", 1..=LIMIT.1)?.unwrap_or(LIMIT.0);
    let after = query.text("cursor")?.map(str::parse::<Cursor>).transpose()?;
    let logs = logs(bridge);
    if query.flag("count")? {
        return Ok(shape::counts(&logs.count(&filter, by).await?));
    }
    let mut search = logs.search(filter, order, after).await?;
    let page = search.page(limit as usize).await?;
    Ok(shape::page(&page, search.coverage()))
}

fn filter(query: &Query, now: Nanos) -> Result<Filter> {
    let mut filter = Filter::default();
    if let Some(word) = query.text("level")? {
        let (exactly, name) = word.strip_prefix('=').map_or((false, word), |name| (true, name));
        let level = Level::of_word(name).ok_or_else(|| {
            let text =
                "use TRACE, DEBUG, INFO, WARN, ERROR or FATAL, with = before it for that one only";
            Error::Invalid(format!("`level` is `{word}`: {text}"))
        })?;
        filter.levels = if exactly { Levels::Exactly(level) } else { Levels::AtLeast(level) };
    }
    filter.since = query.text("since")?.map(|word| parse_time(word, now)).transpose()?;
    filter.until = query.text("until")?.map(|word| parse_time(word, now)).transpose()?;
    if let Some(glob) = query.text("source")? {
        filter = filter.sources(glob)?;
    }
    if let Some(text) = query.text("contains")? {
        filter = filter.contains(text);
    }
    if let Some(regex) = query.text("regex")? {
        filter = filter.regex(regex)?;
    }
    Ok(filter)
}

fn step(query: &Query, filter: &Filter, now: Nanos) -> Result<Nanos> {
    let said =
        query.duration("step")?.and_then(|ms| i64::try_from(ms).ok()?.checked_mul(1_000_000));
    Ok(said.unwrap_or_else(|| filter.default_step(now)))
}

/// What Loki's shippers send.
#[derive(Deserialize)]
struct Push {
    streams: Vec<Pushed>,
}

#[derive(Deserialize)]
struct Pushed {
    #[serde(default)]
    stream: BTreeMap<String, String>,
    /// Nanoseconds as text, the line, and perhaps more.
    values: Vec<Vec<serde_json::Value>>,
}

/// The labels that name a source, the best first.
const SOURCE_LABELS: [&str; 6] = ["source", "service_name", "service", "app", "job", "container"];
const LEVEL_LABELS: [&str; 3] = ["level", "detected_level", "severity"];

/// `POST /loki/api/v1/push`, JSON.
pub(super) async fn loki(State(bridge): State<Arc<Bridge>>, body: Body) -> Response<Body> {
    let body = match body::read(&bridge, body, "the push", BODY_LIMIT).await {
        Ok(body) => body,
        Err(response) => return *response,
    };
    let pushed = async {
        let mut text = Vec::new();
        let unpacked = open(&body[..]).map_err(said)?;
        let unpacked = std::io::Read::take(unpacked, BODY_LIMIT as u64 + 1);
        std::io::copy(&mut { unpacked }, &mut text).map_err(said)?;
        if text.len() > BODY_LIMIT {
            let (size, limit) = (text.len() as u64, BODY_LIMIT as u64);
            return Err(Error::TooLarge { what: "the push".into(), size, limit });
        }
        let push: Push = serde_json::from_slice(&text).map_err(|error| {
            Error::Invalid(format!("the push is not Loki's JSON: {error}; protobuf is not taken, set the shipper to JSON"))
        })?;
        let mut sending = Sending::new(logs(&bridge), None);
        for stream in &push.streams {
            let label = |names: &[&str]| names.iter().find_map(|name| stream.stream.get(*name));
            let source = label(&SOURCE_LABELS).map_or("loki", String::as_str);
            let level = label(&LEVEL_LABELS);
            for value in &stream.values {
                sending.push(source, loki_entry(value, level)?).await?;
            }
        }
        let ingested = sending.flush().await?;
        bridge.count_ingested(ingested.lines);
        Ok::<_, Error>(())
    };
    match pushed.await {
        Ok(()) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            response
        }
        Err(error) => answer::failed(&error),
    }
}

fn loki_entry(value: &[serde_json::Value], label: Option<&String>) -> Result<Entry> {
    let text = |at: usize| value.get(at).and_then(serde_json::Value::as_str);
    let at = text(0).and_then(|at| at.parse().ok());
    let (Some(at), Some(line)) = (at, text(1)) else {
        return Err(Error::Invalid("a value of a push is not [\"nanoseconds\", \"line\"]".into()));
    };
    let parsed = Parser::new(None, Zone::utc(), at).line(line);
    let level = label.and_then(|word| Level::of_word(word)).or(parsed.level);
    let word = match label {
        Some(word) => Some(word.clone()),
        None => parsed.word.map(std::borrow::Cow::into_owned),
    };
    Ok(Entry { at, level, word, by_arrival: false, text: line.to_owned() })
}
