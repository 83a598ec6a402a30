//! What is wrong, from what was seen. Nothing is asked here, so every check is tested on the shapes of real answers.
//!
//! A check is a function from the exam to findings; [`judge`] runs them all and puts the worst first. An answer that is
//! missing, or of another version, finds nothing: only what was seen is told.

use super::exam::{Answered, Exam, NodeExam};
use super::finding::{Finding, Severity};
use crate::cli::units::{show_bytes, show_count};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

use Severity::{Critical, Note, Warning};

/// Clocks that differ by more are worth a look: `lww` buckets and expiry go by them.
const SKEW_WARNING_MS: f64 = 100.0;
/// Clocks that differ by more are wrong: a stamp from the future moves another clock by so much at most.
const SKEW_CRITICAL_MS: f64 = 500.0;
/// A share that is so much larger than the fair one is lopsided. (Placement keeps to a tenth.)
const SHARE_ABOVE: f64 = 1.15;
/// A share that is so much smaller is. (Placement keeps to a fifth.)
const SHARE_BELOW: f64 = 0.75;
/// A comparison longer ago than this is late; each range has its turn twice a minute unless it is set otherwise.
const COMPARED_SECONDS: u64 = 900;
/// Less free space than this part of what is stored is little: space is reclaimed by copying what lives.
const FREE_PART_OF_STORED: f64 = 0.25;
/// Less free space than this is little, however little is stored, in bytes.
const FREE_BYTES: f64 = 512.0 * 1024.0 * 1024.0;
/// Local health (Lifeguard) above this: the node is late by its own account.
const HEALTH: u64 = 2;

/// All checks; the worst findings first.
pub(super) fn judge(exam: &Exam) -> Vec<Finding> {
    let checks: [fn(&Exam) -> Vec<Finding>; 15] = [
        unanswered, not_ready, copies, unheard, clusters, agreements, clocks, versions, ring,
        change, hints, disk, slots, compared, late,
    ];
    let mut findings: Vec<Finding> = checks.iter().flat_map(|check| check(exam)).collect();
    findings.sort_by_key(|finding| finding.severity);
    findings
}

fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

/// Nodes and addresses that did not answer.
fn unanswered(exam: &Exam) -> Vec<Finding> {
    let mut found = Vec::new();
    for node in &exam.nodes {
        let Err(why) = &node.answered else { continue };
        let (address, name) = (&node.address, &node.name);
        found.push(match node.believed.as_str() {
            "left" => Finding::new(Note, "gone", "it has left and does not answer", "nothing: it is no member any more"),
            "dead" => Finding::new(
                Critical,
                "unreachable",
                format!("dead, and does not answer at {address}"),
                format!("start it; if it is gone for good: `quorate remove {name}`, or `quorate replace {name}` at a new node"),
            ),
            believed => Finding::new(
                Critical,
                "unreachable",
                format!("{believed} by the others, and does not answer at {address}: {why}"),
                "is the process up, and is that address reachable from here?",
            ),
        }
        .of(name));
    }
    for (address, why) in &exam.silent {
        if !exam.nodes.iter().any(|node| node.address == *address && node.answered.is_err()) {
            let seen = format!("nobody answers at {address}: {why}");
            found.push(Finding::new(
                Critical,
                "address",
                seen,
                "mend --node or QUORATE_NODE, or start who listens there",
            ));
        }
    }
    found
}

fn not_ready(exam: &Exam) -> Vec<Finding> {
    let unready = exam.answered().filter(|(_, a)| a.status["ready"] == false);
    let found = unready.map(|(node, a)| {
        let why = a.status["reason"].as_str().unwrap_or("it does not say why");
        let next = "until it is, its answers do not count; what it waits for is in the reason";
        Finding::new(Critical, "not_ready", why, next).of(&node.name)
    });
    found.collect()
}

/// Partitions with too few live copies, by the word of whoever counts the most.
fn copies(exam: &Exam) -> Vec<Finding> {
    let most = |field: &str| {
        exam.answered()
            .map(|(_, a)| count(&a.status["partitions"][field]))
            .max()
            .unwrap_or_default()
    };
    let (without, risk, short) = (most("without_copy"), most("at_risk"), most("under_replicated"));
    let next = "bring back the nodes that are away, or let others take their places (`quorate remove`, `replace`)";
    let (severity, seen) = match (without, risk, short) {
        (0, 0, 0) => return Vec::new(),
        (0, 0, short) => {
            (Warning, format!("{short} partitions have fewer live copies than they should"))
        }
        (0, risk, _) => {
            (Critical, format!("{risk} partitions have fewer live copies than a quorum"))
        }
        (without, ..) => (Critical, format!("{without} partitions have no live copy at all")),
    };
    vec![Finding::new(severity, "copies", seen, next)]
}

