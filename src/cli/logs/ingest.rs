//! `quorate logs ingest`.

use super::super::args::IngestArgs;
use super::super::connect::connect;
use super::super::failure::{Failure, Result};
use super::super::output::{Format, align_right, json, show, table};
use super::super::progress;
use super::super::units::show_count;
use super::now;
use crate::client::Client;
use crate::logs::{Entry, Events, Ingested, Logs, Outcome, Parser, Rejected, Stream, open};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// How many rejected lines are shown to people, of each file.
const SHOWN: usize = 10;

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
    let reader: Box<dyn Read + Send> = if path == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        let file = File::open(path).map_err(|error| unreadable(&name, &error))?;
        bar.set_length(file.metadata().map_or(0, |about| about.len()));
        Box::new(file)
    };
    let source = args.source.clone().unwrap_or_else(|| source_of(path));
    let reader = open(bar.wrap_read(reader)).map_err(|error| unreadable(&name, &error))?;
    let mut events = Events::new(reader, Parser::new(args.format.0, args.zone.clone(), now()));
    let mut streams: BTreeMap<String, Stream<Client>> = BTreeMap::new();
    let mut done = Done { file: name.clone(), ingested: Ingested::default(), rejected: Vec::new() };
    while let Some(outcome) = events.next(now()).map_err(|error| unreadable(&name, &error))? {
        let event = match outcome {
            Outcome::Event(event) => event,
            Outcome::Rejected(rejected) => {
                done.rejected.push(rejected);
                continue;
            }
        };
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
