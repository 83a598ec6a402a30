//! A read that explains itself says what was so: who was asked, who held what, and what is mended.

use super::kit::*;
use quorate::message::client::{Explained, Reply, Request, Said};
use quorate::quorum::Consistency;
use quorate::sim::Cluster;

fn explain(c: &mut Cluster, through: usize, quorum: quorate::quorum::QuorumRequest) -> Explained {
    let reply = c.ask(through, Request::Explain { item: item("k"), quorum });
    let Some(Reply::Got { info, .. }) = reply else { panic!("{reply:?}") };
    *info.explained.expect("the story")
}

#[test]
fn the_story_of_a_read_names_the_stale_and_says_why_there_are_siblings() {
    let (mut c, [a, b, o], _) = five_without_sync(7200);
    let nothing = explain(&mut c, a, quorum());
    assert!(nothing.verdict.starts_with("nothing"), "{}", nothing.verdict);
    let context = acked(c.ask(a, put_at("k", "1", "", level(Consistency::All))));
    // At `all` everybody would be read whole.
    let calm = explain(&mut c, a, level(Consistency::Three));
    assert_eq!((calm.required, calm.replicas.len()), (3, 3));
    assert!(calm.verdict.starts_with("one value") && calm.repaired.is_empty(), "{calm:?}");
    for replica in &calm.replicas {
        assert_eq!((replica.said, replica.owner), (Said::Same, true), "{replica:?}");
        assert_eq!(
            replica.dots.as_ref().map(Vec::len),
            Some(1),
            "a digest that agrees has its dots"
        );
        assert!(replica.took_us.is_some());
    }
    assert_eq!(calm.replicas.iter().filter(|replica| replica.whole).count(), 1);
    // One owner misses two writes, and the one that would have kept hints for it dies.
    c.network.cut(a, o);
    c.network.cut(b, o);
    acked(c.ask(a, put_as("k", Some("2"), &context, operation(), strict())));
    acked(c.ask(a, put_as("k", Some("3"), &context, operation(), strict())));
    assert!(explain(&mut c, a, strict()).verdict.starts_with("2 siblings"));
    c.kill(a);
    c.network.heal();
    assert_eq!(local(&mut c, o, "k"), ["1"], "it is stale");
    let told = explain(&mut c, b, quorum());
    let of = |node: usize| {
        let name = format!("n{node}");
        told.replicas.iter().find(|replica| replica.node == name).cloned()
    };
    let (here, stale) = (of(b).expect("asked"), of(o).expect("asked"));
    assert_eq!(here.dots.as_ref().map(Vec::len), Some(2));
    assert_eq!((stale.said, stale.dots.map(|dots| dots.len())), (Said::Other, Some(1)));
    assert_eq!(told.repaired, names(&[o]));
    assert!(told.verdict.contains("differed"), "{}", told.verdict);
    until(&mut c, "it is mended", |c| local(c, o, "k") == ["2", "3"]);
}
