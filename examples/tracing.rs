//! A service whose `tracing` events go into Quorate's log store, and which never waits for that.
//!
//! ```text
//!   info!(order = 7, "paid") ─► Layer ─► channel, bounded ─► task: a second's worth ─► Stream: push, push, flush
//!                                 └─ full: dropped, counted, told at the end
//! ```
//!
//! Against a cluster, for example one made by `quorate cluster start`:
//! `cargo run --example tracing [-- 127.0.0.1:7610,127.0.0.1:7620]`, then `quorate logs query --source shop`
#![allow(clippy::disallowed_methods)] // a service has clocks

use quorate::client::Client;
use quorate::logs::{Entry, Level, Logs, Nanos, show_time};
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber, debug, error, info, warn};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

/// How many events wait at most; beyond, they are dropped and counted.
const QUEUE: usize = 8_192;
/// How long the first event of a batch waits for others: every batch makes blocks of its own.
const GATHER: Duration = Duration::from_secs(1);
/// A batch of so many events does not wait.
const BATCH: usize = 4_096;
/// How long the end waits for a cluster that does not answer.
const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> quorate::Result<()> {
    let client = Client::builder().nodes(nodes()).build().await?;
    let (layer, shipping) = ship(Logs::new(client), "shop");
    tracing_subscriber::registry().with(EnvFilter::new("debug")).with(layer).init();

    info!(port = 8080, "the shop is open");
    for order in 0..1_000_u64 {
        debug!(order, customer = %format!("c{}", order % 7), "asked");
        match order % 100 {
            13 => warn!(order, took_ms = 1_200, "the till was slow"),
            97 => error!(order, reason = ?std::io::ErrorKind::ConnectionReset, "not paid"),
            _ => info!(order, "paid"),
        }
    }
    info!("the shop is closed");

    let Told { stored, dropped, unsent } = shipping.end().await;
    println!("stored {stored}, dropped {dropped}, not stored in time {unsent}");
    Ok(())
}

/// A layer that hands events over, and the task that sends them.
fn ship(logs: Logs<Client>, source: &'static str) -> (ToLogs, Shipping) {
    let (events, waiting) = mpsc::channel(QUEUE);
    let counts = Arc::new(Counts::default());
    let (end, ended) = mpsc::channel(1);
    let task = tokio::spawn(send(logs, source, waiting, ended, counts.clone()));
    (ToLogs { events, counts: counts.clone() }, Shipping { task, end, counts })
}

#[derive(Default)]
struct Counts {
    taken: AtomicU64,
    stored: AtomicU64,
    dropped: AtomicU64,
}

/// Makes a line of an event and hands it over; it never waits.
struct ToLogs {
    events: mpsc::Sender<Entry>,
    counts: Arc<Counts>,
}

impl<S: Subscriber> Layer<S> for ToLogs {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let (at, about) = (now(), event.metadata());
        let level = match *about.level() {
            tracing::Level::TRACE => Level::Trace,
            tracing::Level::DEBUG => Level::Debug,
            tracing::Level::INFO => Level::Info,
            tracing::Level::WARN => Level::Warn,
            tracing::Level::ERROR => Level::Error,
        };
        let mut line = Line::default();
        event.record(&mut line);
        let text = format!(
            "{} {} {}: {}{}",
            show_time(at),
            level.as_str(),
            about.target(),
            line.message,
            line.fields
        );
        let entry = Entry { at, level: Some(level), word: None, by_arrival: false, text };
        let counter = match self.events.try_send(entry) {
            Ok(()) => &self.counts.taken,
            Err(_) => &self.counts.dropped,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// The message, and ` name=value` of each other field.
#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let written = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
        written.expect("a string takes all");
    }
}

/// What became of the events.
struct Told {
    stored: u64,
    dropped: u64,
    unsent: u64,
}

struct Shipping {
    task: JoinHandle<()>,
    end: mpsc::Sender<()>,
    counts: Arc<Counts>,
}

impl Shipping {
    /// Sends what waits, for as long as there is patience, and says what became of all.
    async fn end(self) -> Told {
        let _ = self.end.send(()).await;
        let stop = self.task.abort_handle();
        if timeout(PATIENCE, self.task).await.is_err() {
            stop.abort();
        }
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let stored = count(&self.counts.stored);
        let unsent = count(&self.counts.taken).saturating_sub(stored);
        Told { stored, dropped: count(&self.counts.dropped), unsent }
    }
}

/// Gathers a second's worth and stores it, until it is told to end and nothing waits.
async fn send(
    logs: Logs<Client>,
    source: &'static str,
    mut waiting: mpsc::Receiver<Entry>,
    mut end: mpsc::Receiver<()>,
    counts: Arc<Counts>,
) {
    loop {
        let first = tokio::select! {
            first = waiting.recv() => first,
            _ = end.recv(), if !waiting.is_closed() => {
                // What waits is still received, then nothing.
                waiting.close();
                continue;
            }
        };
        let Some(first) = first else { return };
        let mut batch = vec![first];
        let until = Instant::now() + GATHER;
        while batch.len() < BATCH {
            tokio::select! {
                next = timeout_at(until, waiting.recv()) => match next {
                    Ok(Some(next)) => batch.push(next),
                    Ok(None) | Err(_) => break,
                },
                _ = end.recv(), if !waiting.is_closed() => waiting.close(),
            }
        }
        // Sent again it is the same: an event is what it is by its source, moment and text.
        while let Err(error) = store(&logs, source, &batch).await {
            eprintln!("events wait: {error}");
            sleep(GATHER).await;
        }
        counts.stored.fetch_add(batch.len() as u64, Ordering::Relaxed);
    }
}

async fn store(logs: &Logs<Client>, source: &str, batch: &[Entry]) -> quorate::Result<()> {
    let mut stream = logs.stream(source, None, now()).await?;
    for entry in batch {
        stream.push(entry.clone()).await?;
    }
    stream.flush().await?;
    Ok(())
}

fn now() -> Nanos {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// The addresses on the command line, or the first node of a local cluster.
fn nodes() -> Vec<String> {
    let given = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7610".into());
    given.split(',').map(String::from).collect()
}
