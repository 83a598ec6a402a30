//! Looking at every node's own record, and waiting until all is quiet.

use super::stage::Stage;
use super::words;
use crate::schedules::kit;
use quorate::message::client::{Inspect, Reply, Request};
use quorate::time::Duration;
use serde_json::Value;

/// What one node has of a key.
enum Held {
    Nothing,
    Unreadable,
    Record(Value),
}

impl Stage {
    /// A line for each node: its record, and what it keeps for others.
    pub(super) fn show(&mut self, key: &str) -> Vec<String> {
        let (owners, fallbacks) = self.places(key);
        let everybody: Vec<usize> = owners.iter().chain(&fallbacks).copied().collect();
        everybody.into_iter().map(|number| self.show_one(number, key)).collect()
    }

    fn show_one(&mut self, number: usize, key: &str) -> String {
        let name = self.names.of(number);
        if !self.is_up(number) {
            return format!("{name} is down");
        }
        let held = match self.held(number, key) {
            Held::Nothing => "nothing".into(),
            Held::Unreadable => "what it cannot read".into(),
            Held::Record(record) => words::set(values(&record)),
        };
        let hints = self.inspect(number, Inspect::Hints);
        let owners = hints["owners"].as_array().cloned().unwrap_or_default();
        let owners: Vec<String> = owners
            .iter()
            .filter(|hint| hint["pending"] != 0)
            .filter_map(|hint| hint["owner"].as_str().map(str::to_owned))
            .collect();
        match owners.is_empty() {
            true => format!("{name} has {held}"),
            false => format!("{name} has {held}, a hint for {}", self.names.list(&owners)),
        }
    }

    fn held(&mut self, number: usize, key: &str) -> Held {
        let local = Request::Inspect(Inspect::Local(kit::item(key)));
        match self.cluster.ask(number, local) {
            Some(Reply::Json(json)) => Held::Record(serde_json::from_str(&json).expect("JSON")),
            Some(Reply::Failed(quorate::Error::Internal(_))) => Held::Unreadable,
            _ => Held::Nothing,
        }
    }

    /// Runs until every node that is up is whole, no hint is left and the owners of every key agree; and says on what.
    pub(super) fn settle(&mut self) -> Vec<String> {
        for _ in 0..1200 {
            if let Some(told) = self.at_rest() {
                return told;
            }
            self.cluster.run_for(Duration::from_millis(100));
        }
        vec!["not within two minutes".into()]
    }

    fn at_rest(&mut self) -> Option<Vec<String>> {
        let up: Vec<usize> = (1..=self.cluster.size()).filter(|n| self.is_up(*n)).collect();
        for number in &up {
            let status = self.inspect(*number, Inspect::Status);
            let whole = status["ready"] == true && status["nodes"]["alive"] == up.len();
            if !whole || kit::hints(&mut self.cluster, *number) > 0 {
                return None;
            }
        }
        let mut told = Vec::new();
        for (key, (owners, _)) in self.keys.clone() {
            let owners: Vec<usize> = owners.into_iter().filter(|n| up.contains(n)).collect();
            let mut records = Vec::new();
            for owner in &owners {
                match self.held(*owner, &key) {
                    Held::Unreadable => return None,
                    Held::Nothing => records.push(Value::Null),
                    Held::Record(record) => records.push(record),
                }
            }
            if records.windows(2).any(|two| two[0] != two[1]) {
                return None;
            }
            let held = words::set(records.first().map(values).unwrap_or_default());
            let names: Vec<String> = owners.iter().map(|owner| format!("n{owner}")).collect();
            told.push(format!("{key} = {held} on {}", self.names.list(&names)));
        }
        Some(told)
    }
}

/// The values of a record as a node tells it; tombstones as `†`.
fn values(record: &Value) -> Vec<String> {
    use base64::Engine;
    let siblings = record["siblings"].as_array().cloned().unwrap_or_default();
    let value = |sibling: &Value| {
        sibling["value"].as_str().map_or("†".to_owned(), |value| {
            let bytes = base64::engine::general_purpose::STANDARD.decode(value).expect("base64");
            String::from_utf8(bytes).expect("text")
        })
    };
    siblings.iter().map(value).collect()
}
