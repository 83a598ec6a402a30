//! Which they are.

use super::super::{By, Cursor, Filter, Found, Level, Levels, Logs, Order};
use super::*;
use crate::Error;
use std::time::Duration;

/// All answers, each page by whoever has only the cursor of the one before.
async fn pages(logs: &Logs<Memory>, filter: &Filter, order: Order, limit: usize) -> Vec<Found> {
    let (mut found, mut after): (Vec<Found>, Option<Cursor>) = (Vec::new(), None);
    loop {
        let mut search = logs.search(filter.clone(), order, after).await.unwrap();
        let page = search.page(limit).await.unwrap();
        assert!(page.lines.len() == limit || page.next.is_none());
        found.extend(page.lines);
        match page.next {
            Some(next) => after = Some(next.to_string().parse().unwrap()),
            None => return found,
        }
    }
}

fn texts(found: &[Found]) -> Vec<(Nanos, String)> {
    found.iter().map(|found| (found.line.at, found.line.text.clone())).collect()
}

#[tokio::test]
async fn lines_come_in_the_order_of_time_and_at_one_moment_as_they_were_sent() {
    let logs = Logs::new(Memory::default());
    let sent = lines(1, 12_000);
    send(&logs, "web", &sent).await;
    let wanted: Vec<_> = sent.iter().map(|line| (line.at, line.text.clone())).collect();
    let filter = Filter::default();
    let mut search = logs.search(filter.clone(), Order::Oldest, None).await.unwrap();
    assert_eq!(texts(&search.page(usize::MAX).await.unwrap().lines), wanted);
    let mut search = logs.search(filter, Order::Newest, None).await.unwrap();
    let mut newest = Vec::new();
    loop {
        let page = search.page(1_000).await.unwrap();
        newest.extend(texts(&page.lines));
        if page.next.is_none() {
            break;
        }
    }
    newest.reverse();
    assert_eq!(newest, wanted);
}

#[tokio::test]
async fn pages_of_any_size_hold_each_line_once_whatever_was_sent_again() {
    let logs = Logs::new(Memory::default());
    let (web, db) = (lines(2, 3_000), lines(3, 3_000));
    send(&logs, "web", &web).await;
    send(&logs, "web", &web[1_234..]).await;
    send(&logs, "db", &db).await;
    let filter = Filter::default().levels(Levels::AtLeast(Level::Warn));
    let count =
        |lines: &[Entry]| lines.iter().filter(|line| filter.levels.admits(line.level)).count();
    let wanted = count(&web) + count(&db);
    for order in [Order::Newest, Order::Oldest] {
        let mut all = texts(&pages(&logs, &filter, order, usize::MAX).await);
        assert_eq!(all.len(), wanted);
        for limit in [37, 100, 1_000] {
            assert_eq!(
                texts(&pages(&logs, &filter, order, limit).await),
                all,
                "{limit}, {order:?}"
            );
        }
        all.reverse();
        let is_sorted = |all: &[(Nanos, String)]| all.is_sorted_by_key(|(at, _)| *at);
        assert!(order == Order::Oldest || is_sorted(&all));
    }
}

#[tokio::test]
async fn the_newest_lines_are_found_without_reading_the_old_ones() {
    let logs = Logs::new(Memory::default());
    let sent = lines(4, 40_000);
    send(&logs, "web", &sent).await;
    let mut search = logs.search(Filter::default(), Order::Newest, None).await.unwrap();
    let page = search.page(100).await.unwrap();
    let newest = sent.iter().rev().take(100).map(|line| (line.at, line.text.clone()));
    let (mut wanted, mut found): (Vec<_>, Vec<_>) = (newest.collect(), texts(&page.lines));
    wanted.sort();
    found.sort();
    assert_eq!(found, wanted);
    let read = search.coverage().blocks_read;
    assert!(read <= 16, "{read} blocks");
    let all = logs.count(&Filter::default(), By::Nothing).await.unwrap().coverage;
    assert!(all.blocks_counted > 40, "of {}", all.blocks_counted);
}

