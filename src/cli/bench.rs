//! `quorate bench`: load, and what it looked like from the client's side.

use super::args::BenchArgs;
use super::connect::keys;
use super::failure::Result;
use super::output::{Format, align_right, json, say, show, table};
use super::progress;
use super::units::{show_count, show_duration};
use crate::client::load::{Load, Report, run};
use comfy_table::Table;
use serde_json::{Value, json};
use std::time::Duration;

/// Runs the load, and tells.
pub(super) async fn bench(args: BenchArgs) -> Result<()> {
    let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let load = Load {
        keyring: keys(&args.target)?,
        nodes: args.target.nodes,
        bucket: args.bucket,
        workload: args.workload,
        clients: count(args.clients.into()),
        in_flight: count(args.in_flight.into()),
        value_bytes: count(args.value_bytes),
        keys: count(args.keys),
        duration: args.duration,
        consistency: Some(args.consistency),
        rate: args.rate,
        ..Load::default()
    };
    let bar = progress::bar(args.duration.as_secs(), "preparing");
    let report = run(load, |second| {
        bar.set_message(format!("{} a second, {} failed", show_count(second.done), second.failed));
        bar.set_position(second.number);
    })
    .await?;
    bar.finish_and_clear();
    match args.print.output {
        Format::Json => json(&report_json(&report)),
        Format::Table => {
            show(&report_table(&report))?;
            if report.errors.is_empty() {
                return Ok(());
            }
            let errors: Vec<String> = report
                .errors
                .iter()
                .map(|(code, count)| format!("{} {code}", show_count(*count)))
                .collect();
            say(format!("errors: {}", errors.join(", ")))
        }
    }
}

fn report_json(report: &Report) -> Value {
    json!({
        "workload": report.workload,
        "seconds": report.seconds,
        "requests": report.done,
        "throughput": report.throughput,
        "p50_us": report.p50_us,
        "p99_us": report.p99_us,
        "p999_us": report.p999_us,
        "max_us": report.max_us,
        "longest_gap_ms": u64::try_from(report.longest_gap.as_millis()).unwrap_or(u64::MAX),
        "errors": report.errors.values().sum::<u64>(),
        "errors_by_code": report.errors,
        "unknown": report.unknown,
    })
}

fn report_table(report: &Report) -> Table {
    let columns = [
        "workload",
        "per second",
        "p50",
        "p99",
        "p99.9",
        "max",
        "longest gap",
        "errors",
        "unknown",
    ];
    let mut table = table(&columns);
    align_right(&mut table, &[1, 2, 3, 4, 5, 6, 7, 8]);
    let us = |us: u64| show_duration(Duration::from_micros(us));
    table.add_row([
        report.workload.clone(),
        show_count(report.throughput.round() as u64),
        us(report.p50_us),
        us(report.p99_us),
        us(report.p999_us),
        us(report.max_us),
        show_duration(report.longest_gap),
        show_count(report.errors.values().sum()),
        show_count(report.unknown),
    ]);
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_has_the_names_of_the_interface() {
        let mut report =
            Report { workload: "put".into(), throughput: 1234.5, p50_us: 7, ..Report::default() };
        report.errors.insert("overloaded", 2);
        report.errors.insert("unavailable", 3);
        let json = report_json(&report);
        for name in ["workload", "throughput", "p50_us", "p99_us", "p999_us", "errors", "unknown"] {
            assert!(!json[name].is_null(), "{name}");
        }
        assert_eq!(
            (&json["errors"], &json["errors_by_code"]["overloaded"]),
            (&json!(5), &json!(2))
        );
        let text = report_table(&report).to_string();
        assert!(text.contains("1,235") && text.contains("7 µs"), "{text}");
    }
}
