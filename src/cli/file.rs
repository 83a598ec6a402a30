//! `quorate file`: files of any size, in pieces that lie on all nodes.

use super::args::{
    FileCommand, FileGetArgs, FileListArgs, FileNameArgs, FilePutArgs, FileVerifyArgs,
};
use super::connect::connect;
use super::failure::{Failure, Result};
use super::output::{Format, align_right, json, say, show, table};
use super::progress;
use super::units::show_bytes;
use crate::client::Client;
use crate::files::{About, Files, PIECE_BYTES};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Standard input, or standard output.
const STREAM: &str = "-";

/// `quorate file …`.
pub(super) async fn file(command: FileCommand) -> Result<()> {
    match command {
        FileCommand::Put(args) => put(args).await,
        FileCommand::Get(args) => get(args).await,
        FileCommand::List(args) => list(args).await,
        FileCommand::Delete(args) => delete(args).await,
        FileCommand::Verify(args) => verify(args).await,
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn files(client: Client) -> Files<Client> {
    Files::new(client, now)
}

fn of_disk(path: &Path, error: &io::Error) -> Failure {
    Failure::new("invalid", format!("{}: {error}", path.display()), "is the path right?")
}

async fn put(args: FilePutArgs) -> Result<()> {
    let files = files(connect(&args.target).await?);
    let bar = progress::bytes(&args.name);
    let broken = |error: io::Error| of_disk(&args.path, &error);
    let mut from: Box<dyn Read> = if args.path == Path::new(STREAM) {
        Box::new(io::stdin())
    } else {
        let file = File::open(&args.path).map_err(broken)?;
        bar.set_length(file.metadata().map_err(broken)?.len());
        Box::new(file)
    };
    let mut upload = files.upload(&args.name)?;
    let mut buffer = vec![0; PIECE_BYTES];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                upload.push(&buffer[..count]).await?;
                bar.inc(count as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(broken(error)),
        }
    }
    let about = upload.finish().await?;
    bar.finish_and_clear();
    match args.print.output {
        Format::Json => json(&as_json(&args.name, &about)),
        _ => say(format!("{}: {} stored", args.name, show_bytes(about.size as f64))),
    }
}

async fn get(args: FileGetArgs) -> Result<()> {
    let files = files(connect(&args.target).await?);
    let mut download = files.download(&args.name).await?;
    let bar = progress::bytes(&args.name);
    bar.set_length(download.about().size);
    let broken = |error: io::Error| of_disk(&args.path, &error);
    let to_stream = args.path == Path::new(STREAM);
    // Under its own name it is whole, or what was there before.
    let part = PathBuf::from(format!("{}.part-{}", args.path.display(), std::process::id()));
    let mut guard = (!to_stream).then(|| Part(part.clone()));
    let mut to: Box<dyn Write> = match to_stream {
        true => Box::new(io::stdout()),
        false => Box::new(File::create(&part).map_err(broken)?),
    };
    while let Some(piece) = download.next().await? {
        to.write_all(&piece).map_err(broken)?;
        bar.inc(piece.len() as u64);
    }
    to.flush().map_err(broken)?;
    drop(to);
    bar.finish_and_clear();
    if !to_stream {
        File::open(&part).and_then(|file| file.sync_all()).map_err(broken)?;
        fs::rename(&part, &args.path).map_err(broken)?;
        guard.take().map(std::mem::forget).unwrap_or_default();
    }
    Ok(())
}

/// A file that goes when it does not become whole.
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

async fn list(args: FileListArgs) -> Result<()> {
    let all = files(connect(&args.target).await?).list(&args.prefix).await?;
    if args.print.output == Format::Json {
        let all: Vec<Value> = all.iter().map(|(name, about)| as_json(name, about)).collect();
        return json(&json!({ "files": all }));
    }
    let mut rows = table(&["name", "bytes", "put at"]);
    align_right(&mut rows, &[1]);
    for (name, about) in all {
        rows.add_row([name, about.size.to_string(), at(&about)]);
    }
    show(&rows)
}

async fn delete(args: FileNameArgs) -> Result<()> {
    let files = files(connect(&args.target).await?);
    if files.delete(&args.name).await? {
        return say(format!("{} is deleted", args.name));
    }
    let what = format!("there is no file `{}`", args.name);
    Err(Failure::new("not_found", what, "`quorate file list` names them"))
}

/// Reads all of one file, or of all, and changes nothing.
async fn verify(args: FileVerifyArgs) -> Result<()> {
    let files = files(connect(&args.target).await?);
    let names = match &args.name {
        Some(name) => vec![name.clone()],
        None => files.list("").await?.into_iter().map(|(name, _)| name).collect(),
    };
    let bar = progress::bar(names.len() as u64, "files read");
    let (mut rows, mut bad) = (Vec::new(), 0);
    for name in names {
        let verdict = whole(&files, &name).await;
        bad += usize::from(verdict.is_err());
        rows.push((name, verdict));
        bar.inc(1);
    }
    bar.finish_and_clear();
    if args.print.output == Format::Json {
        let row = |(name, verdict): &(String, crate::Result<u64>)| {
            json!({
                "name": name,
                "ok": verdict.is_ok(),
                "size": verdict.as_ref().ok(),
                "error": verdict.as_ref().err().map(ToString::to_string),
            })
        };
        json(&json!({ "files": rows.iter().map(row).collect::<Vec<_>>() }))?;
    } else {
        let mut shown = table(&["name", "bytes", "verdict"]);
        align_right(&mut shown, &[1]);
        for (name, verdict) in rows {
            let (size, verdict) = match verdict {
                Ok(size) => (size.to_string(), "whole".to_owned()),
                Err(error) => (String::new(), error.to_string()),
            };
            shown.add_row([name, size, verdict]);
        }
        show(&shown)?;
    }
    match bad {
        0 => Ok(()),
        _ => {
            let next = "repair and scrub the nodes, and put again what stays so";
            Err(Failure::new("failed", format!("{bad} files are not whole"), next))
        }
    }
}

async fn whole(files: &Files<Client>, name: &str) -> crate::Result<u64> {
    let mut download = files.download(name).await?;
    while download.next().await?.is_some() {}
    Ok(download.about().size)
}

fn at(about: &About) -> String {
    let at = UNIX_EPOCH + std::time::Duration::from_millis(about.written_at);
    humantime::format_rfc3339_seconds(at).to_string()
}

fn as_json(name: &str, about: &About) -> Value {
    let hash = blake3::Hash::from_bytes(about.hash).to_hex();
    json!({ "name": name, "size": about.size, "written_at": at(about), "blake3": hash.as_str() })
}
