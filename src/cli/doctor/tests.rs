//! Every check on the shapes that nodes answer with: silent about a healthy cluster, and each about its own trouble.

use super::checks::judge;
use super::exam::{Answered, ClockReading, Exam, NodeExam};
use super::finding::{Finding, Severity};
use serde_json::{Value, json};

/// What a healthy node of three answers.
fn well(me: &str) -> Answered {
    let member = |name: &str| {
        json!({
            "name": name, "id": name, "address": format!("127.0.0.1:{}", &name[1..]), "http": null, "zone": "",
            "state": "alive", "generation": "g", "incarnation": 0, "round_trip_ms": 0.4, "index": 4, "to_copy": 0,
            "rebuilding": false, "local_health": if name == me { json!(0) } else { Value::Null },
            "keys": null, "commit": 9, "agreed": true, "me": name == me,
        })
    };
    let seat = |name: &str| json!({ "name": name, "id": name, "zone": "", "weight": 1, "owned": 64, "share": 0.333 });
    Answered {
        info: json!({ "name": me, "version": "0.1.0", "cluster": "c", "http": "127.0.0.1:9" }),
        status: json!({
            "verdict": "healthy", "healthy": true, "ready": true, "reason": null, "epoch": 3, "index": 4,
            "partitions": { "total": 64, "owned": 64, "rebuilding": 0, "under_replicated": 0, "at_risk": 0, "without_copy": 0 },
            "records_unreadable": 0, "hints_pending": 0,
            "verified": { "ranges": 128, "never": 0, "oldest_seconds": 12, "words": "" },
        }),
        members: json!({ "members": [member("n1"), member("n2"), member("n3")] }),
        ring: json!({ "epoch": 3, "index": 4, "change": null, "leaving": [], "out": [], "partitions": 64, "replicas": 3,
            "members": [seat("n1"), seat("n2"), seat("n3")] }),
        hints: json!({ "pending": 0, "ranges": 0, "full": false, "owners": [] }),
        hints_later: Value::Null,
        partitions: json!({ "partitions": [{ "partition": 0, "owned": true, "rebuilding": false, "items": 3 }] }),
        buckets: json!({ "buckets": [] }),
        metrics: json!({ "store_bytes": 1 << 30, "store_free_bytes": 1_u64 << 34, "store_full": 0 }),
        clock: Some(ClockReading { offset_ms: 3.0, error_ms: 1.5 }),
    }
}

fn healthy() -> Exam {
    let node = |name: &str| NodeExam {
        name: name.into(),
        address: format!("127.0.0.1:{}", &name[1..]),
        believed: "alive".into(),
        answered: Ok(well(name)),
    };
    Exam { nodes: vec![node("n1"), node("n2"), node("n3")], silent: Vec::new(), twice: false }
}

/// The findings after this has happened to n2, or to the whole.
fn after(harm: impl FnOnce(&mut Exam)) -> Vec<Finding> {
    let mut exam = healthy();
    harm(&mut exam);
    judge(&exam)
}

fn n2(exam: &mut Exam) -> &mut Answered {
    exam.nodes[1].answered.as_mut().expect("it answered")
}

/// Exactly one finding: how bad, which check, about whom.
fn one(found: &[Finding], severity: Severity, check: &str, node: Option<&str>) {
    let told: Vec<_> = found.iter().map(|f| (f.severity, f.check, f.node.as_deref())).collect();
    assert_eq!(told, [(severity, check, node)], "{found:#?}");
    assert!(!found[0].seen.is_empty() && !found[0].next.is_empty());
}

#[test]
fn a_healthy_cluster_has_no_findings() {
    assert_eq!(judge(&healthy()), []);
}

#[test]
fn who_does_not_answer_is_told_once_and_what_to_do_depends_on_what_others_believe() {
    let silent = |believed: &'static str| {
        after(|exam| {
            exam.nodes[1].answered = Err("refused".into());
            exam.nodes[1].believed = believed.into();
            // It was named, too: that is no second finding.
            exam.silent.push(("127.0.0.1:2".into(), "refused".into()));
        })
    };
    one(&silent("alive"), Severity::Critical, "unreachable", Some("n2"));
    one(&silent("left"), Severity::Note, "gone", Some("n2"));
    let dead = silent("dead");
    one(&dead, Severity::Critical, "unreachable", Some("n2"));
    assert!(dead[0].next.contains("quorate remove n2"), "{:?}", dead[0]);
    let elsewhere = after(|exam| exam.silent.push(("10.0.0.1:7610".into(), "timed out".into())));
    one(&elsewhere, Severity::Critical, "address", None);
}

