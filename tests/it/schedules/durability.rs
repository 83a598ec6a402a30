//! Stories 14 to 16 and what a disk can do: acknowledged means durable, and nothing else is shown.

use super::kit::*;
use quorate::Error;
use quorate::message::client::Inspect;
use quorate::quorum::Consistency;
use quorate::store::memory::Survivors;

#[test]
fn story_14_all_nodes_killed_right_after_the_answer_still_have_it() {
    // What a killed process leaves in the page cache is all of its writes, but none that it had only meant.
    for (seed, survivors) in [usize::MAX, 1, 0].map(Survivors::Whole).into_iter().enumerate() {
        all_die_after_the_answer(114 + seed as u64, survivors);
    }
}

#[test]
fn story_15_all_nodes_without_power_right_after_the_answer_still_have_it() {
    for seed in 0..8 {
        all_die_after_the_answer(1150 + seed, Survivors::None);
    }
}

fn all_die_after_the_answer(seed: u64, survivors: Survivors) {
    let (mut c, [a, ..], _) = five(seed);
    let mut context = String::new();
    for (at, value) in ["v1", "v2"].into_iter().enumerate() {
        let through = if at == 0 { a } else { 1 + (seed as usize) % 5 };
        context = acked(c.ask(through, put("k", value, &context)));
        (1..=5).for_each(|number| c.crash(number, survivors));
        (1..=5).for_each(|number| c.start(number));
        formed(&mut c, 5);
        for number in 1..=5 {
            assert_eq!(got(c.ask(number, get("k", quorum()))).0, [value]);
        }
    }
    converges(&mut c, "k", &["v2"]);
}

#[test]
fn story_16_a_read_shows_nothing_that_is_not_durable() {
    let (mut c, [a, b, o], _) = five(116);
    let v0 = acked(c.ask(a, put("k", "v0", "")));
    converges(&mut c, "k", &["v0"]);
    let holders = [a, b];
    holders.iter().for_each(|node| c.hold_syncs(*node, true));
    c.network.cut(a, o);
    let pending = c.send(a, put_at("k", "x", &v0, strict()));
    millis(&mut c, 5);
    for through in [a, b, o] {
        for want in [Consistency::One, Consistency::Quorum, Consistency::All] {
            // What one of them says the other does not hear.
            if through != b && want == Consistency::All {
                continue;
            }
            assert_eq!(got(c.ask(through, get("k", level(want)))).0, ["v0"], "n{through} {want}");
        }
        assert_eq!(local(&mut c, through, "k"), ["v0"]);
    }
    assert_eq!(c.answer(pending), None);
    holders.iter().for_each(|node| c.kill(*node));
    c.network.heal();
    holders.iter().for_each(|node| c.start(*node));
    formed(&mut c, 5);
    secs(&mut c, 10);
    for number in 1..=5 {
        assert_eq!(got(c.ask(number, get("k", quorum()))).0, ["v0"]);
    }
}

#[test]
fn two_puts_of_one_turn_mint_two_dots() {
    let (mut c, [a, ..], _) = five(201);
    let pending: Vec<_> = (0..5).map(|n| c.send(a, put("k", &format!("v{n}"), ""))).collect();
    secs(&mut c, 1);
    for one in pending {
        acked(c.answer(one));
    }
    converges(&mut c, "k", &["v0", "v1", "v2", "v3", "v4"]);
    assert_eq!(actors(&mut c, a, "k"), 1);
}

#[test]
fn an_acknowledgement_waits_for_as_many_disks_as_were_asked_for() {
    let (mut c, [a, b, o], [d, e]) = five(202);
    [b, o, d, e].iter().for_each(|node| c.hold_syncs(*node, true));
    let pending = c.send(a, put("k", "v", ""));
    secs(&mut c, 2);
    assert_eq!(c.answer(pending), None, "one disk is not two");
    c.hold_syncs(o, false);
    millis(&mut c, 10);
    acked(c.answer(pending));
}

#[test]
fn a_clean_stop_goes_on_with_its_actor_and_an_unclean_one_does_not() {
    let (mut c, [a, ..], _) = five(203);
    let mut context = acked(c.ask(a, put("k", "v1", "")));
    assert_eq!(actors(&mut c, a, "k"), 1);
    assert!(c.stop(a));
    c.start(a);
    formed(&mut c, 5);
    context = acked(c.ask(a, put("k", "v2", &context)));
    assert_eq!(actors(&mut c, a, "k"), 1, "it goes on");
    c.kill(a);
    c.start(a);
    formed(&mut c, 5);
    context = acked(c.ask(a, put("k", "v3", &context)));
    assert_eq!(actors(&mut c, a, "k"), 2, "it may have forgotten something");
    assert!(c.stop(a));
    c.start(a);
    formed(&mut c, 5);
    acked(c.ask(a, put("k", "v4", &context)));
    assert_eq!(actors(&mut c, a, "k"), 2);
    converges(&mut c, "k", &["v4"]);
}

