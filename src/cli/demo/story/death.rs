//! The second chapter: a node is killed under load, and nobody waits for it.

use super::Story;
use crate::cli::demo::gaps::{NOTABLE, StallProbe};
use crate::cli::demo::load::Load;
use crate::cli::demo::look;
use crate::cli::failure::Result;
use crate::cli::probe::until;
use crate::cli::progress;
use crate::cli::units::{show_count, show_duration};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How soon the survivors must see that it is dead.
const DEATH_LIMIT: Duration = Duration::from_secs(15);
/// The longest time without a success that is promised when a node dies.
const GAP_LIMIT: Duration = Duration::from_secs(2);

impl Story {
    pub(super) async fn write(&mut self, load: &Arc<Load>) -> Result<()> {
        let total = load.promises().len();
        let bar = progress::bar(total as u64, "writing");
        let began = Instant::now();
        let written = load.write_all(&bar).await;
        bar.finish_and_clear();
        let took = show_duration(began.elapsed());
        let name = self.fleet.node(self.victim()).name.clone();
        let killed = load.shot().and_then(|shot| {
            let after = load.acked().saturating_sub(shot.acked);
            if after == 0 || shot.in_flight == 0 {
                return Err(format!("{} in flight, {after} acknowledged after it", shot.in_flight));
            }
            Ok(format!(
                "SIGKILL to {name} after {} acknowledgements with {} lines in flight; {} came after it",
                show_count(shot.acked as u64),
                shot.in_flight,
                show_count(after as u64)
            ))
        });
        self.claim("a node was killed while writes were in flight", killed)?;
        let again = load.offered_again();
        let evidence =
            format!("{} in {took}, {again} had to be offered again", show_count(total as u64));
        self.claim("every line was acknowledged at W=2", written.map(|()| evidence))
    }

    pub(super) async fn death(&mut self, load: &Load) -> Result<()> {
        let name = self.fleet.node(self.victim()).name.clone();
        let bar = progress::spinner(&format!("waiting until {name} is seen dead"));
        let survivors = self.survivors();
        let dead = || async {
            for node in &survivors {
                let states = look::states(node).await?;
                match states.iter().find(|(member, _)| *member == name) {
                    Some((_, state)) if state == "dead" => {}
                    Some((_, state)) => {
                        return Err(format!("{} says {name} is {state}", node.name));
                    }
                    None => return Err(format!("{} does not know {name}", node.name)),
                }
            }
            Ok(())
        };
        let shot = load.shot();
        let seen = match &shot {
            Ok(_) => until(DEATH_LIMIT, dead).await,
            Err(_) => Err("nobody was killed".to_string()),
        };
        bar.finish_and_clear();
        let verdict = seen.and(shot).and_then(|shot| {
            let took = shot.at.elapsed();
            if took > DEATH_LIMIT {
                return Err(format!("only after {}", show_duration(took)));
            }
            Ok(format!("{} after the kill at the latest", show_duration(took)))
        });
        self.claim("the survivors see that it is dead", verdict)
    }

    pub(super) async fn read(&mut self, load: &Arc<Load>) -> Result<()> {
        let total = load.promises().len() as u64;
        let bar = progress::bar(total, "reading");
        let began = Instant::now();
        let read = load.read_all(&bar).await;
        bar.finish_and_clear();
        let took = show_duration(began.elapsed());
        let evidence = format!("{} at R=2 in {took}, byte for byte", show_count(total));
        self.claim("every acknowledged line is read back while it is dead", read.map(|()| evidence))
    }

    pub(super) fn gap(&mut self, load: &Load, probe: &StallProbe, beats: usize) -> Result<()> {
        let (gap, stalled) = load.gaps().longest(Instant::now(), &probe.stalls());
        let mut text = show_duration(gap.max(NOTABLE));
        if !stalled.is_zero() {
            text += &format!(
                " (and {} in which the machine itself stood still)",
                show_duration(stalled)
            );
        }
        let verdict = if gap <= GAP_LIMIT {
            let small = show_count(beats as u64);
            Ok(format!("at most {text} between two of them, {small} small ones kept the pulse"))
        } else {
            Err(format!("{text} without one"))
        };
        self.claim("acknowledgements never pause for more than 2 s", verdict)
    }
}
