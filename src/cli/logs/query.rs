//! `quorate logs query` and `tail`.

use super::super::args::{ByArg, OrderArg, QueryArgs, TailArgs};
use super::super::connect::connect;
use super::super::failure::Result;
use super::super::output::{Format, align_right, json, say, show, table, text};
use super::super::units::show_count;
use super::{filter, now, whole};
use crate::client::Client;
use crate::logs::{
    By, Cursor, Filter, Found, Group, Level, Logs, Nanos, Order, Page, json as shape, parse_time,
    show_time,
};
use std::time::Duration;

/// How often `tail` looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How many lines are asked for at once.
const PAGE: usize = 1_000;

/// `quorate logs query`.
pub(super) async fn query(args: QueryArgs) -> Result<()> {
    let now = now();
    let mut filter = filter(&args.filter)?;
    filter.since = args.since.as_deref().map(|word| parse_time(word, now)).transpose()?;
    filter.until = args.until.as_deref().map(|word| parse_time(word, now)).transpose()?;
    let logs = Logs::new(connect(&args.target).await?);
    if args.count {
        count(&logs, &args, &filter, now).await
    } else {
        lines(&logs, &args, filter).await
    }
}

async fn lines(logs: &Logs<Client>, args: &QueryArgs, filter: Filter) -> Result<()> {
    let order = match args.order {
        OrderArg::Newest => Order::Newest,
        OrderArg::Oldest => Order::Oldest,
    };
    let after = args.cursor.as_deref().map(str::parse::<Cursor>).transpose()?;
    let mut search = logs.search(filter, order, after).await?;
    let (mut left, mut all) = (args.limit, Page::default());
    while left > 0 {
        let page = search.page(left.min(PAGE)).await?;
        left -= page.lines.len();
        all.next = page.next;
        match args.print.output {
            Format::Json => all.lines.extend(page.lines),
            Format::Table => page.lines.iter().try_for_each(|found| say(line_text(found)))?,
        }
        if all.next.is_none() {
            break;
        }
    }
    let coverage = search.coverage();
    match (args.print.output, &all.next) {
        (Format::Json, _) => json(&shape::page(&all, coverage))?,
        (Format::Table, Some(next)) => eprintln!("there are more: --cursor {next}"),
        (Format::Table, None) => {}
    }
    whole(coverage)
}

async fn count(logs: &Logs<Client>, args: &QueryArgs, filter: &Filter, now: Nanos) -> Result<()> {
    let by = match args.by {
        None => By::Nothing,
        Some(ByArg::Level) => By::Level,
        Some(ByArg::Source) => By::Source,
        Some(ByArg::Time) => By::Time(step(args.step, filter, now)),
    };
    let counts = logs.count(filter, by).await?;
    match args.print.output {
        Format::Json => json(&shape::counts(&counts))?,
        Format::Table if args.by.is_none() => say(counts.total())?,
        Format::Table => {
            let mut rows = table(&["", "lines"]);
            align_right(&mut rows, &[1]);
            for (group, count) in &counts.groups {
                rows.add_row([name(group), show_count(*count)]);
            }
            show(&rows)?;
        }
    }
    whole(&counts.coverage)
}

/// What was said, or what suits the time that was asked for.
fn step(said: Option<Duration>, filter: &Filter, now: Nanos) -> Nanos {
    let said = said.map(|step| i64::try_from(step.as_nanos()).unwrap_or(i64::MAX).max(1));
    said.unwrap_or_else(|| filter.default_step(now))
}

fn name(group: &Group) -> String {
    match group {
        Group::All => "all".into(),
        Group::Source(source) => source.clone(),
        Group::Level(level) => level.map_or("-", Level::as_str).into(),
        Group::Time(at) => show_time(*at),
    }
}

/// What a terminal can show; a line that is none stays one line.
fn line_text(found: &Found) -> String {
    let line = &found.line;
    let level = line.level.map_or("-", Level::as_str);
    let marked = if line.by_arrival { "~" } else { "" };
    let shown: Vec<String> = line.text.split('\n').map(|part| text(part.as_bytes())).collect();
    format!("{marked}{} {level:5} {}: {}", show_time(line.at), found.source, shown.join("\n    "))
}

/// `quorate logs tail`: until it is interrupted.
pub(super) async fn tail(args: TailArgs) -> Result<()> {
    let logs = Logs::new(connect(&args.target).await?);
    let since = i64::try_from(args.since.as_nanos()).unwrap_or(i64::MAX);
    let mut follow = logs.follow(filter(&args.filter)?, now().saturating_sub(since));
    let mut was_whole = true;
    loop {
        match follow.look(now()).await {
            Ok(lines) => {
                for found in &lines {
                    match args.print.output {
                        Format::Json => json(&shape::line(found))?,
                        Format::Table => say(line_text(found))?,
                    }
                }
                let is_whole = follow.coverage().is_whole();
                if was_whole && !is_whole {
                    eprintln!("some partitions cannot be read now; what is in them comes later");
                }
                was_whole = is_whole;
            }
            Err(error) if error.is_retryable() => {
                if was_whole {
                    eprintln!("{error}; going on");
                }
                was_whole = false;
            }
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
