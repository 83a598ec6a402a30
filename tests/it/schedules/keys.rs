//! Lists of keys, scans in reverse, and checks of contexts, over whole clusters: what was acknowledged is there, what
//! never was is not, whoever is asked and whoever is away.

use super::kit::*;
use bytes::Bytes;
use quorate::Error;
use quorate::message::client::{Reply, Request};
use quorate::quorum::{Consistency, QuorumRequest};
use quorate::sim::Cluster;
use quorate::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

/// All keys of the bucket `b` that begin so, page by page, each page through the next node of these.
fn keys_by(
    c: &mut Cluster,
    through: &[usize],
    prefix: &str,
    limit: u32,
    quorum: QuorumRequest,
) -> Result<Vec<String>, Error> {
    let (mut after, mut found) = (Bytes::new(), Vec::new());
    for nth in 0..10_000 {
        let request = Request::Keys {
            bucket: "b".into(),
            after,
            prefix: Bytes::copy_from_slice(prefix.as_bytes()),
            limit,
            quorum,
        };
        match c.ask(through[nth % through.len()], request) {
            Some(Reply::Keys { keys, next }) => {
                found.extend(keys.iter().map(|key| String::from_utf8_lossy(key).into_owned()));
                let Some(next) = next else { return Ok(found) };
                after = next;
            }
            Some(Reply::Failed(error)) => return Err(error),
            other => panic!("no keys: {other:?}"),
        }
    }
    panic!("a list without an end");
}

fn sorted_keys(c: &mut Cluster, through: &[usize], prefix: &str, limit: u32) -> Vec<String> {
    let mut keys = keys_by(c, through, prefix, limit, quorum()).expect("listed");
    keys.sort();
    keys
}

fn named(numbers: impl Iterator<Item = usize>) -> Vec<String> {
    let mut names: Vec<String> = numbers.map(|n| format!("key-{n:03}")).collect();
    names.sort();
    names
}

#[test]
fn every_key_is_listed_once_whatever_the_pages_and_whoever_is_asked() {
    let mut c = cluster(5, 7001);
    for n in 0..60 {
        acked(c.ask(1 + n % 5, put(&format!("key-{n:03}"), "v", "")));
    }
    for sort in 0..40 {
        acked(c.ask(1, put_sorted("many", sort, "v", quorum())));
    }
    let mut all = named(0..60);
    all.push("many".into());
    for (limit, through) in [(1, &[1][..]), (7, &[2, 3, 4]), (1_000, &[5, 1, 2, 3, 4])] {
        assert_eq!(sorted_keys(&mut c, through, "", limit), all, "pages of {limit}");
    }
    assert_eq!(sorted_keys(&mut c, &[3], "key-01", 5), named(10..20));
    assert_eq!(sorted_keys(&mut c, &[3], "nothing", 5), Vec::<String>::new());
}

#[test]
fn what_was_deleted_is_not_listed_though_one_replica_has_not_heard_of_it() {
    let (mut c, [a, b, o], _) = five_without_sync(7002);
    let context = acked(c.ask(a, put_at("k", "v", "", level(Consistency::All))));
    out_of_reach(&mut c, o, [a, b]);
    acked(c.ask(a, put_as("k", None, &context, operation(), strict())));
    stale_again(&mut c, a);
    assert_eq!(local(&mut c, o, "k"), ["v"], "it has missed the delete");
    for through in [b, o] {
        assert_eq!(keys_by(&mut c, &[through], "", 10, strict()), Ok(vec![]), "n{through}");
    }
    assert_eq!(local(&mut c, o, "k"), ["v"], "a list mends nothing");
}

/// What these write now does not reach it, and nobody knows yet that it does not.
fn out_of_reach(c: &mut Cluster, node: usize, of: [usize; 2]) {
    of.into_iter().for_each(|other| c.network.cut(other, node));
}

/// Whoever coordinated dies, and with it all that it knew of who has missed what: two owners are left, one of them stale.
fn stale_again(c: &mut Cluster, coordinator: usize) {
    c.kill(coordinator);
    c.network.heal();
}

