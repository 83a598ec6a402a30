//! `quorate sim`: one seed told line by line, or many seeds and what failed.

use super::args::SimArgs;
use super::failure::{Failure, Result};
use super::output::{Format, json, say};
use super::progress;
use super::units::{show_count, show_duration};
use crate::sim::scale::Plan;
use crate::sim::{Counts, Report, Setup, Summary, judge, simulate_many};
use serde_json::{Value, json};
use std::num::NonZero;
use std::time::{Duration, Instant};

/// How many failing seeds are told of.
const SHOWN: usize = 20;

/// Runs what was asked for. Exit code 1 when anything was wrong.
pub(super) fn sim(args: &SimArgs) -> Result<()> {
    let setup = Setup { operations: args.steps, ..Setup::new(args.seed) };
    #[cfg(feature = "mutants")]
    if let Some(most) = args.mutants {
        return mutants(&setup, most, args.print.output);
    }
    if args.scale {
        let plan = Plan { sizes: args.members.clone(), seed: args.seed, ..Plan::default() };
        return super::scale::scale(&plan, threads(), args.print.output);
    }
    match args.runs {
        None => one(setup, args.print.output),
        Some(runs) => many(&setup, runs, args.print.output),
    }
}

fn one(setup: Setup, format: Format) -> Result<()> {
    let report = judge(&Setup { story: format == Format::Table, ..setup });
    match format {
        Format::Json => json(&report_json(&report))?,
        Format::Table => {
            say(report.story.join("\n"))?;
            say("")?;
            figures(&report)?;
            say(format!("trace    {:016x}", report.trace))?;
            let verdict = if report.violations.is_empty() { "ok" } else { "FAIL" };
            say(format!("verdict  {verdict}"))?;
        }
    }
    match report.violations.is_empty() {
        true => Ok(()),
        false => Err(violated(1, report.violations)),
    }
}

fn many(setup: &Setup, runs: u64, format: Format) -> Result<()> {
    let bar = progress::bar(runs, "simulating");
    let began = Instant::now();
    let summary = simulate_many(setup, runs, threads(), |_| bar.inc(1));
    let took = began.elapsed();
    bar.finish_and_clear();
    match format {
        Format::Json => json(&summary_json(&summary, took))?,
        Format::Table => {
            say(format!(
                "{} seeds from {} in {}, {} simulated",
                show_count(runs),
                setup.seed,
                show_duration(took),
                hours(summary.sum.simulated),
            ))?;
            figures(&summary.sum)?;
            say(format!("failed   {}", summary.failed.len()))?;
        }
    }
    if summary.failed.is_empty() {
        return Ok(());
    }
    let lines = summary.failed.iter().take(SHOWN).map(|report| {
        let first = report.violations.first().map_or("", String::as_str);
        format!("seed {}: {first}", report.seed)
    });
    Err(violated(summary.failed.len(), lines.collect()))
}

/// A table of guards, and how soon it was noticed that each was gone. More than one that got away is a failure.
#[cfg(feature = "mutants")]
fn mutants(setup: &Setup, most: u64, format: Format) -> Result<()> {
    use super::output::{show, table};
    use crate::guard::Guard;

    let bar = progress::bar(Guard::EVERY.len() as u64, "hunting");
    // A mutant may well panic: that is one way to be caught, and no news.
    std::panic::set_hook(Box::new(|_| {}));
    let hunts =
        crate::sim::hunt_all(&crate::guard::Guard::EVERY, setup, most, threads(), |_| bar.inc(1));
    let _ = std::panic::take_hook();
    bar.finish_and_clear();
    let missed = hunts.iter().filter(|hunt| hunt.caught.is_none()).count();
    match format {
        Format::Json => json(&Value::Array(
            hunts
                .iter()
                .map(|hunt| {
                    let (seed, violation) = hunt.caught.clone().unzip();
                    json!({
                        "guard": hunt.guard.name(), "seeds": hunt.seeds, "caught": seed.is_some(),
                        "seed": seed, "violation": violation,
                    })
                })
                .collect(),
        ))?,
        Format::Table => {
            let mut rows = table(&["taken out", "verdict", "seeds", "noticed by"]);
            for hunt in &hunts {
                let (verdict, by) = match &hunt.caught {
                    Some((_, violation)) => ("caught", violation.chars().take(76).collect()),
                    None => ("MISSED", String::new()),
                };
                rows.add_row([hunt.guard.name(), verdict, &hunt.seeds.to_string(), by.as_str()]);
            }
            show(&rows)?;
        }
    }
    match missed {
        0 | 1 => Ok(()),
        _ => {
            let what = format!("{missed} of {} mutants got away", hunts.len());
            Err(Failure::new("violation", what, "make the workload or the faults reach them"))
        }
    }
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

fn violated(count: usize, details: Vec<String>) -> Failure {
    let what = format!("{count} seed{} broke a promise", if count == 1 { "" } else { "s" });
    let next = "run that seed alone with --seed to read how";
    Failure::new("violation", what, next).details(details)
}

fn hours(time: Duration) -> String {
    format!("{:.1} h", time.as_secs_f64() / 3600.0)
}

fn figures(report: &Report) -> Result<()> {
    let operations = report.operations().max(1);
    let share = |count: u64| format!("{:.0} %", 100.0 * count as f64 / operations as f64);
    say(format!(
        "requests {}; {} met on few keys through three nodes, {} overlapped, {} reads saw siblings",
        show_count(operations),
        share(report.met),
        share(report.overlapped),
        show_count(report.sibling_reads),
    ))?;
    say(format!("ended    {}", counts(&report.outcomes)))?;
    say(format!("faults   {}", counts(&report.faults)))?;
    say(format!("guards   {}", counts(&report.guards)))
}

fn counts(counts: &Counts) -> String {
    let parts: Vec<String> =
        counts.iter().map(|(name, count)| format!("{name} {}", show_count(*count))).collect();
    parts.join(", ")
}

fn report_json(report: &Report) -> Value {
    json!({
        "seed": report.seed,
        "verdict": if report.violations.is_empty() { "ok" } else { "fail" },
        "violations": report.violations,
        "trace": format!("{:016x}", report.trace),
        "simulated_seconds": report.simulated.as_secs_f64(),
        "requests": report.operations(),
        "met": report.met,
        "overlapped": report.overlapped,
        "sibling_reads": report.sibling_reads,
        "outcomes": report.outcomes,
        "faults": report.faults,
        "guards": report.guards,
    })
}

fn summary_json(summary: &Summary, took: Duration) -> Value {
    let mut value = report_json(&summary.sum);
    let failed: Vec<Value> = summary.failed.iter().map(report_json).collect();
    for key in ["seed", "trace", "violations"] {
        value.as_object_mut().map(|object| object.remove(key));
    }
    value["verdict"] = json!(if failed.is_empty() { "ok" } else { "fail" });
    value["runs"] = json!(summary.runs);
    value["seconds"] = json!(took.as_secs_f64());
    value["failed"] = json!(failed);
    value
}
