//! `quorate logs ingest`.

use super::super::args::IngestArgs;
use super::super::connect::connect;
use super::super::failure::{Failure, Result};
use super::super::output::{Format, align_right, json, show, table};
use super::super::progress;
use super::super::units::show_count;
use super::followed::follow;
use super::now;
use crate::client::Client;
use crate::logs::{Entry, Events, Ingested, Logs, Outcome, Parser, Rejected, Stream, open};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, ErrorKind};
use std::path::Path;
use std::time::{Duration, Instant};

/// How many rejected lines are shown to people, of each file.
const SHOWN: usize = 10;

/// What came through a pipe is stored when nothing comes for a while, and at least so often.
const STORE_EVERY: Duration = Duration::from_secs(5);
/// How often the stream of a pipe learns how late it is: lines are kept from when they arrive.
const RENEW_EVERY: Duration = Duration::from_secs(600);

/// What became of a file.
struct Done {
    file: String,
    ingested: Ingested,
    rejected: Vec<Rejected>,
}

/// Files one after another; each is a stream of its own, so that a file that is sent again is there once.
pub(super) async fn ingest(args: IngestArgs) -> Result<()> {
    let logs = Logs::new(connect(&args.target).await?);
    let mut all = Vec::new();
    for path in &args.files {
        all.push(file(&logs, &args, path).await?);
    }
    report(&all, args.print.output)
}

async fn file(logs: &Logs<Client>, args: &IngestArgs, path: &Path) -> Result<Done> {
    let name = path.display().to_string();
    let bar = progress::bytes(&name);
    let is_pipe = path == Path::new("-");
    let reader: Box<dyn BufRead> = if is_pipe {
        Box::new(follow(bar.wrap_read(std::io::stdin())))
    } else {
        let file = File::open(path).map_err(|error| unreadable(&name, &error))?;
        bar.set_length(file.metadata().map_or(0, |about| about.len()));
        open(bar.wrap_read(file)).map_err(|error| unreadable(&name, &error))?
    };
    let source = args.source.clone().unwrap_or_else(|| source_of(path));
    let mut events = Events::new(reader, Parser::new(args.format.0, args.zone.clone(), now()));
    let mut streams: BTreeMap<String, Stream<Client>> = BTreeMap::new();
    let mut done = Done { file: name.clone(), ingested: Ingested::default(), rejected: Vec::new() };
    // What a pipe has brought is not kept waiting for what it may bring.
    let (mut stored, mut renewed) = (Instant::now(), Instant::now());
    loop {
        let (event, is_silent) = match events.next(now()) {
            Ok(None) => break,
            Ok(Some(Outcome::Event(event))) => (Some(event), false),
            Ok(Some(Outcome::Rejected(rejected))) => {
                done.rejected.push(rejected);
                continue;
            }
            Err(error) if is_pipe && error.kind() == ErrorKind::TimedOut => (events.pause(), true),
            Err(error) => return Err(unreadable(&name, &error)),
        };
        if let Some(event) = event {
            let source = event.source.clone().unwrap_or_else(|| source.clone());
            let stream = match streams.get_mut(&source) {
                Some(stream) => stream,
                None => {
                    let stream = logs.stream(&source, args.ttl, now()).await?;
                    streams.entry(source).or_insert(stream)
                }
            };
            stream.push(Entry::from(event)).await?;
        }
        if is_pipe && (is_silent || stored.elapsed() >= STORE_EVERY) {
            for stream in streams.values_mut() {
                stream.flush().await?;
                if renewed.elapsed() >= RENEW_EVERY {
                    logs.renew(stream, now()).await?;
                }
            }
            stored = Instant::now();
            renewed = if renewed.elapsed() >= RENEW_EVERY { stored } else { renewed };
        }
    }
    for stream in streams.values_mut() {
        done.ingested += stream.flush().await?;
    }
    bar.finish_and_clear();
    Ok(done)
}

/// The file's name without its endings: `web-1` for `web-1.log.gz`.
fn source_of(path: &Path) -> String {
    if path == Path::new("-") {
        return "stdin".into();
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = name.unwrap_or_default();
    let stem = name.split('.').find(|part| !part.is_empty()).unwrap_or("file");
    stem.to_owned()
}

fn unreadable(name: &str, error: &std::io::Error) -> Failure {
    Failure::new("invalid", format!("{name}: {error}"), "check the name and the permissions")
}

fn report(all: &[Done], format: Format) -> Result<()> {
    if format == Format::Json {
        let rejected = |done: &Done| {
            let file = done.file.clone();
            let each = done.rejected.iter().map(move |rejected| {
                json!({"file": file, "line": rejected.line, "reason": rejected.reason})
            });
            each.collect::<Vec<_>>()
        };
        let file = |done: &Done| {
            let Ingested { lines, blocks, text_bytes, stored_bytes } = done.ingested;
            json!({
                "file": done.file, "ingested": lines, "blocks": blocks,
                "text_bytes": text_bytes, "stored_bytes": stored_bytes,
            })
        };
        return json(&json!({
            "ingested": all.iter().map(|done| done.ingested.lines).sum::<u64>(),
            "rejected": all.iter().flat_map(rejected).collect::<Vec<_>>(),
            "files": all.iter().map(file).collect::<Vec<_>>(),
        }));
    }
    let mut rows = table(&["file", "ingested", "rejected"]);
    align_right(&mut rows, &[1, 2]);
    for done in all {
        let rejected = show_count(done.rejected.len() as u64);
        rows.add_row([done.file.clone(), show_count(done.ingested.lines), rejected]);
        for rejected in done.rejected.iter().take(SHOWN) {
            eprintln!("rejected: {}, line {}: {}", done.file, rejected.line, rejected.reason);
        }
        if done.rejected.len() > SHOWN {
            eprintln!("rejected: {}: more of them; all with -o json", done.file);
        }
    }
    show(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_called_as_its_file_without_endings() {
        for (path, wanted) in [
            ("/var/log/web-1.log", "web-1"),
            ("web-1.2026-01-02.log.gz", "web-1"),
            ("Apache_2k.log", "Apache_2k"),
            (".hidden", "hidden"),
            ("-", "stdin"),
        ] {
            assert_eq!(source_of(Path::new(path)), wanted);
        }
    }
}
