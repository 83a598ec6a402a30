//! How many there are.

use super::super::{By, Filter, Group, Level, Levels, Logs};
use super::*;
use std::collections::BTreeMap;

/// Counted by hand.
fn by_level(lines: &[Entry]) -> BTreeMap<Group, u64> {
    let mut counts = BTreeMap::new();
    for line in lines {
        *counts.entry(Group::Level(line.level)).or_default() += 1;
    }
    counts
}

#[tokio::test]
async fn levels_are_counted_from_summaries_and_as_by_hand() {
    let logs = Logs::new(Memory::default());
    let sent = lines(1, 30_000);
    send(&logs, "web", &sent).await;
    let counts = logs.count(&Filter::default(), By::Level).await.unwrap();
    assert_eq!(counts.groups, by_level(&sent));
    assert!(counts.coverage.is_whole());
    let (read, counted) = (counts.coverage.blocks_read, counts.coverage.blocks_counted);
    assert!(read == 0 && counted > 30, "{read} blocks read, {counted} counted");
}

#[tokio::test]
async fn what_is_sent_again_is_there_once_also_its_tail_and_its_middle() {
    let logs = Logs::new(Memory::default());
    let sent = lines(2, 20_000);
    for range in [0..20_000, 0..20_000, 7_777..20_000, 3_000..9_000] {
        send(&logs, "web", &sent[range]).await;
    }
    let counts = logs.count(&Filter::default(), By::Level).await.unwrap();
    assert_eq!(counts.groups, by_level(&sent));
    assert!(counts.coverage.blocks_counted > 0, "what does not overlap is not read");
}

#[tokio::test]
async fn equal_lines_of_one_stream_stay_and_count() {
    let logs = Logs::new(Memory::default());
    let same = vec![entry(DAY, Some(Level::Error), "again"); 1_000];
    send(&logs, "web", &same).await;
    send(&logs, "web", &same[..10]).await;
    send(&logs, "db", &same[..3]).await;
    let counts = logs.count(&Filter::default(), By::Source).await.unwrap();
    let wanted = [(Group::Source("db".into()), 3), (Group::Source("web".into()), 1_000)];
    assert_eq!(counts.groups, wanted.into());
}

#[tokio::test]
async fn any_filter_counts_what_a_plain_loop_counts() {
    let logs = Logs::new(Memory::default());
    let sent = lines(3, 8_000);
    send(&logs, "web", &sent).await;
    send(&logs, "web", &sent[2_000..]).await;
    let (since, until) = (sent[1_000].at, sent[6_500].at);
    let filters = [
        Filter::default().levels(Levels::AtLeast(Level::Warn)),
        Filter::default().levels(Levels::Exactly(Level::Info)).since(since),
        Filter::default().since(since).until(until),
        Filter::default().contains("the same"),
        Filter::default().until(until).regex("took 1.* ms").unwrap(),
    ];
    for filter in filters {
        let wanted = sent.iter().filter(|line| {
            filter.levels.admits(line.level)
                && filter.since.is_none_or(|since| line.at >= since)
                && filter.until.is_none_or(|until| line.at < until)
                && (!format!("{filter:?}").contains("the same") || line.text.contains("the same"))
                && (!format!("{filter:?}").contains("took") || regex_by_hand(&line.text))
        });
        let counted = logs.count(&filter, By::Nothing).await.unwrap();
        assert_eq!(counted.total(), wanted.count() as u64, "{filter:?}");
        let over_time = logs.count(&filter, By::Time(60 * SECOND)).await.unwrap();
        assert_eq!(over_time.total(), counted.total(), "{filter:?}");
        let aligned = |group: &Group| matches!(group, Group::Time(at) if at % (60 * SECOND) == 0);
        assert!(over_time.groups.keys().all(aligned));
    }
}

fn regex_by_hand(text: &str) -> bool {
    text.split_once("took 1").is_some_and(|(_, rest)| rest.contains(" ms"))
}

#[tokio::test]
async fn only_partitions_that_can_hold_an_answer_are_asked() {
    let memory = Memory::default();
    let logs = Logs::new(memory.clone());
    for source in ["web-1", "web-2", "db"] {
        let hours = (0..10).flat_map(|hour| {
            [Level::Info, Level::Warn, Level::Error]
                .map(|level| entry(DAY + hour * HOUR, Some(level), level.as_str()))
        });
        send(&logs, source, &hours.collect::<Vec<_>>()).await;
    }
    assert_eq!(memory.keys("logs").len(), 3 * 10 * 3);
    let filter = Filter::default()
        .levels(Levels::AtLeast(Level::Error))
        .since(DAY + 2 * HOUR)
        .until(DAY + 4 * HOUR);
    let counts = logs.count(&filter.sources("web-*").unwrap(), By::Nothing).await.unwrap();
    assert_eq!((counts.total(), counts.coverage.partitions), (4, 4));
}

#[tokio::test]
async fn a_partition_that_cannot_be_read_is_named_and_the_rest_is_counted() {
    let memory = Memory::default();
    let logs = Logs::new(memory.clone());
    send(&logs, "web", &[entry(DAY, Some(Level::Error), "lost"), entry(DAY, None, "there")]).await;
    let key = memory.keys("logs").into_keys().find(|key| key.starts_with(b"error")).unwrap();
    memory.hide(key.clone());
    let counts = logs.count(&Filter::default(), By::Nothing).await.unwrap();
    assert_eq!(counts.total(), 1);
    assert_eq!(counts.coverage.failed.iter().next().map(String::as_bytes), Some(&key[..]));
    memory.hide("windows/web");
    assert!(!logs.count(&Filter::default(), By::Nothing).await.unwrap().coverage.is_whole());
    memory.show_all();
    assert_eq!(logs.count(&Filter::default(), By::Nothing).await.unwrap().total(), 2);
    memory.hide("sources");
    assert!(logs.count(&Filter::default(), By::Nothing).await.is_err(), "nothing can be said");
}
