//! What an operator looks at: `status members ring locate hints info`, `bucket list|get`.
//!
//! A node answers with JSON; `-o json` passes it on as it is, a table picks the columns that people
//! read.

use super::args::{LocateArgs, LookArgs, RingArgs, StatusArgs, Target};
use super::connect::{connect, inspect};
use super::failure::{Failure, Result};
use super::output::{Format, align_right, cell, json, say, show, table};
use super::staleness;
use super::units::{show_bytes, show_count};
use crate::message::client::{Inspect, Item};
use comfy_table::Table;
use serde_json::Value;
use std::time::{Duration, Instant};

/// How long members may take to say how they are.
const PATIENCE: Duration = Duration::from_millis(500);
/// How often is looked meanwhile.
const LOOK: Duration = Duration::from_millis(20);

async fn ask(target: &Target, question: Inspect) -> Result<Value> {
    inspect(&connect(target).await?, question).await
}

/// The list under this name; nothing if a node should answer something else.
fn list<'a>(answer: &'a Value, name: &str) -> &'a [Value] {
    answer[name].as_array().map_or(&[], Vec::as_slice)
}

/// A table of these fields of every element.
fn columns(elements: &[Value], columns: &[(&str, &str)], numbers: &[usize]) -> Table {
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let mut table = table(&names);
    align_right(&mut table, numbers);
    for element in elements {
        table.add_row(columns.iter().map(|(_, field)| cell(&element[*field])));
    }
    table
}

/// Every field of an object, a line each.
fn fields(object: &Value) -> Table {
    let mut table = table(&[]);
    for (name, value) in object.as_object().into_iter().flatten() {
        table.add_row([name.replace('_', " "), cell(value)]);
    }
    table
}

/// `quorate status`.
pub(super) async fn status(args: StatusArgs) -> Result<()> {
    let client = connect(&args.look.target).await?;
    let mut answer = inspect(&client, Inspect::Status).await?;
    if args.staleness {
        answer["staleness"] = staleness::ask(&client).await?;
    }
    if args.look.print.output == Format::Json {
        return json(&answer);
    }
    say(cell(&answer["verdict"]))?;
    say("")?;
    show(&status_table(&answer))?;
    if args.staleness {
        say("")?;
        staleness::print(&answer["staleness"])?;
    }
    Ok(())
}

fn status_table(answer: &Value) -> Table {
    let counts = |name: &str| -> String {
        let counts = answer[name].as_object().into_iter().flatten();
        let counts: Vec<String> = counts
            .map(|(state, count)| format!("{} {}", cell(count), state.replace('_', "-")))
            .collect();
        counts.join(", ")
    };
    let mut table = table(&[]);
    let ready = match answer["ready"].as_bool() {
        Some(true) => "yes".to_string(),
        _ => format!("no: {}", cell(&answer["reason"])),
    };
    table.add_row(["asked", cell(&answer["node"]).as_str()]);
    table.add_row(["ready", ready.as_str()]);
    table.add_row(["cluster", cell(&answer["cluster"]).as_str()]);
    table.add_row(["epoch", cell(&answer["epoch"]).as_str()]);
    table.add_row(["nodes", counts("nodes").as_str()]);
    table.add_row(["partitions", counts("partitions").as_str()]);
    table.add_row(["verified", cell(&answer["verified"]["words"]).as_str()]);
    table.add_row(["hints pending", cell(&answer["hints_pending"]).as_str()]);
    table.add_row(["buckets", cell(&answer["buckets"]).as_str()]);
    if !answer["restored"].is_null() {
        table.add_row(["restored", cell(&answer["restored"]).as_str()]);
    }
    table
}

/// `quorate members`.
pub(super) async fn members(args: LookArgs) -> Result<()> {
    let began = Instant::now();
    let answer = loop {
        let answer = ask(&args.target, Inspect::Members).await?;
        // The node asks the others when it is looked at: the first answer is without what they say.
        if have_all_told(&answer) || began.elapsed() > PATIENCE {
            break answer;
        }
        tokio::time::sleep(LOOK).await;
    };
    if args.print.output == Format::Json {
        return json(&answer);
    }
    show(&members_table(&answer))
}

/// A size for people.
fn size(bytes: &Value) -> String {
    bytes.as_u64().map_or("-".into(), |bytes| show_bytes(bytes as f64))
}

/// Whether each member that is alive has said how it is.
fn have_all_told(answer: &Value) -> bool {
    let mut alive = list(answer, "members").iter().filter(|member| member["state"] == "alive");
    alive.all(|member| member["told"] != false)
}

