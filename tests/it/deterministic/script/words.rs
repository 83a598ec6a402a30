//! What nodes say, in words: answers, records, messages. Names of nodes become the letters of the script.

use bytes::Bytes;
use quorate::Error;
use quorate::id::NodeId;
use quorate::message::client::{Info, Reply, Request};
use quorate::message::peer::{self, Data};
use quorate::message::{Frame, Kind, decode};
use quorate::store::key::parse_item;
use quorate::version::Record;
use std::collections::BTreeMap;

/// How the nodes are called.
#[derive(Default)]
pub struct Names {
    /// By number, where a node has a letter.
    pub letters: BTreeMap<usize, String>,
    /// By id, for whoever was ever seen up.
    pub ids: BTreeMap<NodeId, usize>,
}

impl Names {
    /// A node's letter, or its name.
    pub fn of(&self, number: usize) -> String {
        self.letters.get(&number).cloned().unwrap_or_else(|| format!("n{number}"))
    }

    /// The number of a node by its letter or name.
    pub fn number(&self, name: &str) -> Option<usize> {
        let lettered = self.letters.iter().find(|(_, letter)| *letter == name);
        let numbered = || name.strip_prefix('n').and_then(|digits| digits.parse().ok());
        lettered.map(|(number, _)| *number).or_else(numbered)
    }

    /// Names as nodes write them, in the script's words and in order.
    pub fn list(&self, names: &[String]) -> String {
        let mut all: Vec<String> = names.iter().map(|name| self.one(name)).collect();
        all.sort();
        all.join(" ")
    }

    fn one(&self, name: &str) -> String {
        self.number(name).map_or_else(|| name.into(), |number| self.of(number))
    }

    fn by_id(&self, id: NodeId) -> String {
        self.ids.get(&id).map_or_else(|| "a stranger".into(), |number| self.of(*number))
    }
}

/// `{v1, v2}`; `nothing` where there is nothing.
pub fn set(mut values: Vec<String>) -> String {
    values.sort();
    match values.is_empty() {
        true => "nothing".into(),
        false => format!("{{{}}}", values.join(", ")),
    }
}

fn text(bytes: &Bytes) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// An answer to a client that had asked `through` about `key`.
pub fn reply(reply: &Reply, through: usize, key: &str, names: &Names) -> String {
    match reply {
        Reply::Got { values, info, .. } => {
            let values = set(values.iter().map(|version| text(&version.value)).collect());
            format!(
                "{key} = {values}, from {}{}",
                names.list(&info.replied),
                how(info, through, names)
            )
        }
        Reply::Written { info, .. } if info.replied.is_empty() => {
            format!("acknowledged{}", how(info, through, names))
        }
        Reply::Written { info, .. } => {
            format!("acknowledged by {}{}", names.list(&info.replied), how(info, through, names))
        }
        // What may be done about it is the same every time.
        Reply::Failed(error) => told(error),
        other => format!("{other:?}"),
    }
}

fn how(info: &Info, through: usize, names: &Names) -> String {
    let mut out = String::new();
    if !info.hinted.is_empty() {
        out += &format!(", hinted for {}", names.list(&info.hinted));
    }
    if info.repaired > 0 {
        out += &format!(", {} repaired", info.repaired);
    }
    if info.rebuilding {
        out += ", still rebuilding";
    }
    if info.coordinator != format!("n{through}") {
        out += &format!(", through {}", names.one(&info.coordinator));
    }
    out
}

fn told(error: &Error) -> String {
    let whole = error.to_string();
    whole.split(';').next().unwrap_or_default().to_owned()
}

/// A message between nodes; `None` for what is not about data.
pub fn message(frame: &Frame, names: &Names) -> Option<String> {
    if frame.header.kind != Kind::Data {
        return None;
    }
    let data: Data = decode(&frame.body).expect("nodes send what they can read");
    Some(match data {
        Data::Replicate { key, record, hint_for } => {
            let owner = hint_for.map(|id| format!(", for {}", names.by_id(id)));
            format!("Replicate {} = {}{}", item(&key), values(record), owner.unwrap_or_default())
        }
        Data::Read { key, whole: true } => format!("Read {}", item(&key)),
        Data::Read { key, whole: false } => format!("Read the digest of {}", item(&key)),
        Data::Holding { digest, record, rebuilding, stands_in_for } => {
            let held = match (record, digest) {
                (Some(record), _) => values(record),
                (None, Some(_)) => "a digest".into(),
                (None, None) => "nothing".into(),
            };
            let owners: Vec<String> = stands_in_for.iter().map(|id| names.by_id(*id)).collect();
            let owners = match owners.is_empty() {
                true => String::new(),
                false => format!(", for {}", owners.join(" ")),
            };
            format!("Holding {held}{owners}{}", if rebuilding { ", rebuilding" } else { "" })
        }
        Data::Forward(request) => format!("Forward {}", asked(&request)),
        Data::Forwarded(Reply::Failed(error)) => format!("Forwarded {}", told(&error)),
        Data::Digests { .. } => "Digests?".into(),
        Data::DigestPage { items, .. } => format!("Digests: {}", items.len()),
        Data::Range { items, .. } => format!("Range: {}", items.len()),
        Data::RootsCompared { differ, .. } if !differ.is_empty() => {
            format!("Roots: {} differ", differ.len())
        }
        Data::Branches { .. } => "Branches?".into(),
        Data::LeafSums { branches, .. } => format!("Leaves of {} branches", branches.len()),
        // What people look at.
        Data::AskVitals | Data::Vitals(_) => return None,
        // Signs of life.
        Data::CountHints | Data::HintCount(_) => return None,
        Data::Roots { .. } | Data::RootsCompared { .. } => return None,
        // Rounds come and go by themselves.
        Data::Rounds(_) | Data::RoundsTold(_) => return None,
        Data::Collected { .. } => "Collected?".into(),
        Data::CollectedPage { items, .. } => format!("Collected: {}", items.len()),
        Data::Refused(why) => format!("Refused: {why:?}"),
        Data::Replicated => "Replicated".into(),
        Data::ScanRange { .. } => "ScanRange".into(),
        Data::KeyRange { .. } => "KeyRange".into(),
        Data::KeysHeld { items, .. } => format!("KeysHeld: {}", items.len()),
        Data::Forwarded(_) => "Forwarded".into(),
    })
}

fn asked(request: &Request) -> String {
    match request {
        Request::Put { item, value: Some(value), .. } => {
            format!("put {} {}", text(&item.key), text(value))
        }
        Request::Put { item, value: None, .. } => format!("delete {}", text(&item.key)),
        Request::Get { item, .. } => format!("get {}", text(&item.key)),
        other => format!("{other:?}"),
    }
}

fn item(key: &Bytes) -> String {
    parse_item(key)
        .map_or_else(|| "?".into(), |item| String::from_utf8_lossy(&item.key).into_owned())
}

fn values(record: peer::Record) -> String {
    let record = Record::decode(&record.head, record.body).expect("nodes send what they can read");
    let value = |sibling: &quorate::version::Sibling| sibling.value().map_or("†".into(), text);
    set(record.siblings.iter().map(value).collect())
}
