//! `quorate status --staleness`: how likely reads miss what was just written.
//!
//! ```text
//!   of reads at r=1 through another owner, right after a write at w=1 through this one, 61.2 % miss it; …
//!   R  W  0 ms    1 ms    …  99.9 % FRESH AFTER
//!   1  1  61.2 %  22.0 %     8.41 ms
//! ```

use super::connect::inspect;
use super::failure::Result;
use super::output::{align_right, cell, say, show, table};
use crate::client::{Client, Inspect};
use comfy_table::Table;
use serde_json::Value;
use std::time::Duration;

/// While the node measures the ways to the others it is asked again after so long …
const AGAIN: Duration = Duration::from_millis(100);
/// … and so often at most.
const TIMES: usize = 30;

/// What the node predicts; it is waited for while only small round trips are missing, which the node makes itself.
pub(super) async fn ask(client: &Client) -> Result<Value> {
    let mut answer = inspect(client, Inspect::Staleness).await?;
    for _ in 0..TIMES {
        if answer["sounding"] != Value::Bool(true) {
            break;
        }
        tokio::time::sleep(AGAIN).await;
        answer = inspect(client, Inspect::Staleness).await?;
    }
    Ok(answer)
}

/// Prints it for people.
pub(super) fn print(answer: &Value) -> Result<()> {
    say(cell(&answer["verdict"]))?;
    if answer["enough"] != Value::Bool(true) {
        return Ok(());
    }
    say("")?;
    show(&chances(answer, "elsewhere"))?;
    let is_told = |pair: &Value| !pair["returning"].is_null();
    if list(answer, "predictions").iter().any(is_told) {
        say(
            "\nIf those come back right now for whom hints are kept, of what is written while they are away:\n",
        )?;
        show(&chances(answer, "returning"))?;
    }
    say("")?;
    show(&replicas(answer))
}

fn list<'a>(answer: &'a Value, name: &str) -> &'a [Value] {
    answer[name].as_array().map_or(&[], Vec::as_slice)
}

/// A line for each (r, w), a column for each time.
fn chances(answer: &Value, reader: &str) -> Table {
    let times = list(answer, "after_ms").iter().map(|ms| format!("{} ms", number(ms)));
    let mut columns = vec!["r".to_string(), "w".to_string()];
    columns.extend(times);
    columns.push("99.9 % fresh after".into());
    let names: Vec<&str> = columns.iter().map(String::as_str).collect();
    let mut table = table(&names);
    align_right(&mut table, &(0..names.len()).collect::<Vec<_>>());
    for pair in list(answer, "predictions") {
        let told = &pair[reader];
        let mut row = vec![cell(&pair["r"]), cell(&pair["w"])];
        row.extend(list(told, "stale").iter().map(percent));
        row.resize(names.len() - 1, "-".into());
        let fresh = &told["fresh_999_ms"];
        row.push(if fresh.is_null() { "-".into() } else { format!("{} ms", number(fresh)) });
        table.add_row(row);
    }
    table
}

/// What it was drawn from.
fn replicas(answer: &Value) -> Table {
    let mut table = table(&[
        "replica",
        "state",
        "writes",
        "round trips",
        "disk",
        "way",
        "hints",
        "handed over in",
    ]);
    align_right(&mut table, &[2, 3, 4, 5, 6, 7]);
    for replica in list(answer, "replicas") {
        let half = |name: &str| {
            let p50 = &replica[name]["p50"];
            if p50.is_null() { "-".to_string() } else { format!("{} ms", number(p50)) }
        };
        let over = &replica["handed_over_ms"];
        let over = if over.is_null() { "-".into() } else { format!("{} ms", number(over)) };
        table.add_row([
            cell(&replica["name"]),
            cell(&replica["state"]),
            cell(&replica["writes"]),
            cell(&replica["round_trips"]),
            half("disk_ms"),
            half("way_ms"),
            cell(&replica["hints"]),
            over,
        ]);
    }
    table
}

fn percent(share: &Value) -> String {
    match share.as_f64() {
        None => "-".into(),
        Some(0.0) => "0".into(),
        Some(share) if share < 0.0005 => "< 0.1 %".into(),
        Some(share) => format!("{:.1} %", share * 100.0),
    }
}

/// Without digits that nobody needs.
fn number(value: &Value) -> String {
    match value.as_f64() {
        None => cell(value),
        Some(ms) if ms.fract() == 0.0 || ms >= 100.0 => format!("{ms:.0}"),
        Some(ms) => format!("{ms:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_pair_has_a_line_and_what_is_not_known_is_a_dash() {
        let answer = json!({
            "after_ms": [0.0, 1.0],
            "predictions": [
                { "r": 1, "w": 1, "elsewhere": { "stale": [0.612, 0.0001], "fresh_999_ms": 8.413 } },
                { "r": 2, "w": 2, "elsewhere": { "stale": [0.0, 0.0], "fresh_999_ms": 0.0 } },
                { "r": 3, "w": 3, "elsewhere": { "stale": [null, null], "fresh_999_ms": null } },
                { "r": 3, "w": 1, "elsewhere": null },
            ],
        });
        let text = chances(&answer, "elsewhere").to_string();
        let rows: Vec<String> = text
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(rows[0], "R W 0 MS 1 MS 99.9 % FRESH AFTER");
        assert_eq!(rows[1], "1 1 61.2 % < 0.1 % 8.41 ms");
        assert_eq!(rows[2], "2 2 0 0 0 ms");
        assert_eq!(rows[3], "3 3 - - -");
        assert_eq!(rows[4], "3 1 - - -");
    }
}
