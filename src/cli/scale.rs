//! `quorate sim --scale`: what a thousand members cost, and how soon they know.

use super::failure::Result;
use super::output::{Format, align_right, json, say, show, table};
use super::progress;
use super::units::{show_count, show_duration};
use crate::sim::scale::{Balance, Calm, Figures, Plan, Spread, Study};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Measures, and prints three tables.
pub(super) fn scale(plan: &Plan, threads: usize, format: Format) -> Result<()> {
    let bar = progress::bar(plan.cost(), "simulating");
    let began = Instant::now();
    let study = plan.run(threads, |cost| bar.inc(cost));
    let took = began.elapsed();
    bar.finish_and_clear();
    match format {
        Format::Json => json(&study_json(plan, &study, took)),
        Format::Table => {
            say(
                "Deaths and joins, without loss: median and worst; bytes of UDP with headers, and of TCP",
            )?;
            changes(&study.figures)?;
            say("\nA calm cluster, with loss: what nobody deserved, for each member and hour")?;
            mistakes(&study.figures)?;
            say("\nThe ring, three owners for each partition: loads in percent of an equal share")?;
            rings(&study.rings)?;
            say(format!("\nseed {}, in {}", plan.seed, show_duration(took)))
        }
    }
}

fn changes(figures: &[Figures]) -> Result<()> {
    let columns = [
        "members",
        "deaths",
        "first knows",
        "all know",
        "join known",
        "idle packets/s",
        "idle bytes/s",
        "death bytes/s",
    ];
    let mut rows = table(&columns);
    align_right(&mut rows, &[0, 1, 2, 3, 4, 5, 6, 7]);
    for row in figures {
        let idle = row.calm.first().copied().unwrap_or_default();
        let changes = &row.changes;
        rows.add_row([
            show_count(row.members as u64),
            changes.all.len().to_string(),
            spread(&changes.first),
            spread(&changes.all),
            spread(&changes.joins),
            format!("{:.2}", per(idle.traffic.datagrams, idle.node_seconds)),
            format!("{:.0}", per(idle.traffic.bytes(), idle.node_seconds)),
            format!("{:.0}", per(changes.traffic.bytes(), changes.node_seconds)),
        ]);
    }
    show(&rows)
}

fn mistakes(figures: &[Figures]) -> Result<()> {
    let columns =
        ["members", "loss", "member-hours", "suspicions", "deaths", "deaths × who believed"];
    let mut rows = table(&columns);
    align_right(&mut rows, &[0, 1, 2, 3, 4, 5]);
    for row in figures {
        for calm in &row.calm {
            let hours = calm.node_seconds / 3_600.0;
            rows.add_row([
                show_count(row.members as u64),
                format!("{} %", calm.loss_permille / 10),
                format!("{hours:.0}"),
                format!("{:.2}", per(calm.mistakes.suspicions, hours)),
                format!("{:.3}", per(calm.mistakes.deaths, hours)),
                format!("{:.3}", per(calm.mistakes.death_events, hours)),
            ]);
        }
    }
    show(&rows)
}

fn rings(rings: &[Balance]) -> Result<()> {
    let columns =
        ["partitions", "members", "least", "most", "slots each", "a join moves", "of all"];
    let mut rows = table(&columns);
    align_right(&mut rows, &[0, 1, 2, 3, 4, 5, 6]);
    for ring in rings {
        rows.add_row([
            show_count(ring.partitions as u64),
            show_count(ring.members as u64),
            format!("{:.0} %", ring.percent(ring.least)),
            format!("{:.0} %", ring.percent(ring.most)),
            format!("{}..{}", ring.least, ring.most),
            show_count(ring.moved as u64),
            format!("{:.2} %", ring.moved_percent()),
        ]);
    }
    show(&rows)
}

fn spread(times: &[Duration]) -> String {
    let Spread { median, most } = Spread::of(times);
    format!("{:.1} s, {:.1} s", median.as_secs_f64(), most.as_secs_f64())
}

fn per(count: u64, of: f64) -> f64 {
    if of > 0.0 { count as f64 / of } else { 0.0 }
}

fn study_json(plan: &Plan, study: &Study, took: Duration) -> Value {
    let figures: Vec<Value> = study.figures.iter().map(figures_json).collect();
    let rings: Vec<Value> = study.rings.iter().map(ring_json).collect();
    json!({
        "seed": plan.seed, "seconds": took.as_secs_f64(), "membership": figures, "rings": rings,
    })
}

fn figures_json(row: &Figures) -> Value {
    let changes = &row.changes;
    json!({
        "members": row.members,
        "deaths": changes.all.len(),
        "first_knows_seconds": spread_json(&changes.first),
        "all_know_seconds": spread_json(&changes.all),
        "join_known_seconds": spread_json(&changes.joins),
        "death_bytes_per_member_second": per(changes.traffic.bytes(), changes.node_seconds),
        "death_datagrams_per_member_second":
            per(changes.traffic.datagrams, changes.node_seconds),
        "calm": row.calm.iter().map(calm_json).collect::<Vec<Value>>(),
    })
}

fn spread_json(times: &[Duration]) -> Value {
    let Spread { median, most } = Spread::of(times);
    json!({ "median": median.as_secs_f64(), "most": most.as_secs_f64() })
}

fn calm_json(calm: &Calm) -> Value {
    let hours = calm.node_seconds / 3_600.0;
    json!({
        "loss_percent": f64::from(calm.loss_permille) / 10.0,
        "member_hours": hours,
        "datagrams_per_member_second": per(calm.traffic.datagrams, calm.node_seconds),
        "udp_bytes_per_member_second": per(calm.traffic.datagram_bytes, calm.node_seconds),
        "tcp_bytes_per_member_second": per(calm.traffic.stream_bytes, calm.node_seconds),
        "false_suspicions_per_member_hour": per(calm.mistakes.suspicions, hours),
        "false_deaths_per_member_hour": per(calm.mistakes.deaths, hours),
        "false_death_events_per_member_hour": per(calm.mistakes.death_events, hours),
    })
}

fn ring_json(ring: &Balance) -> Value {
    json!({
        "partitions": ring.partitions,
        "members": ring.members,
        "slots": ring.slots,
        "least": ring.least,
        "most": ring.most,
        "least_percent": ring.percent(ring.least),
        "most_percent": ring.percent(ring.most),
        "join_moves": ring.moved,
        "join_moves_percent": ring.moved_percent(),
        "join_moves_elsewhere": ring.moved_elsewhere,
    })
}