#[test]
fn a_list_goes_on_when_the_node_that_began_it_is_dead() {
    let mut c = cluster(5, 7003);
    for n in 0..40 {
        acked(c.ask(1, put(&format!("key-{n:03}"), "v", "")));
    }
    let (mut after, mut found, mut through) = (Bytes::new(), BTreeSet::new(), 1);
    loop {
        let (bucket, prefix) = ("b".into(), Bytes::new());
        let request = Request::Keys { bucket, after, prefix, limit: 3, quorum: quorum() };
        let Some(Reply::Keys { keys, next }) = c.ask(through, request) else { panic!("a page") };
        for key in keys {
            assert!(found.insert(String::from_utf8_lossy(&key).into_owned()), "listed twice");
        }
        let Some(next) = next else { break };
        if through == 1 && found.len() >= 10 {
            c.kill(1);
            through = 2;
            notices(&mut c, 2, &[1]);
        }
        after = next;
    }
    assert_eq!(through, 2);
    assert_eq!(found.into_iter().collect::<Vec<_>>(), named(0..40));
}

#[test]
fn too_few_owners_are_an_error_and_no_short_list() {
    let (mut c, [a, b, o], _) = five_without_sync(7004);
    acked(c.ask(a, put("k", "v", "")));
    cut_off(&mut c, &[b, o]);
    notices(&mut c, a, &[b, o]);
    let error =
        keys_by(&mut c, &[a], "", 1_000, strict()).expect_err("one of three owners is no quorum");
    let unmet = matches!(error, Error::Unavailable { .. } | Error::QuorumNotMet { .. });
    assert!(unmet, "{error}");
}

#[test]
fn a_bucket_that_nobody_has_heard_of_has_no_keys() {
    let mut c = cluster(3, 7005);
    let (after, prefix) = (Bytes::new(), Bytes::new());
    let bucket = "nowhere".into();
    let request = Request::Keys { bucket, after, prefix, limit: 10, quorum: quorum() };
    assert_eq!(c.ask(2, request), Some(Reply::Keys { keys: vec![], next: None }));
}

/// A partition key from its last item to its first, page by page.
fn back(c: &mut Cluster, through: usize, limit: u32, from: &str, to: &str) -> (Vec<String>, usize) {
    let (mut found, mut pages) = (Vec::new(), 0);
    let mut to = Bytes::copy_from_slice(to.as_bytes());
    loop {
        let (bucket, key) = ("b".into(), "k".into());
        let from = Bytes::copy_from_slice(from.as_bytes());
        let quorum = strict();
        let request = Request::Scan { bucket, key, from, to, limit, quorum, reverse: true };
        let Some(Reply::Page { items, next }) = c.ask(through, request) else { panic!("a page") };
        found.extend(items.iter().map(|item| String::from_utf8_lossy(&item.sort).into_owned()));
        pages += 1;
        match next {
            Some(next) => to = next,
            None => return (found, pages),
        }
    }
}

fn down(numbers: impl DoubleEndedIterator<Item = usize>) -> Vec<String> {
    numbers.rev().map(|n| format!("{n:03}")).collect()
}

#[test]
fn a_scan_in_reverse_shows_each_item_once_where_replicas_differ_and_pages_are_cut() {
    let (mut c, [a, b, o], _) = five_without_sync(7006);
    for sort in 0..20 {
        acked(c.ask(a, put_sorted("k", sort, "v", level(Consistency::All))));
    }
    out_of_reach(&mut c, o, [a, b]);
    for sort in 20..30 {
        acked(c.ask(a, put_sorted("k", sort, "v", strict())));
    }
    for sort in [5, 19] {
        let (_, context) = got(c.ask(a, get_sorted("k", sort, strict())));
        let delete = match put_sorted("k", sort, "", strict()) {
            Request::Put { item, quorum, operation, expires_at, tried_since, .. } => Request::Put {
                item,
                quorum,
                operation,
                expires_at,
                tried_since,
                value: None,
                context,
            },
            other => panic!("{other:?}"),
        };
        acked(c.ask(a, delete));
    }
    stale_again(&mut c, a);
    let standing = |range: std::ops::Range<usize>| {
        down(range.filter(|n| ![5, 19].contains(n)).collect::<Vec<_>>().into_iter())
    };
    for limit in [1, 3, 7, 1_000] {
        for through in [b, o] {
            let (found, pages) = back(&mut c, through, limit, "", "");
            assert_eq!(found, standing(0..30), "pages of {limit} through n{through}");
            assert!(pages <= 30 / limit as usize + 2, "{pages} pages of {limit}");
        }
        assert_eq!(back(&mut c, b, limit, "003", "012").0, standing(3..12), "bounds, {limit}");
    }
}

