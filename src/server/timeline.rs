//! What happened, told from the difference between one look at the node and the next.
//!
//! ```text
//!   n2 alive ─► suspect        suspected           hints for n2: 0 ─► 7     keeping
//!   n2 suspect ─► alive        refuted             hints for n2: 7 ─► 0     handed off
//!   n2 suspect ─► dead         dead                short of copies: 9 ─► 0  repaired
//! ```
//!
//! Two look so: the dashboard, at its own node and only while a page is open, and `quorate monitor`, at all nodes. The
//! first look after a pause tells of all that has changed meanwhile, and says since when it was not looked.

use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// How many entries are kept; the oldest give way.
const ENTRIES: usize = 256;
/// How many looks without another repair end a row of repairs.
const QUIET_LOOKS: u32 = 3;
/// Looks further apart than this, in milliseconds, have missed something in between.
const GAP_MS: u64 = 3_000;

/// What a node said of itself just now; null where it did not answer.
pub(crate) struct Answers {
    /// The answer to `Inspect::Status`.
    pub(crate) status: Value,
    /// The answer to `Inspect::Members`.
    pub(crate) members: Value,
    /// The answer to `Inspect::Hints`.
    pub(crate) hints: Value,
    /// Stale replicas that this node has mended since it started.
    pub(crate) repairs: u64,
}

/// One line.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Counts up.
    pub(crate) number: u64,
    /// When it was noticed, in milliseconds of the calendar's clock.
    at: u64,
    /// Since when it may have happened, where nobody looked for a while.
    since: Option<u64>,
    what: What,
    text: String,
}

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Watching,
    Met,
    Suspected,
    Refuted,
    Dead,
    Back,
    Left,
    Forgotten,
    Keeping,
    HandedOff,
    Rebuilding,
    Rebuilt,
    Short,
    Whole,
    Repaired,
    Owners,
}

impl What {
    fn word(self) -> &'static str {
        match self {
            What::Watching => "watching",
            What::Met => "met",
            What::Suspected => "suspected",
            What::Refuted => "refuted",
            What::Dead => "dead",
            What::Back => "back",
            What::Left => "left",
            What::Forgotten => "forgotten",
            What::Keeping => "keeping hints",
            What::HandedOff => "handed off",
            What::Rebuilding => "rebuilding",
            What::Rebuilt => "rebuilt",
            What::Short => "short of copies",
            What::Whole | What::Repaired => "repaired",
            What::Owners => "owners",
        }
    }

    /// How the page colours it, beside the word.
    fn tone(self) -> &'static str {
        match self {
            What::Dead | What::Short => "bad",
            What::Suspected | What::Keeping | What::Rebuilding => "warn",
            What::Refuted
            | What::Back
            | What::HandedOff
            | What::Rebuilt
            | What::Whole
            | What::Repaired => "good",
            What::Watching | What::Met | What::Left | What::Forgotten | What::Owners => "plain",
        }
    }
}

impl Entry {
    /// What kind of thing it was, as a word.
    pub(crate) fn word(&self) -> &'static str {
        self.what.word()
    }

    /// The rest of the line.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Whether every node tells the same, sooner or later: what is about the cluster, and not about the one that
    /// was asked.
    pub(crate) fn is_of_the_cluster(&self) -> bool {
        !matches!(self.what, What::Watching | What::Keeping | What::HandedOff | What::Repaired)
    }

    /// As the page gets it.
    pub(crate) fn json(&self) -> Value {
        json!({
            "number": self.number,
            "at": self.at,
            "since": self.since,
            "what": self.what.word(),
            "tone": self.what.tone(),
            "text": self.text,
        })
    }
}

/// A member, as far as its line in the timeline goes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    name: String,
    state: String,
    rebuilding: bool,
}

/// What was seen at one look.
#[derive(Clone, Debug, Default)]
struct Look {
    at: u64,
    /// By id.
    members: BTreeMap<String, Seen>,
    /// By owner.
    hints: BTreeMap<String, u64>,
    short: u64,
    epoch: u64,
    repairs: u64,
}

impl Look {
    /// None where the node did not answer: that is no difference.
    fn of(answers: &Answers, at: u64) -> Option<Look> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let status = answers.status.as_object()?;
        let members = answers.members["members"].as_array()?;
        let member = |m: &Value| {
            let rebuilding = m["rebuilding"] == true;
            let of = Seen { name: text(&m["name"]), state: text(&m["state"]), rebuilding };
            (text(&m["id"]), of)
        };
        let owners = answers.hints["owners"].as_array()?;
        let hints =
            owners.iter().map(|o| (text(&o["owner"]), o["pending"].as_u64().unwrap_or_default()));
        let partitions = &answers.status["partitions"];
        let count = |value: &Value| value.as_u64().unwrap_or_default();
        Some(Look {
            at,
            members: members.iter().map(member).collect(),
            hints: hints.collect(),
            short: count(&partitions["under_replicated"]),
            epoch: status.get("epoch").map(count).unwrap_or_default(),
            repairs: answers.repairs,
        })
    }
}

