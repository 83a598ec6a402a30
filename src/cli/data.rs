//! One item or a few: `put get delete scan`, `bucket create`, `bucket set`.

use super::args::{
    BucketArgs, BucketCommand, BucketCreateArgs, BucketDropArgs, BucketSetArgs, Conflict,
    DeleteArgs, GetArgs, ItemArgs, PutArgs, QuorumArgs, ScanArgs, Spelling,
};
use super::connect::connect;
use super::explain;
use super::failure::{Failure, Result};
use super::look;
use super::output::{Format, base64, json, raw, say, show, table};
use crate::client::{Bytes, Context, Info, ScanItem, Version, Written};
use crate::logs;
use comfy_table::Table;
use serde_json::{Value, json};
use std::io::IsTerminal;

/// Puts what the command line says of the quorum on a request; `$count` is `r` or `w`.
macro_rules! with_quorum {
    ($request:expr, $quorum:expr, $count:ident) => {{
        let quorum: &QuorumArgs = $quorum;
        let mut request = $request.consistency(quorum.consistency).strict(quorum.strict);
        if let Some(count) = quorum.$count {
            request = request.$count(count);
        }
        if let Some(timeout) = quorum.timeout {
            request = request.timeout(timeout);
        }
        request
    }};
}

pub(super) use with_quorum;

/// The partition key and the sort key that were typed.
pub(super) fn keys(item: &ItemArgs, spelling: Spelling) -> Result<(Bytes, Bytes)> {
    let sort = spelling.optional("sort key", item.sort.as_deref())?;
    Ok((spelling.bytes("key", &item.key)?, sort))
}

/// `quorate put BUCKET KEY VALUE`.
pub(super) async fn put(args: PutArgs) -> Result<()> {
    let request = &args.request;
    let (key, sort) = keys(&args.item, request.spelling)?;
    let context = context(args.context.as_deref())?;
    let value = request.spelling.value(&args.value)?;
    let client = connect(&request.target).await?;
    let put = client.put(args.item.bucket, key, value).sort(sort).context(&context).ttl(args.ttl);
    written(&with_quorum!(put, &request.quorum, w).await?, request.print.output)
}

/// `quorate delete BUCKET KEY`.
pub(super) async fn delete(args: DeleteArgs) -> Result<()> {
    let request = &args.request;
    let (key, sort) = keys(&args.item, request.spelling)?;
    let context = context(args.context.as_deref())?;
    let client = connect(&request.target).await?;
    let delete = client.delete(args.item.bucket, key).sort(sort).context(&context);
    written(&with_quorum!(delete, &request.quorum, w).await?, request.print.output)
}

fn context(token: Option<&str>) -> Result<Context> {
    Ok(token.map(str::parse).transpose()?.unwrap_or_default())
}

fn written(written: &Written, format: Format) -> Result<()> {
    match format {
        Format::Table => say(&written.context),
        Format::Json => json(&json!({
            "context": written.context.as_str(),
            "info": written.info,
        })),
    }
}

pub(super) fn siblings(siblings: &[Version]) -> Value {
    let sibling = |version: &Version| json!({"value": base64(&version.value), "dot": version.dot});
    siblings.iter().map(sibling).collect()
}

/// `quorate get BUCKET KEY`.
pub(super) async fn get(args: GetArgs) -> Result<()> {
    let request = args.request;
    let spelling = request.spelling;
    let (key, sort) = keys(&args.item, spelling)?;
    let client = connect(&request.target).await?;
    let mut get = client.get(args.item.bucket.clone(), key).sort(sort);
    if args.explain {
        get = get.explain();
    }
    let got = with_quorum!(get, &request.quorum, r).await?;
    if args.explain {
        eprintln!("{}", explained(&got.info));
        got.info.explained.iter().for_each(|story| eprintln!("{}", explain::story(story)));
    }
    if request.print.output == Format::Json {
        json(&json!({
            "siblings": siblings(&got.siblings),
            "context": got.context.as_str(),
            "info": got.info,
        }))?;
    }
    let table = request.print.output == Format::Table;
    match &got.siblings[..] {
        [] => Err(Failure::new(
            "not_found",
            format!("there is no value under `{}` in `{}`", args.item.key, args.item.bucket),
            "check the names, or put one",
        )),
        [one] if table && !args.siblings => value(spelling, &one.value),
        several => {
            if table {
                show(&siblings_table(spelling, several))?;
            }
            // Whoever did not expect several values must not take them for one.
            if args.siblings { Ok(()) } else { got.value().map(drop).map_err(Failure::from) }
        }
    }
}