/// Members that some node does not hear although they answered here, and such that nobody has met.
fn unheard(exam: &Exam) -> Vec<Finding> {
    let answers: BTreeSet<&str> = exam.answered().map(|(node, _)| node.name.as_str()).collect();
    let mut found = Vec::new();
    for (node, answered) in exam.answered() {
        for member in answered.members["members"].as_array().into_iter().flatten() {
            let (Some(name), Some(state)) = (member["name"].as_str(), member["state"].as_str())
            else {
                continue;
            };
            let next = format!(
                "can packets (UDP and TCP) pass between {} and {name}, both ways?",
                node.name
            );
            match state {
                "suspect" | "dead" | "unknown" if answers.contains(name) => {
                    let seen = format!("takes {name} for {state}, which answers here");
                    found.push(Finding::new(Critical, "unheard", seen, next).of(&node.name));
                }
                "unknown" => {
                    let seen = format!("has not heard from {name} since it started");
                    found.push(Finding::new(Warning, "unheard", seen, next).of(&node.name));
                }
                _ => {}
            }
        }
    }
    found
}

/// Nodes that are of two clusters.
fn clusters(exam: &Exam) -> Vec<Finding> {
    let by = by_field(exam, |a| Some(a.info["cluster"].as_str()?.to_owned()));
    if by.len() < 2 {
        return Vec::new();
    }
    let next = "one of them was founded by mistake: give its nodes empty directories and --join";
    vec![Finding::new(
        Critical,
        "clusters",
        format!("nodes of different clusters: {}", told(&by)),
        next,
    )]
}

/// Nodes that live by an older agreement than others.
fn agreements(exam: &Exam) -> Vec<Finding> {
    let by = by_field(exam, |a| Some(format!("index {}", a.status["index"].as_u64()?)));
    if by.len() < 2 {
        return Vec::new();
    }
    let next = "look again: a new agreement takes a moment to be everywhere; if it stays so, the older ones hear too little";
    vec![Finding::new(
        Warning,
        "agreements",
        format!("not everybody lives by the same agreement: {}", told(&by)),
        next,
    )]
}

/// Clocks that differ, as far as the round trips let it be seen.
fn clocks(exam: &Exam) -> Vec<Finding> {
    let readings = exam.answered().filter_map(|(node, a)| Some((node, a.clock?)));
    let mut readings: Vec<_> = readings.collect();
    readings.sort_by(|(_, a), (_, b)| a.offset_ms.total_cmp(&b.offset_ms));
    let Some((_, median)) = readings.get(readings.len() / 2).copied() else { return Vec::new() };
    let mut found = Vec::new();
    for (node, reading) in &readings {
        let ahead = reading.offset_ms - median.offset_ms;
        // What is certain of it: neither reading is better than its round trip.
        let certain = ahead.abs() - reading.error_ms - median.error_ms;
        if certain < SKEW_WARNING_MS {
            continue;
        }
        let severity = if certain >= SKEW_CRITICAL_MS { Critical } else { Warning };
        let side = if ahead > 0.0 { "ahead of" } else { "behind" };
        let error = reading.error_ms + median.error_ms;
        let seen =
            format!("its clock is {:.0} ms (± {error:.0}) {side} the middle one", ahead.abs());
        let next =
            "let chrony or systemd-timesyncd keep its time; `lww` buckets and expiry go by it";
        found.push(Finding::new(severity, "clock", seen, next).of(&node.name));
    }
    found
}

fn versions(exam: &Exam) -> Vec<Finding> {
    let by = by_field(exam, |a| Some(a.info["version"].as_str()?.to_owned()));
    if by.len() < 2 {
        return Vec::new();
    }
    vec![Finding::new(
        Warning,
        "versions",
        format!("several versions run: {}", told(&by)),
        "finish the upgrade",
    )]
}