/// The last [`ENTRIES`] things that happened.
#[derive(Default)]
pub(crate) struct Timeline {
    entries: VecDeque<Entry>,
    shared: Arc<[Entry]>,
    told: u64,
    last: Option<Look>,
    /// The most hints that were seen for each owner since there were any.
    most: BTreeMap<String, u64>,
    /// Repairs that are still going on: how many, and for how many looks there were no more.
    mending: Option<(u64, u32)>,
}

impl Timeline {
    /// Looks, and tells what differs from the last time. `at` is the calendar's time in milliseconds.
    pub(crate) fn note(&mut self, answers: &Answers, at: u64) {
        let Some(now) = Look::of(answers, at) else { return };
        let told = self.told;
        match self.last.take() {
            None => self.begin(&now),
            Some(before) => self.compare(&before, &now),
        }
        self.last = Some(now);
        if self.told != told {
            self.shared = self.entries.iter().cloned().collect();
        }
    }

    /// All that is kept, oldest first.
    pub(crate) fn entries(&self) -> Arc<[Entry]> {
        self.shared.clone()
    }

    fn begin(&mut self, now: &Look) {
        let alive = now.members.values().filter(|m| m.state == "alive").count();
        let text = format!("{alive} of {} members are alive", now.members.len());
        self.tell(now, None, What::Watching, text);
        self.most.clone_from(&now.hints);
    }

    fn compare(&mut self, before: &Look, now: &Look) {
        let since = (now.at.saturating_sub(before.at) > GAP_MS).then_some(before.at);
        let mut said = Vec::new();
        for (id, member) in &now.members {
            said.extend(member_changed(before.members.get(id), member));
        }
        for (_, gone) in before.members.iter().filter(|(id, _)| !now.members.contains_key(*id)) {
            said.push((What::Forgotten, format!("{} is no member any more", gone.name)));
        }
        for (owner, count) in &now.hints {
            if !before.hints.contains_key(owner) {
                said.push((What::Keeping, format!("what {owner} misses is kept here for it")));
            }
            let most = self.most.entry(owner.clone()).or_default();
            *most = (*most).max(*count);
        }
        for owner in before.hints.keys().filter(|owner| !now.hints.contains_key(*owner)) {
            let most = self.most.remove(owner).unwrap_or_default();
            let text = format!("no hints for {owner} are left here; there were up to {most}");
            said.push((What::HandedOff, text));
        }
        match (before.short, now.short) {
            (0, short @ 1..) => {
                said.push((What::Short, format!("{short} partitions have too few live copies")));
            }
            (1.., 0) => {
                said.push((What::Whole, "every partition has all its live copies".into()));
            }
            _ => {}
        }
        if before.epoch != now.epoch {
            let text =
                format!("the layout of epoch {} is in force, after {}", now.epoch, before.epoch);
            said.push((What::Owners, text));
        }
        said.extend(self.mended(before, now));
        for (what, text) in said {
            self.tell(now, since, what, text);
        }
    }

    /// A row of repairs is one line, told when it has ended.
    fn mended(&mut self, before: &Look, now: &Look) -> Option<(What, String)> {
        // Smaller: the node's machine began anew.
        let more = now.repairs.saturating_sub(before.repairs);
        let (sum, quiet) = self.mending.unwrap_or_default();
        self.mending = match (sum + more, more) {
            (0, _) => None,
            (sum, 0) if quiet + 1 >= QUIET_LOOKS => {
                self.mending = None;
                return Some((
                    What::Repaired,
                    format!("{sum} stale replicas were mended from here"),
                ));
            }
            (sum, 0) => Some((sum, quiet + 1)),
            (sum, _) => Some((sum, 0)),
        };
        None
    }

    fn tell(&mut self, now: &Look, since: Option<u64>, what: What, text: String) {
        self.told += 1;
        if self.entries.len() >= ENTRIES {
            self.entries.pop_front();
        }
        self.entries.push_back(Entry { number: self.told, at: now.at, since, what, text });
    }
}