#[test]
fn clocks_are_wrong_only_beyond_what_the_round_trip_leaves_open() {
    let ahead = |offset_ms: f64, error_ms: f64| {
        after(|exam| n2(exam).clock = Some(ClockReading { offset_ms: 3.0 + offset_ms, error_ms }))
    };
    one(&ahead(5_000.0, 2.0), Severity::Critical, "clock", Some("n2"));
    one(&ahead(-300.0, 2.0), Severity::Warning, "clock", Some("n2"));
    assert_eq!(ahead(90.0, 2.0), []);
    assert_eq!(ahead(600.0, 700.0), [], "a slow answer is no wrong clock");
    assert!(ahead(-300.0, 2.0)[0].seen.contains("behind"));
}

#[test]
fn a_clock_is_read_in_the_middle_of_the_round_trip() {
    let reading = ClockReading::of(1_000.0, 40.0, 1_520.0);
    assert_eq!(reading, ClockReading { offset_ms: 500.0, error_ms: 21.0 });
}

#[test]
fn a_lopsided_ring_is_judged_by_weight_and_who_stands_by_is_a_note() {
    let owned = |owned: [u64; 3], weights: [u64; 3]| {
        after(|exam| {
            for node in &mut exam.nodes {
                let ring = &mut node.answered.as_mut().expect("answered").ring;
                ring["partitions"] = 1024.into();
                for (at, (owned, weight)) in owned.into_iter().zip(weights).enumerate() {
                    ring["members"][at]["owned"] = owned.into();
                    ring["members"][at]["weight"] = weight.into();
                }
            }
        })
    };
    let found = owned([60, 64, 200], [1, 1, 1]);
    assert!(found.iter().all(|f| f.check == "ring" && f.is_wrong()), "{found:#?}");
    assert!(found.iter().any(|f| f.node.as_deref() == Some("n3")));
    assert_eq!(owned([100, 104, 200], [1, 1, 2]), []);
    one(&owned([100, 104, 0], [1, 1, 1]), Severity::Note, "ring", Some("n3"));
}

#[test]
fn hints_are_wrong_when_their_owner_is_alive_and_they_do_not_get_fewer() {
    let pending = |n: u64| json!({ "pending": n, "ranges": 0, "full": false, "owners": [{ "owner": "n3", "pending": n }] });
    let look = |before, later, twice| {
        after(|exam| {
            n2(exam).hints = pending(before);
            n2(exam).hints_later = pending(later);
            exam.twice = twice;
        })
    };
    one(&look(500, 500, true), Severity::Warning, "hints", Some("n2"));
    assert_eq!(look(500, 100, true), []);
    assert_eq!(look(500, 500, false), [], "one look cannot tell");
    let away = after(|exam| {
        n2(exam).hints = pending(7);
        exam.nodes[2].believed = "dead".into();
    });
    one(&away, Severity::Note, "hints", Some("n2"));
    let full = after(|exam| n2(exam).hints["full"] = true.into());
    one(&full, Severity::Critical, "hints", Some("n2"));
}

#[test]
fn versions_agreements_and_clusters_that_differ_are_told_with_names() {
    let found = after(|exam| n2(exam).info["version"] = "0.2.0".into());
    one(&found, Severity::Warning, "versions", None);
    assert!(found[0].seen.contains("0.1.0 (n1, n3), 0.2.0 (n2)"), "{:?}", found[0]);
    one(&after(|exam| n2(exam).status["index"] = 3.into()), Severity::Warning, "agreements", None);
    one(&after(|exam| n2(exam).info["cluster"] = "d".into()), Severity::Critical, "clusters", None);
}