/// Byte for byte, for it may be a file; people at a terminal get a line.
fn value(spelling: Spelling, value: &Bytes) -> Result<()> {
    match spelling.encode(value) {
        Some(text) => say(text),
        None => {
            raw(value)?;
            if std::io::stdout().is_terminal() { say("") } else { Ok(()) }
        }
    }
}

fn siblings_table(spelling: Spelling, siblings: &[Version]) -> Table {
    let mut table = table(&["dot", "value"]);
    for sibling in siblings {
        table.add_row([sibling.dot.clone(), spelling.cell(&sibling.value)]);
    }
    table
}

/// How an answer came about, in words.
fn explained(info: &Info) -> String {
    let mut text =
        format!("coordinated by {}, answered by {}", info.coordinator, info.replied.join(", "));
    if info.repaired > 0 {
        text += &format!("; {} stale replicas are being repaired", info.repaired);
    }
    if !info.hinted.is_empty() {
        text += &format!("; stand-ins for {}", info.hinted.join(", "));
    }
    if info.rebuilding {
        text += "; from a replica that is still rebuilding: something may be missing";
    }
    text
}

/// `quorate scan BUCKET KEY`.
pub(super) async fn scan(args: ScanArgs) -> Result<()> {
    let request = &args.request;
    let spelling = request.spelling;
    let bound = |typed: &Option<String>| spelling.optional("sort key", typed.as_deref());
    let key = spelling.bytes("key", &args.key)?;
    let (from, to, prefix) = (bound(&args.from)?, bound(&args.to)?, bound(&args.prefix)?);
    let limit = args.limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let client = connect(&request.target).await?;
    let mut scan = client.scan(args.bucket, key).from(from).to(to).prefix(prefix);
    if args.reverse {
        scan = scan.reverse();
    }
    let mut scan = with_quorum!(scan, &request.quorum, r);
    if let Some(limit) = limit {
        // One more than is shown: it is where the next scan begins.
        scan = scan.limit(limit.saturating_add(1));
    }
    let mut items = scan.await?;
    let next = limit.and_then(|limit| next_of(&items, limit, args.reverse));
    items.truncate(limit.unwrap_or(usize::MAX));
    match request.print.output {
        Format::Json => json(&scan_json(&items, next.as_ref())),
        Format::Table => {
            show(&scan_table(spelling, &items))?;
            match next {
                Some(next) if args.reverse => {
                    say(format!("… goes on before --to {}", spelling.cell(&next)))
                }
                Some(next) => say(format!("… goes on at --from {}", spelling.cell(&next))),
                None => Ok(()),
            }
        }
    }
}

/// Where the next scan begins: the `--from` of it, or in reverse the `--to`, which it does not show.
fn next_of(items: &[ScanItem], limit: usize, reverse: bool) -> Option<Bytes> {
    let more = items.get(limit)?;
    let next = if reverse { items.get(limit.checked_sub(1)?)? } else { more };
    Some(next.sort.clone())
}

fn scan_json(items: &[ScanItem], next: Option<&Bytes>) -> Value {
    let item = |item: &ScanItem| {
        json!({
            "sort": base64(&item.sort),
            "siblings": siblings(&item.siblings),
            "context": item.context.as_str(),
        })
    };
    let items: Vec<Value> = items.iter().map(item).collect();
    json!({"items": items, "next": next.map(|sort| base64(sort))})
}

fn scan_table(spelling: Spelling, items: &[ScanItem]) -> Table {
    let mut table = table(&["sort", "value", "dot"]);
    for item in items {
        for sibling in &item.siblings {
            table.add_row([
                spelling.cell(&item.sort),
                spelling.cell(&sibling.value),
                sibling.dot.clone(),
            ]);
        }
    }
    table
}

/// `quorate bucket …`.
pub(super) async fn bucket(args: BucketArgs) -> Result<()> {
    match args.command {
        BucketCommand::Create(args) => create(args).await,
        BucketCommand::Set(args) => set(args).await,
        BucketCommand::Drop(args) => drop_bucket(args).await,
        BucketCommand::List(args) => look::buckets(args).await,
        BucketCommand::Get { bucket, look } => look::bucket(&bucket, look).await,
    }
}