/// What became of a member.
fn member_changed(before: Option<&Seen>, now: &Seen) -> Vec<(What, String)> {
    let name = &now.name;
    let state = match (before.map(|m| m.state.as_str()), now.state.as_str()) {
        (Some(before), state) if before == state => None,
        (None, "alive") => Some((What::Met, format!("{name} takes part"))),
        (Some("suspect"), "alive") => {
            Some((What::Refuted, format!("{name} answered: it is alive")))
        }
        (Some("dead" | "left"), "alive") => Some((What::Back, format!("{name} is back"))),
        (Some(_), "alive") => Some((What::Met, format!("{name} is alive"))),
        (_, "suspect") => Some((What::Suspected, format!("{name} did not answer"))),
        (_, "dead") => Some((What::Dead, format!("{name} did not contradict in time"))),
        (_, "left") => Some((What::Left, format!("{name} said goodbye"))),
        _ => None,
    };
    let was_rebuilding = before.is_some_and(|m| m.rebuilding);
    let rebuilding = match (was_rebuilding, now.rebuilding) {
        (false, true) => Some((What::Rebuilding, format!("{name} fetches what it lacks"))),
        (true, false) => Some((What::Rebuilt, format!("{name} has all that it is to have"))),
        _ => None,
    };
    state.into_iter().chain(rebuilding).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A look: seconds, n2's state, hints for it, partitions that are short, repairs.
    struct Told {
        timeline: Timeline,
    }

    impl Told {
        fn look(&mut self, second: u64, state: &str, hints: u64, short: u64, repairs: u64) {
            let owners =
                if hints > 0 { json!([{ "owner": "n2", "pending": hints }]) } else { json!([]) };
            let answers = Answers {
                status: json!({ "epoch": 1, "partitions": { "under_replicated": short } }),
                members: json!({ "members": [
                    { "id": "a", "name": "n1", "state": "alive" },
                    { "id": "b", "name": "n2", "state": state },
                ] }),
                hints: json!({ "owners": owners }),
                repairs,
            };
            self.timeline.note(&answers, second * 1_000);
        }

        fn words(&self) -> Vec<&'static str> {
            self.timeline.entries().iter().map(|entry| entry.what.word()).collect()
        }
    }

    fn told() -> Told {
        Told { timeline: Timeline::default() }
    }

    #[test]
    fn a_death_and_its_healing_are_told_in_order() {
        let mut told = told();
        told.look(1, "alive", 0, 0, 0);
        told.look(2, "suspect", 0, 0, 0);
        told.look(3, "alive", 0, 0, 0);
        told.look(4, "suspect", 0, 0, 0);
        told.look(5, "dead", 0, 8, 0);
        told.look(6, "dead", 3, 8, 0);
        told.look(7, "dead", 9, 8, 0);
        told.look(8, "alive", 9, 0, 0);
        told.look(9, "alive", 0, 0, 5);
        for second in 10..20 {
            told.look(second, "alive", 0, 0, 7);
        }
        let words = [
            "watching",
            "suspected",
            "refuted",
            "suspected",
            "dead",
            "short of copies",
            "keeping hints",
            "back",
            "repaired",
            "handed off",
            "repaired",
        ];
        assert_eq!(told.words(), words);
        let entries = told.timeline.entries();
        assert!(entries[9].text.contains("up to 9"), "{:?}", entries[9]);
        assert!(entries[10].text.starts_with("7 stale replicas"), "{:?}", entries[10]);
        assert!(entries.iter().all(|entry| entry.since.is_none()));
        let own = entries.iter().filter(|entry| !entry.is_of_the_cluster());
        let own: Vec<_> = own.map(Entry::word).collect();
        assert_eq!(own, ["watching", "keeping hints", "handed off", "repaired"]);
    }

    #[test]
    fn what_happened_while_nobody_looked_says_since_when() {
        let mut told = told();
        told.look(1, "alive", 0, 0, 0);
        told.look(60, "dead", 0, 8, 0);
        let entries = told.timeline.entries();
        assert_eq!(entries[1].json()["since"], 1_000);
        assert_eq!((entries[1].at, entries[1].what), (60_000, What::Dead));
    }

    #[test]
    fn the_oldest_give_way_and_numbers_go_on() {
        let mut told = told();
        for second in 1..=ENTRIES as u64 + 10 {
            told.look(second, if second % 2 == 0 { "suspect" } else { "alive" }, 0, 0, 0);
        }
        let entries = told.timeline.entries();
        assert_eq!((entries.len(), entries[0].number), (ENTRIES, 11));
    }

    #[test]
    fn a_node_that_does_not_answer_is_no_news() {
        let mut told = told();
        told.look(1, "alive", 0, 0, 0);
        let (status, members, hints) = (Value::Null, Value::Null, Value::Null);
        let nothing = Answers { status, members, hints, repairs: 0 };
        told.timeline.note(&nothing, 1_500);
        told.look(2, "alive", 0, 0, 0);
        assert_eq!(told.words(), ["watching"]);
    }
}