#[test]
fn a_disk_is_full_or_soon_will_be_or_is_not_known() {
    let disk = |metrics: Value| after(|exam| n2(exam).metrics = metrics);
    let metrics = |stored: u64, free: u64, full: u64| json!({ "store_bytes": stored, "store_free_bytes": free, "store_full": full });
    one(&disk(metrics(1 << 30, 1 << 20, 1)), Severity::Critical, "disk", Some("n2"));
    one(&disk(metrics(1 << 20, 1 << 20, 0)), Severity::Warning, "disk", Some("n2"));
    one(&disk(metrics(100 << 30, 10 << 30, 0)), Severity::Warning, "disk", Some("n2"));
    one(&disk(Value::Null), Severity::Note, "disk", Some("n2"));
}

#[test]
fn slots_that_do_not_count_and_comparisons_long_ago_are_warnings() {
    let slots = after(|exam| n2(exam).partitions["partitions"][0]["rebuilding"] = true.into());
    one(&slots, Severity::Warning, "slots", Some("n2"));
    one(
        &after(|exam| n2(exam).status["records_unreadable"] = 2.into()),
        Severity::Warning,
        "rot",
        Some("n2"),
    );
    let old = after(|exam| n2(exam).status["verified"]["oldest_seconds"] = 4_000.into());
    one(&old, Severity::Warning, "compared", Some("n2"));
    let never = after(|exam| n2(exam).status["verified"]["never"] = 5.into());
    one(&never, Severity::Note, "compared", Some("n2"));
}

#[test]
fn who_is_there_and_is_not_heard_is_a_cut_and_who_was_never_met_a_warning() {
    let dead = after(|exam| n2(exam).members["members"][2]["state"] = "dead".into());
    one(&dead, Severity::Critical, "unheard", Some("n2"));
    let never = after(|exam| {
        for node in &mut exam.nodes[..2] {
            node.answered.as_mut().expect("answered").members["members"][2]["state"] =
                "left".into();
        }
        n2(exam).members["members"][2]["state"] = "unknown".into();
        exam.nodes[2].answered = Err("refused".into());
        exam.nodes[2].believed = "left".into();
    });
    let told: Vec<_> = never.iter().map(|f| (f.severity, f.check)).collect();
    assert_eq!(told, [(Severity::Warning, "unheard"), (Severity::Note, "gone")]);
}

#[test]
fn readiness_copies_and_doubts_are_told() {
    let unready = after(|exam| {
        n2(exam).status["ready"] = false.into();
        n2(exam).status["reason"] = "joining".into();
    });
    one(&unready, Severity::Critical, "not_ready", Some("n2"));
    let copies = |field: &str| after(|exam| n2(exam).status["partitions"][field] = 3.into());
    one(&copies("under_replicated"), Severity::Warning, "copies", None);
    one(&copies("at_risk"), Severity::Critical, "copies", None);
    one(&copies("without_copy"), Severity::Critical, "copies", None);
    one(
        &after(|exam| n2(exam).members["members"][1]["local_health"] = 5.into()),
        Severity::Warning,
        "late",
        Some("n2"),
    );
    let moving =
        after(|exam| n2(exam).ring["change"] = json!({ "words": "n4 takes the place of n3" }));
    one(&moving, Severity::Note, "change", None);
}

#[test]
fn the_worst_comes_first_and_junk_is_no_finding() {
    let found = after(|exam| {
        n2(exam).status["verified"]["never"] = 5.into();
        n2(exam).info["version"] = "2".into();
        n2(exam).hints["full"] = true.into();
    });
    let told: Vec<_> = found.iter().map(|f| f.severity).collect();
    assert_eq!(told, [Severity::Critical, Severity::Warning, Severity::Note]);
    let mut exam = healthy();
    for junk in
        [json!(null), json!([]), json!({ "members": 3, "owners": "x", "partitions": [null] })]
    {
        let metrics = well("n2").metrics;
        let answer = || junk.clone();
        *n2(&mut exam) = Answered {
            info: answer(),
            status: answer(),
            members: answer(),
            ring: answer(),
            hints: answer(),
            hints_later: answer(),
            partitions: answer(),
            buckets: answer(),
            metrics,
            clock: None,
        };
        assert_eq!(judge(&exam), []);
    }
}