async fn create(args: BucketCreateArgs) -> Result<()> {
    let client = connect(&args.target).await?;
    let create =
        client.create_bucket(args.bucket.clone()).n(args.n).r(args.r).w(args.w).ttl(args.ttl);
    create.lww(args.conflict == Conflict::Lww).data_type(args.kind).await?;
    say(format!("{} is ready", args.bucket))
}

async fn set(args: BucketSetArgs) -> Result<()> {
    let mut change = connect(&args.target).await?.set_bucket(args.bucket.clone());
    if let Some(r) = args.r {
        change = change.r(r.after(None));
    }
    if let Some(w) = args.w {
        change = change.w(w.after(None));
    }
    if let Some(ttl) = args.ttl {
        change = change.ttl(ttl.after(None));
    }
    change.await?;
    say(format!("{} is changed", args.bucket))
}

async fn drop_bucket(args: BucketDropArgs) -> Result<()> {
    if logs::is_own_bucket(&args.bucket) {
        let what = format!("{} belongs to the log store", args.bucket);
        return Err(Failure::new("invalid", what, "let lines expire: `quorate logs ingest --ttl`"));
    }
    if !args.yes {
        let what = format!("this erases everything in {}, for good", args.bucket);
        return Err(Failure::new("invalid", what, "say --yes if that is what you want"));
    }
    connect(&args.target).await?.drop_bucket(args.bucket.clone()).await?;
    say(format!("{} is gone; the nodes erase what lay in it", args.bucket))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(value: &[u8], dot: &str) -> Version {
        Version { value: Bytes::copy_from_slice(value), dot: dot.into() }
    }

    #[test]
    fn json_has_the_shapes_of_the_interface() {
        let two = [version(b"x", "a:1"), version(&[255], "b:1")];
        assert_eq!(
            siblings(&two),
            json!([{"value": "eA==", "dot": "a:1"}, {"value": "/w==", "dot": "b:1"}])
        );
        let items =
            [ScanItem { sort: "s".into(), siblings: two.into(), context: Context::default() }];
        let page = scan_json(&items, Some(&"t".into()));
        assert_eq!(page["items"][0]["sort"], "cw==");
        assert_eq!(page["items"][0]["siblings"][1]["dot"], "b:1");
        assert_eq!(page["next"], "dA==");
        assert_eq!(scan_json(&[], None), json!({"items": [], "next": null}));
        let info = json!(Info { coordinator: "n1".into(), repaired: 2, ..Info::default() });
        assert_eq!((&info["coordinator"], &info["repaired"]), (&json!("n1"), &json!(2)));
        assert!(info["replied"].is_array() && info["hinted"].is_array());
    }

    #[test]
    fn a_scan_that_is_cut_says_where_it_goes_on() {
        let item = |sort: &'static str| ScanItem {
            sort: sort.into(),
            siblings: Vec::new(),
            context: Context::default(),
        };
        let (up, down) = ([item("a"), item("b"), item("c")], [item("c"), item("b"), item("a")]);
        assert_eq!(next_of(&up, 2, false), Some("c".into()));
        assert_eq!(next_of(&down, 2, true), Some("b".into()), "what is excluded then was shown");
        assert_eq!((next_of(&up, 3, false), next_of(&down, 3, true)), (None, None));
        assert_eq!(next_of(&down, 0, true), None);
    }

    #[test]
    fn tables_show_a_sibling_a_row() {
        let two = vec![version(b"x", "a:1"), version(&[255], "b:1")];
        let text = siblings_table(Spelling::default(), &two).to_string();
        assert!(text.contains("a:1") && text.contains("base64:/w=="), "{text}");
        let item = ScanItem { sort: "s".into(), siblings: two, context: Context::default() };
        assert_eq!(scan_table(Spelling::default(), &[item]).row_iter().count(), 2);
    }

    #[test]
    fn an_answer_explains_itself() {
        let mut info = Info {
            coordinator: "n1".into(),
            replied: vec!["n1".into(), "n2".into()],
            ..Info::default()
        };
        assert_eq!(explained(&info), "coordinated by n1, answered by n1, n2");
        info.hinted = vec!["n3".into()];
        info.repaired = 1;
        info.rebuilding = true;
        let text = explained(&info);
        assert!(text.contains("1 stale") && text.contains("n3") && text.contains("rebuilding"));
    }
}