fn members_table(answer: &Value) -> Table {
    let mut table = table(&[
        "name",
        "address",
        "zone",
        "state",
        "generation",
        "incarnation",
        "round trip",
        "keys",
        "used",
        "free",
        "id",
    ]);
    align_right(&mut table, &[5, 6, 7, 8, 9]);
    for member in list(answer, "members") {
        let me = if member["me"] == Value::Bool(true) { " (asked)" } else { "" };
        let round_trip =
            member["round_trip_ms"].as_f64().map_or("-".to_string(), |ms| format!("{ms:.2} ms"));
        table.add_row([
            format!("{}{me}", cell(&member["name"])),
            cell(&member["address"]),
            cell(&member["zone"]),
            cell(&member["state"]),
            cell(&member["generation"]),
            cell(&member["incarnation"]),
            round_trip,
            member["keys"].as_u64().map_or("-".into(), show_count),
            size(&member["store_bytes"]),
            size(&member["free_bytes"]),
            cell(&member["id"]),
        ]);
    }
    table
}

/// `quorate ring`.
pub(super) async fn ring(args: &RingArgs) -> Result<()> {
    let answer = ask(&args.look.target, Inspect::Ring).await?;
    if args.look.print.output == Format::Json {
        return json(&answer);
    }
    say(format!(
        "epoch {}: {} partitions, {} replicas each",
        cell(&answer["epoch"]),
        cell(&answer["partitions"]),
        cell(&answer["replicas"])
    ))?;
    if !answer["change"].is_null() {
        say(cell(&answer["change"]["words"]))?;
    }
    say("")?;
    show(&ring_table(&answer))?;
    if args.partitions {
        say("")?;
        show(&partitions_table(&answer))?;
    }
    Ok(())
}

fn ring_table(answer: &Value) -> Table {
    let mut table = table(&["name", "zone", "weight", "slots", "share", "id"]);
    align_right(&mut table, &[2, 3, 4]);
    for member in list(answer, "members") {
        let share = member["share"]
            .as_f64()
            .map_or("-".to_string(), |share| format!("{:.1} %", share * 100.0));
        table.add_row([
            cell(&member["name"]),
            cell(&member["zone"]),
            cell(&member["weight"]),
            cell(&member["owned"]),
            share,
            cell(&member["id"]),
        ]);
    }
    table
}

fn partitions_table(answer: &Value) -> Table {
    let replicas = answer["replicas"].as_u64().unwrap_or(0) as usize;
    let mut table = table(&["partition", "owners", "fallbacks"]);
    align_right(&mut table, &[0]);
    for (number, row) in list(answer, "table").iter().enumerate() {
        let names: Vec<String> = row.as_array().into_iter().flatten().map(cell).collect();
        let (owners, fallbacks) = names.split_at(replicas.min(names.len()));
        table.add_row([number.to_string(), owners.join(", "), fallbacks.join(", ")]);
    }
    table
}

/// `quorate locate BUCKET KEY`.
pub(super) async fn locate(args: LocateArgs) -> Result<()> {
    let item = Item {
        key: args.spelling.bytes("key", &args.item.key)?,
        sort: args.spelling.optional("sort key", args.item.sort.as_deref())?,
        bucket: args.item.bucket,
    };
    let answer = ask(&args.look.target, Inspect::Locate(item)).await?;
    if args.look.print.output == Format::Json {
        return json(&answer);
    }
    say(format!("partition {}", cell(&answer["partition"])))?;
    say(format!("owners    {}", cell(&answer["owners"])))?;
    say(format!("fallbacks {}", cell(&answer["fallbacks"])))?;
    say("")?;
    show(&locate_table(&answer))
}

fn locate_table(answer: &Value) -> Table {
    let mut table = table(&["replica", "role", "holds", "dots", "stands in for"]);
    for replica in list(answer, "replicas") {
        let holds = match (replica["answered"].as_bool(), replica["present"].as_bool()) {
            (Some(true), Some(true)) => "yes",
            (Some(true), _) => "no",
            _ => "did not answer",
        };
        table.add_row([
            cell(&replica["node"]),
            cell(&replica["role"]),
            holds.to_string(),
            cell(&replica["dots"]),
            cell(&replica["stands_in_for"]),
        ]);
    }
    table
}

/// `quorate hints`.
pub(super) async fn hints(args: LookArgs) -> Result<()> {
    let answer = ask(&args.target, Inspect::Hints).await?;
    if args.print.output == Format::Json {
        return json(&answer);
    }
    say(format!("{} hints pending on this node", cell(&answer["pending"])))?;
    if answer["ranges"].as_u64() > Some(0) {
        let ranges = cell(&answer["ranges"]);
        say(format!("there were too many: {ranges} whole partitions are noted in their place"))?;
    }
    if answer["full"] == true {
        say("it stands in for no more: it keeps as much as it is told to (hints.max_items)")?;
    }
    let owners = list(&answer, "owners");
    if owners.is_empty() {
        return Ok(());
    }
    say("")?;
    show(&columns(owners, &[("kept for", "owner"), ("pending", "pending")], &[1]))
}

/// `quorate info`.
pub(super) async fn info(args: LookArgs) -> Result<()> {
    let answer = ask(&args.target, Inspect::Info).await?;
    if args.print.output == Format::Json {
        return json(&answer);
    }
    show(&fields(&answer))
}

