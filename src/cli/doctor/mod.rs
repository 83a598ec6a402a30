//! `quorate doctor`: what is wrong with the cluster, and what to do about it.
//!
//! ```text
//!   every node, alone ──exam──▶ what it answered, and how its clock stood ──checks──▶ findings ──▶ table, exit code
//!                                (hints a second time, after a while)
//! ```
//!
//! Looking is here and in [`exam`]; judging is pure, in [`checks`].

mod checks;
mod exam;
mod finding;
#[cfg(test)]
mod tests;

use super::args::DoctorArgs;
use super::failure::{Failure, Result};
use super::output::{Format, json, say, show, table};
use super::progress;
use comfy_table::Table;
use finding::Finding;
use serde_json::{Value, json};

pub(super) use exam::Exam;
#[cfg(test)]
pub(super) use exam::NodeExam;

/// Looks at everything, says what is wrong, and exits with 1 if anything is.
pub(super) async fn doctor(args: DoctorArgs) -> Result<()> {
    let spinner = progress::spinner("asking every node");
    let exam = Exam::take(&args.look.target, args.between, |text| {
        spinner.set_message(text.to_owned());
    })
    .await;
    spinner.finish_and_clear();
    let exam = exam?;
    let findings = checks::judge(&exam);
    let wrong = findings.iter().filter(|finding| finding.is_wrong()).count();
    match args.look.print.output {
        Format::Json => json(&report(&exam, &findings))?,
        Format::Table => {
            say(verdict(&exam, &findings))?;
            if !findings.is_empty() {
                say("")?;
                show(&findings_table(&findings))?;
            }
        }
    }
    match wrong {
        0 => Ok(()),
        _ => {
            let what = format!("{wrong} of {} findings want somebody", findings.len());
            Err(Failure::new("unhealthy", what, "begin with the first of them"))
        }
    }
}

/// The findings and how they came about, for programs.
fn report(exam: &Exam, findings: &[Finding]) -> Value {
    let healthy = !findings.iter().any(Finding::is_wrong);
    let findings: Vec<Value> = findings.iter().map(Finding::json).collect();
    json!({
        "healthy": healthy,
        "nodes": exam.nodes.len(),
        "answered": exam.answered().count(),
        "findings": findings,
    })
}

/// The same from an exam alone, for the debug bundle.
pub(super) fn opinion(exam: &Exam) -> Value {
    report(exam, &checks::judge(exam))
}

fn verdict(exam: &Exam, findings: &[Finding]) -> String {
    let (asked, answered) = (exam.nodes.len(), exam.answered().count());
    let wrong = findings.iter().filter(|finding| finding.is_wrong()).count();
    match wrong {
        0 => format!("nothing is wrong; {answered} of {asked} nodes answered"),
        1 => format!("one thing is wrong; {answered} of {asked} nodes answered"),
        _ => format!("{wrong} things are wrong; {answered} of {asked} nodes answered"),
    }
}

fn findings_table(findings: &[Finding]) -> Table {
    let mut table = table(&["how bad", "what", "node", "seen", "what to do"]);
    for finding in findings {
        table.add_row([
            finding.severity.word(),
            finding.check,
            finding.node.as_deref().unwrap_or("-"),
            &finding.seen,
            &finding.next,
        ]);
    }
    table
}
