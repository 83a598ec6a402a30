//! `quorate keys BUCKET`: its partition keys, a line each, as they come.

use super::args::{KeysArgs, QuorumArgs};
use super::connect::connect;
use super::data::with_quorum;
use super::failure::Result;
use super::output::{Format, base64, raw};
use crate::client::Bytes;
use serde_json::json;

/// `quorate keys BUCKET`.
pub(super) async fn keys(args: KeysArgs) -> Result<()> {
    let request = &args.request;
    let spelling = request.spelling;
    let prefix = spelling.optional("prefix", args.prefix.as_deref())?;
    let client = connect(&request.target).await?;
    let keys = client.keys(args.bucket).prefix(prefix);
    let mut keys = with_quorum!(keys, &request.quorum, r);
    if let Some(limit) = args.limit {
        keys = keys.limit(usize::try_from(limit).unwrap_or(usize::MAX));
    }
    while let Some(page) = keys.next_page().await? {
        let line = |key: &Bytes| match request.print.output {
            Format::Json => format!("{}\n", json!({ "key": base64(key) })),
            Format::Table => format!("{}\n", spelling.cell(key)),
        };
        raw(page.iter().map(line).collect::<String>().as_bytes())?;
    }
    Ok(())
}