#[tokio::test]
async fn a_cursor_of_another_query_or_none_of_ours_is_refused() {
    let logs = Logs::new(Memory::default());
    send(&logs, "web", &lines(5, 100)).await;
    let mut search = logs.search(Filter::default(), Order::Newest, None).await.unwrap();
    let cursor = search.page(10).await.unwrap().next.unwrap();
    let other = Filter::default().contains("x");
    for (filter, order) in [(other, Order::Newest), (Filter::default(), Order::Oldest)] {
        let refused = logs.search(filter, order, Some(cursor.clone())).await.err();
        assert!(matches!(refused, Some(Error::Invalid(_))));
    }
    for word in ["", "junk", "////", &"a".repeat(9_000)] {
        assert!(word.parse::<Cursor>().is_err());
    }
}

#[tokio::test]
async fn writes_that_nobody_took_are_tried_again_and_the_sender_waits() {
    let memory = Memory::default();
    let logs = Logs::new(memory.clone());
    let mut stream = stream(&logs, "web").await;
    stream.push(entry(DAY, None, "in the end")).await.unwrap();
    memory.refuse(2);
    tokio::time::pause();
    assert_eq!(stream.flush().await.unwrap().lines, 1);
    assert_eq!(logs.count(&Filter::default(), By::Nothing).await.unwrap().total(), 1);
    stream.push(entry(DAY, None, "never")).await.unwrap();
    memory.refuse(u32::MAX);
    assert!(matches!(stream.flush().await, Err(Error::OutcomeUnknown { .. })));
    assert_eq!(stream.acknowledged().lines, 1, "what was not taken is not acknowledged");
}

#[tokio::test]
async fn with_retention_all_that_arrived_in_a_window_expires_at_once() {
    let memory = Memory::default();
    let logs = Logs::new(memory.clone());
    let week = Duration::from_secs(7 * 24 * 3600);
    for minutes in [1, 30, 59] {
        let arrival = DAY + minutes * 60 * SECOND;
        let ttl = (minutes == 1).then_some(week);
        let mut stream = logs.stream("web", ttl, arrival).await.unwrap();
        for line in lines(minutes as u64, 500) {
            stream.push(line).await.unwrap();
        }
        stream.flush().await.unwrap();
    }
    let end = (DAY + HOUR) as u64 / 1_000_000 + week.as_millis() as u64;
    assert_eq!(memory.expiries("logs"), [Some(end)].into());
    assert_eq!(memory.expiries("logs.catalog"), [None, Some(end + 3_600_000)].into());
    assert_eq!(logs.sources().await.unwrap()[0].ttl, Some(week), "it stays what it was");
}

#[tokio::test]
async fn whoever_follows_sees_each_line_once_also_one_that_is_dated_back() {
    let logs = Logs::new(Memory::default());
    let sent = lines(6, 2_000);
    let now = sent.last().unwrap().at;
    send(&logs, "web", &sent[..1_000]).await;
    let mut follow = logs.follow(Filter::default(), sent[700].at);
    let first = follow.look(sent[1_000].at).await.unwrap();
    let wanted = sent[..1_000].iter().filter(|line| line.at >= sent[700].at).count();
    assert_eq!(first.len(), wanted);
    assert!(follow.look(now).await.unwrap().is_empty());
    send(&logs, "web", &sent[..1_000]).await;
    send(&logs, "web", &sent[1_000..1_500]).await;
    send(&logs, "db", &[entry(now - 60 * SECOND, None, "late")]).await;
    let reach = now - 600 * SECOND;
    let wanted = sent[1_000..1_500].iter().filter(|line| line.at >= reach).count() + 1;
    assert_eq!(follow.look(now).await.unwrap().len(), wanted);
    assert!(follow.coverage().is_whole());
}

#[tokio::test]
async fn a_source_needs_a_name() {
    let logs = Logs::new(Memory::default());
    for name in ["", "a\nb", &"x".repeat(257)] {
        assert!(matches!(logs.stream(name, None, DAY).await.err(), Some(Error::Invalid(_))));
    }
}