const BUCKET_COLUMNS: [(&str, &str); 7] = [
    ("bucket", "name"),
    ("n", "n"),
    ("r", "r"),
    ("w", "w"),
    ("conflict", "conflict"),
    ("type", "type"),
    ("id", "id"),
];

/// `quorate bucket list`.
pub(super) async fn buckets(args: LookArgs) -> Result<()> {
    let answer = ask(&args.target, Inspect::Buckets).await?;
    if args.print.output == Format::Json {
        return json(&answer);
    }
    show(&columns(list(&answer, "buckets"), &BUCKET_COLUMNS, &[1, 2, 3]))
}

/// `quorate bucket get B`.
pub(super) async fn bucket(name: &str, args: LookArgs) -> Result<()> {
    let answer = ask(&args.target, Inspect::Buckets).await?;
    let found = list(&answer, "buckets").iter().find(|bucket| bucket["name"] == name);
    let bucket = found.ok_or_else(|| {
        let next = "see `quorate bucket list`; the first write creates it";
        Failure::new("not_found", format!("there is no bucket `{name}`"), next)
    })?;
    if args.print.output == Format::Json {
        return json(bucket);
    }
    show(&columns(std::slice::from_ref(bucket), &BUCKET_COLUMNS, &[1, 2, 3]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rows(table: &Table) -> Vec<Vec<String>> {
        let split =
            |line: &str| line.split("  ").map(str::trim).map(String::from).collect::<Vec<_>>();
        let text = table.to_string();
        text.lines()
            .map(|line| split(line).into_iter().filter(|cell| !cell.is_empty()).collect())
            .collect()
    }

    #[test]
    fn members_are_rows() {
        let answer = json!({"members": [
            {"name": "n1", "id": "aa", "address": "127.0.0.1:1", "http": "h", "zone": "", "state": "alive",
             "generation": "bb", "incarnation": 3, "round_trip_ms": null, "index": 9, "me": true,
             "told": true, "keys": 1234, "store_bytes": 2048, "free_bytes": 3221225472u64},
            {"name": "n2", "id": "cc", "address": "127.0.0.1:2", "http": "h", "zone": "z", "state": "dead",
             "generation": "dd", "incarnation": 0, "round_trip_ms": 0.417, "index": 9, "me": false,
             "told": false, "keys": null, "store_bytes": null, "free_bytes": null},
        ]});
        let rows = rows(&members_table(&answer));
        let n1 = ["n1 (asked)", "127.0.0.1:1", "-", "alive", "bb", "3", "-"];
        assert_eq!(rows[1], [&n1[..], &["1,234", "2.0 KiB", "3.0 GiB", "aa"]].concat());
        let n2 = ["n2", "127.0.0.1:2", "z", "dead", "dd", "0", "0.42 ms"];
        assert_eq!(rows[2], [&n2[..], &["-", "-", "-", "cc"]].concat());
        assert!(have_all_told(&answer), "who is dead says nothing");
    }

    #[test]
    fn a_ring_is_members_and_partitions() {
        let answer = json!({"epoch": 2, "partitions": 2, "replicas": 2,
            "members": [{"name": "n1", "id": "aa", "zone": "", "weight": 1, "owned": 2, "share": 0.3333}],
            "table": [["n1", "n2", "n3"], ["n2", "n1", "n3"]]});
        assert_eq!(rows(&ring_table(&answer))[1], ["n1", "-", "1", "2", "33.3 %", "aa"]);
        assert_eq!(rows(&partitions_table(&answer))[2], ["1", "n2, n1", "n3"]);
    }

    #[test]
    fn an_item_is_where_its_replicas_say() {
        let answer = json!({"partition": 7, "owners": ["n1"], "fallbacks": [], "replicas": [
            {"node": "n1", "role": "owner", "answered": true, "present": true, "dots": ["a:1"], "stands_in_for": []},
            {"node": "n2", "role": "fallback", "answered": false, "present": false, "dots": [], "stands_in_for": []},
        ]});
        let rows = rows(&locate_table(&answer));
        assert_eq!(rows[1], ["n1", "owner", "yes", "a:1", "-"]);
        assert_eq!(rows[2], ["n2", "fallback", "did not answer", "-", "-"]);
    }

    #[test]
    fn a_status_is_told_in_words() {
        let answer = json!({"verdict": "healthy", "ready": false, "reason": "joining", "node": "n1",
            "cluster": "c", "epoch": 1, "nodes": {"alive": 2, "dead": 1},
            "partitions": {"total": 8, "under_replicated": 0}, "hints_pending": 4, "buckets": 1});
        let text = status_table(&answer).to_string();
        assert!(text.contains("no: joining") && text.contains("2 alive, 1 dead"), "{text}");
        assert!(text.contains("0 under-replicated"), "{text}");
    }

    #[test]
    fn an_unexpected_answer_is_an_empty_table_not_a_panic() {
        for answer in [json!(null), json!([]), json!({"members": 3, "table": [3]})] {
            members_table(&answer);
            ring_table(&answer);
            partitions_table(&answer);
            locate_table(&answer);
            status_table(&answer);
            fields(&answer);
        }
    }
}