/// Members whose share is far from what their weight asks for.
fn ring(exam: &Exam) -> Vec<Finding> {
    let Some(ring) = exam.answered().map(|(_, a)| &a.ring).find(|ring| ring["members"].is_array())
    else {
        return Vec::new();
    };
    // During a change the shares are between two tables.
    if !ring["change"].is_null() {
        return Vec::new();
    }
    let named =
        |list: &Value, name: &Value| list.as_array().is_some_and(|list| list.contains(name));
    let members = ring["members"].as_array().into_iter().flatten();
    let (with, without): (Vec<_>, Vec<_>) = members
        .filter(|m| !named(&ring["leaving"], &m["name"]) && !named(&ring["out"], &m["name"]))
        .partition(|m| count(&m["owned"]) > 0);
    let mut found = Vec::new();
    for member in without {
        let next = "nothing, if it is to stand by; `quorate ring commit` gives it a share";
        let name = member["name"].as_str().unwrap_or_default();
        found.push(Finding::new(Note, "ring", "it owns nothing", next).of(name));
    }
    let owned: u64 = with.iter().map(|m| count(&m["owned"])).sum();
    let weights: u64 = with.iter().map(|m| count(&m["weight"])).sum();
    let partitions = count(&ring["partitions"]);
    for member in &with {
        let fair = owned as f64 * count(&member["weight"]) as f64 / weights.max(1) as f64;
        // Nobody can own a partition twice.
        let fair = fair.min(partitions as f64);
        let share = count(&member["owned"]) as f64 / fair.max(1.0);
        if (SHARE_BELOW..=SHARE_ABOVE).contains(&share) {
            continue;
        }
        let name = member["name"].as_str().unwrap_or_default();
        let seen = format!(
            "it owns {} slots, {:.0} % of its fair share",
            count(&member["owned"]),
            share * 100.0
        );
        let next = "see `quorate ring plan`; zones of very different sizes cannot be even";
        found.push(Finding::new(Warning, "ring", seen, next).of(name));
    }
    found
}

/// A change of owners that is under way.
fn change(exam: &Exam) -> Vec<Finding> {
    let words = exam.answered().find_map(|(_, a)| a.ring["change"]["words"].as_str());
    let found = words.map(|words| {
        Finding::new(Note, "change", words, "`quorate transfers` shows how far it is")
    });
    found.into_iter().collect()
}

/// Hints that do not get fewer, and nodes that can keep no more.
fn hints(exam: &Exam) -> Vec<Finding> {
    let mut found = Vec::new();
    let state = |name: &str| {
        exam.nodes.iter().find(|node| node.name == name).map(|node| node.believed.as_str())
    };
    for (node, answered) in exam.answered() {
        if answered.hints["full"] == true {
            let seen = "it keeps as much for others as it is told to, and stands in for no more";
            let next = "bring back who is away, or raise hints.max_items";
            found.push(Finding::new(Critical, "hints", seen, next).of(&node.name));
        }
        let later = pending_by_owner(&answered.hints_later);
        for (owner, before) in pending_by_owner(&answered.hints) {
            let away = !matches!(state(owner), Some("alive"));
            let seen = format!("{} hints wait for {owner}", show_count(before));
            if away {
                let next = format!("start {owner}; they are handed over when it is back");
                let seen = format!("{seen}, which is away");
                found.push(Finding::new(Note, "hints", seen, next).of(&node.name));
            } else if exam.twice && later.get(owner).is_some_and(|later| *later >= before) {
                let seen = format!("{seen}, which is alive, and do not get fewer");
                let next =
                    format!("does {owner} take writes? see `quorate status` there, and its log");
                found.push(Finding::new(Warning, "hints", seen, next).of(&node.name));
            }
        }
    }
    found
}

fn pending_by_owner(hints: &Value) -> BTreeMap<&str, u64> {
    let owners = hints["owners"].as_array().into_iter().flatten();
    owners
        .filter_map(|o| Some((o["owner"].as_str()?, o["pending"].as_u64()?)))
        .filter(|(_, n)| *n > 0)
        .collect()
}

