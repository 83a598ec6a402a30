//! One key as it was read, and what commands have made of it since.
//!
//! ```text
//!   root, and as many elements as were asked for ─► command, command, … ─► what changed is written, once
//! ```
//!
//! A command that needs more than has been read says so ([`Stop::Need`]) before it has changed anything, and is run again
//! when that has been read.

use super::actors::Own;
use super::value::{Element, Expiry, Gone, Group, Kind, MEMBER_LIMIT, Root, Shown, Text};
use bytes::Bytes;
use std::borrow::Cow;
use std::collections::BTreeMap;

pub(super) const WRONG_TYPE: &str =
    "WRONGTYPE Operation against a key holding the wrong kind of value";
const TOO_MANY_ACTORS: &str =
    "ERR too many processes have counted here; SET the number to what it is and go on";

/// What a command must see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// These elements.
    Members(Vec<Bytes>),
    /// Whether there is any.
    Any,
    /// All of them.
    All,
}

/// Why a command has not been run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Nothing has changed: read this, and run it again.
    Need(Need),
    /// This is its answer, and nothing has changed.
    Say(Cow<'static, str>),
}

impl From<&'static str> for Stop {
    fn from(text: &'static str) -> Stop {
        Stop::Say(text.into())
    }
}

impl From<String> for Stop {
    fn from(text: String) -> Stop {
        Stop::Say(text.into())
    }
}

/// What a key that exists is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Text,
    Group(Kind),
}

/// An element, there or not.
#[derive(Clone, Debug, Default)]
pub(super) struct Slot {
    pub(super) value: Option<Text>,
    pub(super) context: String,
    pub(super) changed: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct View {
    pub(super) now: u64,
    pub(super) value_limit: usize,
    pub(super) random: fastrand::Rng,
    pub(super) root: Root,
    /// The root is another one.
    pub(super) changed: bool,
    /// Some element is.
    pub(super) touched: bool,
    /// The root is to be written although no command has changed anything: what was left over is going.
    pub(super) swept: bool,
    /// Of the group that is shown.
    pub(super) elements: BTreeMap<Bytes, Slot>,
    /// What is not among the elements is not there.
    pub(super) complete: bool,
    /// Elements of groups that are no more: sort keys and contexts.
    pub(super) leftovers: Vec<(Bytes, String)>,
    /// What this process has counted in the text, or in a field.
    pub(super) own: BTreeMap<Option<Bytes>, Own>,
}

impl View {
    /// A key as it was read.
    pub(super) fn new(root: Root, now: u64, value_limit: usize, random: fastrand::Rng) -> View {
        View {
            now,
            value_limit,
            random,
            root,
            changed: false,
            touched: false,
            swept: false,
            elements: BTreeMap::new(),
            complete: false,
            leftovers: Vec::new(),
            own: BTreeMap::new(),
        }
    }

    /// A stamp later than all that were seen.
    pub(super) fn stamp(&self) -> u64 {
        self.now.max(self.root.latest() + 1)
    }

    /// The group that is shown.
    pub(super) fn element(&self) -> Option<Element> {
        match self.root.shown(self.now) {
            Shown::Group(kind, generation) => Some(Element { kind, generation }),
            Shown::Nothing | Shown::Text => None,
        }
    }

    /// What the key is; `None`: it does not exist.
    pub(super) fn shape(&self) -> Result<Option<Shape>, Stop> {
        match self.root.shown(self.now) {
            Shown::Nothing => Ok(None),
            Shown::Text => Ok(Some(Shape::Text)),
            Shown::Group(kind, _) if self.elements.values().any(|slot| slot.value.is_some()) => {
                Ok(Some(Shape::Group(kind)))
            }
            Shown::Group(..) if self.complete => Ok(None),
            Shown::Group(..) => Err(Stop::Need(Need::Any)),
        }
    }

    /// The string, if there is one.
    pub(super) fn text(&self) -> Result<Option<&Text>, Stop> {
        match self.shape()? {
            None => Ok(None),
            Some(Shape::Text) => Ok(self.root.text.as_ref()),
            Some(Shape::Group(_)) => Err(WRONG_TYPE.into()),
        }
    }

