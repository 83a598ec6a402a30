//! A majority is gone for ever: those who are left go on, and whoever comes back of the others is fenced.

use super::kit::*;
use super::owners::{ITEMS, ring, settled, with_items_in};
use quorate::message::client::{Inspect, Reply, Request, RingChange};
use quorate::sim::Cluster;
use quorate::time::Duration;

fn decision(c: &mut Cluster, names: &[&str]) -> Request {
    let status = inspect(c, 1, Inspect::Status);
    Request::ChangeRing(RingChange::ForceSurvivors {
        names: names.iter().map(|name| name.to_string()).collect(),
        cluster: status["cluster"].as_str().expect("text").to_owned(),
        index: status["index"].as_u64().expect("a number"),
    })
}

#[test]
fn survivors_go_on_and_who_comes_back_of_the_others_harms_nobody() {
    let mut c = with_items_in(5, 831, &[], Duration::ZERO);
    let (_, context) = got(c.ask(1, get("k0", strict())));
    let early = decision(&mut c, &["n1", "n2"]);
    assert!(failed(c.ask(1, early)).to_string().contains("is alive"));
    // Whose owners are all gone is lost; of the others there is what the survivors have.
    let mut lost = Vec::new();
    for n in 0..ITEMS {
        let (owners, _) = places(&mut c, &format!("k{n}"));
        lost.push(owners.iter().all(|owner| *owner > 2));
    }
    for number in 3..=5 {
        c.kill(number);
    }
    for number in 1..=2 {
        notices(&mut c, number, &[3, 4, 5]);
    }
    let majority = decision(&mut c, &["n1", "n2", "n3"]);
    assert!(failed(c.ask(1, majority)).to_string().contains("majority"));
    let go_on = decision(&mut c, &["n1", "n2"]);
    let before = inspect(&mut c, 1, Inspect::Status)["cluster"].clone();
    for number in [1, 2, 1] {
        assert_eq!(c.ask(number, go_on.clone()), Some(Reply::Agreed));
    }
    let after = inspect(&mut c, 1, Inspect::Status)["cluster"].clone();
    assert_ne!(before, after);
    assert_eq!(inspect(&mut c, 2, Inspect::Status)["cluster"], after);
    // One that had its own idea comes back, and hears that it was overruled.
    c.start(3);
    until(&mut c, "it learns why", |c| {
        let status = inspect(c, 3, Inspect::Status);
        status["reason"].as_str().is_some_and(|why| why.contains("without this node"))
    });
    assert!(matches!(
        c.ask(3, get("k1", level(quorate::quorum::Consistency::One))),
        Some(Reply::Failed(_))
    ));
    c.kill(3);
    // A third one lets everything be whole again.
    let new = c.grow();
    until(&mut c, "the others are forgotten", |c| {
        ring(c, 1)["members"].as_array().is_some_and(|members| members.len() == 3)
    });
    settled(&mut c);
    for (n, lost) in lost.iter().enumerate() {
        let (values, _) = got(c.ask(new, get(&format!("k{n}"), strict())));
        assert_eq!(values.is_empty(), *lost, "k{n}");
    }
    let kept = lost.iter().position(|lost| !lost).expect("some are left");
    assert!(!lost[0] || kept > 0);
    if !lost[0] {
        acked(c.ask(2, put_at("k0", "w", &context, strict())));
        assert_eq!(got(c.ask(new, get("k0", strict()))).0, ["w"], "contexts of before still count");
    }
}
