//! `quorate watch`: an item as it changes.

use super::args::{QuorumArgs, Spelling, WatchArgs};
use super::connect::connect;
use super::data::{keys, siblings, with_quorum};
use super::failure::Result;
use super::output::{Format, say};
use crate::client::Got;
use serde_json::json;

/// Prints what is there, and again whenever it changes: until Ctrl-C, or once.
pub(super) async fn watch(args: WatchArgs) -> Result<()> {
    let request = args.request;
    let (key, sort) = keys(&args.item, request.spelling)?;
    let client = connect(&request.target).await?;
    let watch = client.watch(args.item.bucket, key).sort(sort);
    let mut watch = with_quorum!(watch, &request.quorum, r);
    if args.once {
        watch.next().await?;
    }
    loop {
        let got = watch.next().await?;
        say(line(&got, request.print.output, request.spelling))?;
        if args.once {
            return Ok(());
        }
    }
}

fn line(got: &Got, format: Format, spelling: Spelling) -> String {
    if format == Format::Json {
        let context = got.context.as_str();
        return json!({ "siblings": siblings(&got.siblings), "context": context }).to_string();
    }
    match &got.siblings[..] {
        [] => "(nothing)".into(),
        all => {
            let values: Vec<String> = all.iter().map(|one| spelling.cell(&one.value)).collect();
            values.join("\n")
        }
    }
}