    /// What the string says.
    pub(super) fn string(&self) -> Result<Option<Bytes>, Stop> {
        Ok(self.text()?.map(Text::shown))
    }

    /// The key is this string from now on, whatever it was.
    pub(super) fn set(&mut self, base: Bytes, expires_at: Option<u64>) -> Result<(), Stop> {
        self.room(base.len())?;
        let stamp = self.stamp();
        // What its elements are must be known, for they are erased.
        self.remove()?;
        let generation = self.random.u64(1..);
        let expiry = Expiry { stamp, at: expires_at };
        self.root.text = Some(Text { stamp, generation, base, expiry, ..Text::default() });
        self.changed = true;
        Ok(())
    }

    pub(super) fn room(&self, length: usize) -> Result<(), Stop> {
        if length > self.value_limit {
            return Err(format!(
                "TOOLARGE the value would have {length} bytes, the limit is {}; nothing has changed",
                self.value_limit
            )
            .into());
        }
        Ok(())
    }

    /// Adds to the number that the key holds, or to none.
    pub(super) fn count(&mut self, amount: i64) -> Result<i64, Stop> {
        self.text()?;
        let mut text = match (&self.root.text, self.root.shown(self.now)) {
            (Some(text), Shown::Text) => text.clone(),
            // What has expired is not counted on, and two who begin anew begin with the same.
            (Some(text), _) => text.successor(),
            (None, _) => Text::counter(),
        };
        if self.root.shown(self.now) != Shown::Text {
            self.remove()?;
        }
        let before = self.own.get(&None).copied();
        let (own, sum) = added(before, &mut text, amount, &mut self.random)?;
        self.own.insert(None, own);
        self.root.text = Some(text);
        self.changed = true;
        Ok(sum)
    }

    /// The key does not exist any more. Whether it did.
    pub(super) fn remove(&mut self) -> Result<bool, Stop> {
        let was = self.shape()?.is_some();
        if let Some(element) = self.element() {
            if !self.complete {
                return Err(Stop::Need(Need::All));
            }
            for (member, slot) in std::mem::take(&mut self.elements) {
                // What was looked for and never there needs no erasing.
                if !slot.context.is_empty() && (slot.value.is_some() || slot.changed) {
                    self.leftovers.push((element.sort(&member), slot.context));
                }
            }
        }
        let (stamp, generation) = (self.stamp(), self.root.generation());
        let before = self.root.gone.filter(|gone| gone.generation == generation);
        let gone = before.unwrap_or(Gone { generation, stamp, swept: false });
        let root = Root { gone: (generation > 0).then_some(gone), ..Root::default() };
        self.changed |= self.root != root;
        self.root = root;
        (self.complete, self.own) = (false, BTreeMap::new());
        Ok(was)
    }

    /// Whether the key is such a group, perhaps without elements.
    ///
    /// An error: it is something else.
    pub(super) fn is_group(&self, kind: Kind) -> Result<bool, Stop> {
        match self.root.shown(self.now) {
            Shown::Group(there, _) if there == kind => Ok(true),
            _ if self.shape()?.is_none() => Ok(false),
            _ => Err(WRONG_TYPE.into()),
        }
    }

    /// An element of such a group.
    pub(super) fn member(&self, kind: Kind, member: &Bytes) -> Result<Option<&Text>, Stop> {
        // What cannot be stored is not there.
        if !self.is_group(kind)? || member.len() > MEMBER_LIMIT {
            return Ok(None);
        }
        match self.elements.get(member) {
            Some(slot) => Ok(slot.value.as_ref()),
            None if self.complete => Ok(None),
            None => Err(Stop::Need(Need::Members(vec![member.clone()]))),
        }
    }

    /// All elements of such a group.
    pub(super) fn members(&self, kind: Kind) -> Result<Vec<(&Bytes, &Text)>, Stop> {
        if !self.is_group(kind)? {
            return Ok(Vec::new());
        }
        if !self.complete {
            return Err(Stop::Need(Need::All));
        }
        Ok(self.elements.iter().filter_map(|(m, slot)| Some((m, slot.value.as_ref()?))).collect())
    }