#[test]
fn a_context_that_is_what_stands_is_confirmed_and_any_other_is_refused() {
    let (mut c, [a, b, _], _) = five(7007);
    let check = |context: &str, operation| Request::Check {
        item: item("k"),
        quorum: quorum(),
        context: context.into(),
        operation,
    };
    let holds = |reply| matches!(reply, Some(Reply::Got { .. }));
    assert!(holds(c.ask(a, check("", None))), "nothing was seen, and nothing is there");
    let first = acked(c.ask(a, put("k", "1", "")));
    assert_eq!(failed(c.ask(a, check("", None))), Error::ContextMismatch);
    assert!(holds(c.ask(b, check(&first, None))));
    let name = operation();
    let second = acked(c.ask(b, put_as("k", Some("2"), &first, name, level(Consistency::Quorum))));
    assert_eq!(failed(c.ask(a, check(&first, None))), Error::ContextMismatch);
    assert!(holds(c.ask(a, check(&second, None))));
    assert!(holds(c.ask(a, check(&first, Some(name)))), "its own earlier try is no stranger's");
    // A sibling that nobody was shown, and a delete, are changes.
    acked(c.ask(a, put("k", "3", "")));
    assert_eq!(failed(c.ask(a, check(&second, None))), Error::ContextMismatch);
    let (_, both) = got(c.ask(a, get("k", quorum())));
    assert!(holds(c.ask(b, check(&both, None))));
    acked(c.ask(a, delete("k", &both)));
    assert_eq!(failed(c.ask(a, check(&both, None))), Error::ContextMismatch);
    assert!(matches!(failed(c.ask(a, check("nonsense", None))), Error::Invalid(_)));
}

/// Writes, deletes, kills and lists at random: what was acknowledged before a list began, and was not touched again, is on
/// it; what never was written is not; nothing is on it twice.
#[test]
fn lists_under_kills_have_what_was_acknowledged_and_nothing_that_never_was() {
    for seed in 7100..7104 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut c = cluster(5, seed);
        let mut standing: BTreeMap<String, String> = BTreeMap::new();
        let mut doubtful: BTreeSet<String> = BTreeSet::new();
        let mut written: BTreeSet<String> = BTreeSet::new();
        let mut dead = None;
        for step in 0..120 {
            let through =
                (1..=5).filter(|n| Some(*n) != dead).nth(rng.usize(..4)).expect("four are up");
            let key = format!("key-{:03}", rng.usize(..30));
            match rng.u8(..10) {
                0..6 => {
                    written.insert(key.clone());
                    let context = standing.get(&key).cloned().unwrap_or_default();
                    let put = put_as(&key, Some("v"), &context, operation(), strict());
                    match c.ask(through, put) {
                        Some(Reply::Written { context, .. }) => {
                            doubtful.remove(&key);
                            standing.insert(key, context);
                        }
                        _ => drop(doubtful.insert(key)),
                    }
                }
                6 | 7 => {
                    let Some(context) = standing.remove(&key) else { continue };
                    // Another value may stand beside it that was never acknowledged.
                    doubtful.insert(key.clone());
                    let delete = put_as(&key, None, &context, operation(), strict());
                    whatever(c.ask(through, delete));
                }
                8 => match dead.take() {
                    Some(node) => {
                        c.start(node);
                        c.run_for(Duration::from_secs(8));
                    }
                    None => {
                        dead = Some(through);
                        c.kill(through);
                        c.run_for(Duration::from_millis(rng.u64(..4_000)));
                    }
                },
                _ => {
                    let limit = [1, 5, 1_000][rng.usize(..3)];
                    // A list may fail while a node is dying; it may not lie.
                    let Ok(keys) = keys_by(&mut c, &[through], "", limit, strict()) else {
                        continue;
                    };
                    let listed: BTreeSet<String> = keys.iter().cloned().collect();
                    assert_eq!(listed.len(), keys.len(), "seed {seed}, step {step}: twice");
                    for key in standing.keys().filter(|key| !doubtful.contains(*key)) {
                        assert!(listed.contains(key), "seed {seed}, step {step}: {key} is missing");
                    }
                    for key in &listed {
                        assert!(
                            written.contains(key),
                            "seed {seed}, step {step}: {key} from nowhere"
                        );
                    }
                }
            }
        }
    }
}