fn disk(exam: &Exam) -> Vec<Finding> {
    let mut found = Vec::new();
    for (node, answered) in exam.answered() {
        let metrics = &answered.metrics;
        let (Some(free), Some(stored)) =
            (metrics["store_free_bytes"].as_f64(), metrics["store_bytes"].as_f64())
        else {
            let next = "the node serves no HTTP that is reachable from here: ask there";
            found.push(
                Finding::new(Note, "disk", "how much is free is not known", next).of(&node.name),
            );
            continue;
        };
        let seen = format!("{} are free, {} are stored", show_bytes(free), show_bytes(stored));
        if metrics["store_full"].as_u64() == Some(1) {
            let next = "make room: it takes no writes until store.reserve_bytes are free";
            found.push(
                Finding::new(Critical, "disk", format!("the disk is full: {seen}"), next)
                    .of(&node.name),
            );
        } else if free < FREE_BYTES || free < stored * FREE_PART_OF_STORED {
            let next = "make room, or add a node: space is reclaimed by copying, which wants some";
            found.push(Finding::new(Warning, "disk", seen, next).of(&node.name));
        }
    }
    found
}

/// Slots that take writes and whose answers do not count towards R.
fn slots(exam: &Exam) -> Vec<Finding> {
    let mut found = Vec::new();
    for (node, answered) in exam.answered() {
        let partitions = answered.partitions["partitions"].as_array();
        let listed = |p: &&Value| p["rebuilding"] == true;
        let rebuilding = partitions.map_or(0, |all| all.iter().filter(listed).count() as u64);
        let rebuilding = rebuilding.max(count(&answered.status["partitions"]["rebuilding"]));
        if rebuilding > 0 {
            let owned = count(&answered.status["partitions"]["owned"]);
            let seen = format!(
                "{rebuilding} of {owned} slots do not count towards R: they are rebuilding"
            );
            let next = "let the other owners be up: it merges from them; `quorate repair --wait` shows how far";
            found.push(Finding::new(Warning, "slots", seen, next).of(&node.name));
        }
        let unreadable = count(&answered.status["records_unreadable"]);
        if unreadable > 0 {
            let seen = format!(
                "{unreadable} records cannot be read, and are being fetched from other owners"
            );
            let next = "look at that disk's health; `quorate scrub --wait` finds the rest";
            found.push(Finding::new(Warning, "rot", seen, next).of(&node.name));
        }
    }
    found
}

/// Replicas that were not compared for long.
fn compared(exam: &Exam) -> Vec<Finding> {
    let mut found = Vec::new();
    for (node, answered) in exam.answered() {
        let verified = &answered.status["verified"];
        let (ranges, never) = (count(&verified["ranges"]), count(&verified["never"]));
        let next = "`quorate repair --wait` compares everything now; an owner that is away cannot be compared with";
        if never > 0 {
            let seen = format!(
                "{never} of {ranges} ranges were not compared with another owner since it started"
            );
            found.push(Finding::new(Note, "compared", seen, next).of(&node.name));
        } else if let Some(seconds) = verified["oldest_seconds"].as_u64()
            && seconds > COMPARED_SECONDS
        {
            let seen = format!("a range was last compared with another owner {seconds} s ago");
            found.push(Finding::new(Warning, "compared", seen, next).of(&node.name));
        }
    }
    found
}

/// Nodes that are late by their own account.
fn late(exam: &Exam) -> Vec<Finding> {
    let mut found = Vec::new();
    for (node, answered) in exam.answered() {
        let members = answered.members["members"].as_array().into_iter().flatten();
        let health =
            members.filter(|m| m["me"] == true).filter_map(|m| m["local_health"].as_u64()).max();
        if let Some(health) = health.filter(|health| *health > HEALTH) {
            let seen =
                format!("it doubts itself ({health} of 8): its probes are not answered in time");
            let next = "is the machine out of CPU, or its network lossy?";
            found.push(Finding::new(Warning, "late", seen, next).of(&node.name));
        }
    }
    found
}

/// Names by what their nodes answer.
fn by_field(
    exam: &Exam,
    field: impl Fn(&Answered) -> Option<String>,
) -> BTreeMap<String, Vec<&NodeExam>> {
    let mut by: BTreeMap<String, Vec<&NodeExam>> = BTreeMap::new();
    for (node, answered) in exam.answered() {
        if let Some(value) = field(answered) {
            by.entry(value).or_default().push(node);
        }
    }
    by
}

/// `0.1.0 (n1, n2), 0.2.0 (n3)`.
fn told(by: &BTreeMap<String, Vec<&NodeExam>>) -> String {
    let told = by.iter().map(|(value, nodes)| {
        let names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
        format!("{value} ({})", names.join(", "))
    });
    told.collect::<Vec<_>>().join(", ")
}