    /// The key is such a group from now on, if it can be.
    pub(super) fn open(&mut self, kind: Kind) -> Result<(), Stop> {
        let shown = self.root.shown(self.now);
        let same = matches!(shown, Shown::Group(there, _) if there == kind);
        // Only one that expires must be known to have elements: a new one would not expire.
        if same && self.root.group(kind).is_some_and(|group| group.expiry.at.is_none()) {
            return Ok(());
        }
        match self.shape()? {
            Some(Shape::Group(there)) if there == kind => return Ok(()),
            Some(_) => return Err(WRONG_TYPE.into()),
            None => {}
        }
        let stamp = self.stamp();
        if same && let Some(group) = self.root.group(kind) {
            group.expiry = Expiry { stamp, at: None };
        } else {
            self.remove()?;
            let generation = self.root.generation() + 1;
            let expiry = Expiry { stamp, at: None };
            self.root.text = None;
            *self.root.group(kind) = Some(Group { generation, stamp, expiry });
            (self.elements, self.complete) = (BTreeMap::new(), true);
        }
        self.changed = true;
        Ok(())
    }

    /// Writes an element of the group that is open. It is known whether it was there.
    pub(super) fn put(&mut self, member: Bytes, value: Option<Text>) {
        let slot = self.elements.entry(member).or_default();
        (slot.value, slot.changed) = (value, true);
        self.touched = true;
    }

    /// A new value for a field.
    pub(super) fn field(&mut self, base: Bytes, before: Option<&Text>) -> Text {
        let stamp = self.now.max(before.map_or(0, |text| text.latest() + 1));
        let generation = self.random.u64(1..);
        Text { stamp, generation, base, ..Text::default() }
    }

    /// Adds to the number in a field of the hash, or to none.
    pub(super) fn count_in(&mut self, field: &Bytes, amount: i64) -> Result<i64, Stop> {
        let mut text = self.member(Kind::Hash, field)?.cloned().unwrap_or_else(Text::counter);
        if text.as_integer().is_none() {
            return Err("ERR hash value is not an integer".into());
        }
        let name = Some(field.clone());
        let before = self.own.get(&name).copied();
        let mut random = self.random.clone();
        let (own, sum) = added(before, &mut text, amount, &mut random)?;
        self.open(Kind::Hash)?;
        self.random = random;
        self.own.insert(name, own);
        self.put(field.clone(), Some(text));
        Ok(sum)
    }

    /// When the key expires, if it exists: `Some(None)` is never.
    pub(super) fn expires_at(&mut self) -> Result<Option<Option<u64>>, Stop> {
        Ok(match self.shape()? {
            None => None,
            Some(Shape::Text) => Some(self.root.text.as_ref().and_then(|text| text.expiry.at)),
            Some(Shape::Group(kind)) => {
                Some(self.root.group(kind).and_then(|group| group.expiry.at))
            }
        })
    }

    /// Lets a key that exists expire then.
    pub(super) fn expire(&mut self, at: Option<u64>) -> Result<(), Stop> {
        let Some(shape) = self.shape()? else { return Ok(()) };
        if at.is_some_and(|at| at <= self.now) {
            return self.remove().map(drop);
        }
        let expiry = Expiry { stamp: self.stamp(), at };
        match shape {
            Shape::Text => {
                if let Some(text) = &mut self.root.text {
                    text.expiry = expiry;
                }
            }
            Shape::Group(kind) => {
                if let Some(group) = self.root.group(kind) {
                    group.expiry = expiry;
                }
            }
        }
        self.changed = true;
        Ok(())
    }
}

/// Adds to a number; after an error nothing changed.
fn added(
    before: Option<Own>,
    text: &mut Text,
    amount: i64,
    random: &mut fastrand::Rng,
) -> Result<(Own, i64), Stop> {
    if let Some(own) = before {
        own.refresh(text);
    }
    let there = text.as_integer().ok_or("ERR value is not an integer or out of range")?;
    if there.checked_add(amount).is_none() {
        return Err("ERR increment or decrement would overflow".into());
    }
    let own = Own::count(before, text, amount, || random.u64(..)).ok_or(TOO_MANY_ACTORS)?;
    let sum = text.as_integer().ok_or("ERR increment or decrement would overflow")?;
    Ok((own, sum))
}