#[test]
fn a_failed_sync_acknowledges_nothing_and_the_others_go_on() {
    let (mut c, [a, b, o], [d, e]) = five(204);
    let v0 = acked(c.ask(b, put("k", "v0", "")));
    converges(&mut c, "k", &["v0"]);
    for node in [a, b, o, d, e] {
        if node != b {
            c.hold_syncs(node, true);
        }
    }
    c.disk(b).fail_sync();
    let pending = c.send_within(b, 1_000, put("k", "v1", &v0));
    secs(&mut c, 2);
    assert_eq!(failed(c.answer(pending)), Error::OutcomeUnknown { required: 2, received: 0 });
    assert_eq!(local(&mut c, b, "k"), ["v0"]);
    for node in [a, o, d, e] {
        c.hold_syncs(node, false);
    }
    secs(&mut c, 1);
    // It takes no writes until it starts again; every other node does, and so it can be asked itself.
    for through in 1..=5 {
        let (_, context) = got(c.ask(through, get("k", quorum())));
        let written = c.ask(through, put("k", &format!("w{through}"), &context));
        assert_ne!(info(&written).coordinator, format!("n{b}"));
        assert!(!info(&written).replied.contains(&format!("n{b}")));
        acked(written);
    }
    assert_eq!(inspect(&mut c, b, Inspect::Status)["ready"], false);
    c.kill(b);
    c.start(b);
    formed(&mut c, 5);
    converges(&mut c, "k", &["w5"]);
}

#[test]
fn a_full_disk_refuses_and_the_others_go_on_and_it_recovers() {
    let (mut c, [a, b, o], _) = five(205);
    let mut context = acked(c.ask(a, put("k", "v0", "")));
    converges(&mut c, "k", &["v0"]);
    c.disk(a).set_full(true);
    // The put that meets the full disk may be lost to its client; none after it is.
    whatever(c.ask(a, put("other", "v", "")));
    secs(&mut c, 1);
    for round in 0..3 {
        for through in 1..=5 {
            let written = c.ask(through, put("k", &format!("v{round}{through}"), &context));
            assert_ne!(info(&written).coordinator, format!("n{a}"));
            context = acked(written);
            assert_eq!(got(c.ask(through, get("k", quorum()))).0, [format!("v{round}{through}")]);
        }
    }
    assert_eq!(local(&mut c, a, "k"), ["v0"]);
    assert!(inspect(&mut c, a, Inspect::Status)["reason"].to_string().contains("disk"));
    let all = failed(c.ask(b, put_at("k", "all", &context, level(Consistency::All))));
    assert_eq!(all, Error::OutcomeUnknown { required: 3, received: 2 });
    c.disk(a).set_full(false);
    formed(&mut c, 5);
    converges(&mut c, "k", &["all"]);
    let (_, context) = got(c.ask(o, get("k", quorum())));
    let written = c.ask(a, put("k", "again", &context));
    assert_eq!(info(&written).coordinator, format!("n{a}"));
    converges(&mut c, "k", &["again"]);
    until(&mut c, "the hints go", |c| (1..=5).all(|node| hints(c, node) == 0));
}

/// Seed 1110057: else what it stores counts, and nobody notes how far it has come for as long as it runs.
#[test]
fn an_old_copy_of_a_run_that_began_without_room_is_noticed() {
    let (mut c, [a, b, _], _) = five(208);
    let context = acked(c.ask(a, put("k", "v0", "")));
    converges(&mut c, "k", &["v0"]);
    c.kill(a);
    c.disk(a).set_full(true);
    c.start(a);
    // It hears from the others how far it was seen, and cannot write that down.
    secs(&mut c, 10);
    c.disk(a).set_full(false);
    formed(&mut c, 5);
    let copy = c.disk(a).copy();
    let context = acked(c.ask(a, put_at("k", "v1", &context, strict())));
    converges(&mut c, "k", &["v1"]);
    secs(&mut c, 2);
    c.kill(a);
    c.restore(a, copy);
    c.start(a);
    until(&mut c, "it notices", |c| was_set_aside(c, a));
    formed(&mut c, 5);
    acked(c.ask(b, put_at("k", "v2", &context, strict())));
    converges(&mut c, "k", &["v2"]);
}

#[test]
fn comparisons_go_on_after_the_disk_was_full() {
    let (mut c, ..) = five(206);
    secs(&mut c, 20);
    let a = (1..=5).max_by_key(|n| metric(&mut c, *n, "sync_rounds")).expect("five nodes");
    let b = 1 + a % 5;
    assert!(metric(&mut c, a, "sync_rounds") > 0);
    for n in 0..40 {
        acked(c.ask(b, put(&format!("k{n}"), "v", "")));
    }
    // Comparisons are under way on it while it has no room.
    c.disk(a).set_full(true);
    whatever(c.ask(a, put("other", "v", "")));
    for n in 0..40 {
        acked(c.ask(b, put(&format!("k{n}"), "w", "")));
    }
    secs(&mut c, 30);
    c.disk(a).set_full(false);
    formed(&mut c, 5);
    let rounds = metric(&mut c, a, "sync_rounds");
    secs(&mut c, 30);
    assert!(metric(&mut c, a, "sync_rounds") > rounds, "no comparison ends any more");
}

#[test]
fn a_damaged_value_is_not_shown_and_not_counted() {
    let (mut c, [a, b, o], _) = five(207);
    let context = acked(c.ask(a, put("k", "v", "")));
    converges(&mut c, "k", &["v"]);
    rot(&mut c, a, "k");
    for through in 1..=5 {
        assert_eq!(got(c.ask(through, get("k", quorum()))).0, ["v"]);
    }
    acked(c.ask(b, put("k", "w", &context)));
    for through in [b, o] {
        assert_eq!(got(c.ask(through, get("k", quorum()))).0, ["w"]);
    }
}
