//! A field of a map: a counter, a small set, a register or a flag.
//!
//! ```text
//!   one writes counter +1, another at the same time register "x"     both are kept
//!   shown: the first that there is of counter, set, register, flag   the same to everybody
//! ```
//!
//! An operation on a field that shows another type is refused; so two types meet only when they are written at once.
//! Removing the field removes both.

use super::bytes::{Malformed, byte};
use super::counter::{Actor, Counter, Increment};
use super::refusal::Refused;
use super::register::Register;
use super::small_set::SmallSet;
use bytes::Bytes;

const COUNTER: u8 = 1;
const SET: u8 = 2;
const REGISTER: u8 = 4;
const FLAG: u8 = 8;

/// See the module. A flag is a set that holds the empty member when it is up: enabling survives a disabling that has
/// not seen it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Field {
    counter: Option<Counter>,
    set: Option<SmallSet>,
    register: Option<Register>,
    flag: Option<SmallSet>,
}

/// What a field shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldValue {
    /// The number of a counter.
    Counter(i64),
    /// The members of a set, in order.
    Set(Vec<Bytes>),
    /// The value of a register.
    Register(Bytes),
    /// Whether a flag is up.
    Flag(bool),
}

impl FieldValue {
    /// What people call its type.
    pub fn type_name(&self) -> &'static str {
        match self {
            FieldValue::Counter(_) => "counter",
            FieldValue::Set(_) => "set",
            FieldValue::Register(_) => "register",
            FieldValue::Flag(_) => "flag",
        }
    }
}

/// What is done to a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldUpdate {
    /// Counts.
    Increment(i64),
    /// Removes members of its set, then adds some.
    Set {
        /// What is added.
        add: Vec<Bytes>,
        /// What is removed of what was read.
        remove: Vec<Bytes>,
    },
    /// Assigns its register.
    Assign(Bytes),
    /// Puts its flag up or down.
    Flag(bool),
}

/// Who does it, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct By {
    pub(super) actor: Actor,
    pub(super) operation: Option<Actor>,
    pub(super) now: u64,
}

impl Field {
    /// What is shown.
    ///
    /// # Errors
    /// [`Refused::OutOfRange`]: it is a counter that does not fit.
    pub fn value(&self) -> Result<Option<FieldValue>, Refused> {
        if let Some(counter) = &self.counter {
            return Ok(Some(FieldValue::Counter(counter.value()?)));
        }
        let set = self.set.as_ref().map(|set| FieldValue::Set(set.members().cloned().collect()));
        let register = || self.register.as_ref().map(|r| FieldValue::Register(r.value().clone()));
        let flag = || self.flag.as_ref().map(|flag| FieldValue::Flag(!flag.is_empty()));
        Ok(set.or_else(register).or_else(flag))
    }

    fn shown(&self) -> Option<&'static str> {
        [
            (self.counter.is_some(), "counter"),
            (self.set.is_some(), "set"),
            (self.register.is_some(), "register"),
            (self.flag.is_some(), "flag"),
        ]
        .into_iter()
        .find_map(|(there, name)| there.then_some(name))
    }

    /// How far an actor has come here, in each part that has actors.
    pub(super) fn version(&self, actor: &Actor) -> Option<u64> {
        let counter = self.counter.as_ref().and_then(|counter| counter.version(actor));
        let sets = [&self.set, &self.flag].into_iter().flatten();
        let parts = counter.into_iter().chain(sets.filter_map(|set| set.version(actor)));
        parts.reduce(u64::saturating_add)
    }

    /// Does it. Answers with how far the actor has come.
    ///
    /// # Errors
    /// [`Refused`]: the field is as it was.
    pub(super) fn update(&mut self, update: FieldUpdate, by: By) -> Result<u64, Refused> {
        let mut next = self.clone();
        next.apply(update, by)?;
        *self = next;
        Ok(self.version(&by.actor).unwrap_or(0))
    }

    fn apply(&mut self, update: FieldUpdate, by: By) -> Result<(), Refused> {
        let of = match update {
            FieldUpdate::Increment(_) => "counter",
            FieldUpdate::Set { .. } => "set",
            FieldUpdate::Assign(_) => "register",
            FieldUpdate::Flag(_) => "flag",
        };
        match self.shown() {
            Some(shown) if shown != of => return Err(Refused::Field(shown)),
            _ => {}
        }
        match update {
            FieldUpdate::Increment(amount) => {
                let increment = Increment { by: amount, operation: by.operation, now: by.now };
                self.counter.get_or_insert_default().add(by.actor, increment)?;
            }
            FieldUpdate::Set { add, remove } => {
                let set = self.set.get_or_insert_default();
                remove.iter().for_each(|member| set.remove(member));
                for member in add {
                    set.add(by.actor, member)?;
                }
            }
            FieldUpdate::Assign(value) => {
                self.register = Some(Register::assign(self.register.as_ref(), value, by.now)?);
            }
            FieldUpdate::Flag(up) => {
                let flag = self.flag.get_or_insert_default();
                match up {
                    true => drop(flag.add(by.actor, Bytes::new())?),
                    false => flag.remove(&Bytes::new()),
                }
            }
        }
        Ok(())
    }

    /// Takes in another version of it, part by part: a rule between the parts would depend on the order.
    pub fn join(&mut self, other: Field) {
        fn part<T>(ours: &mut Option<T>, theirs: Option<T>, join: impl FnOnce(&mut T, T)) {
            match (ours.as_mut(), theirs) {
                (Some(ours), Some(theirs)) => join(ours, theirs),
                (None, theirs) => *ours = theirs,
                (Some(_), None) => {}
            }
        }
        part(&mut self.counter, other.counter, Counter::join);
        part(&mut self.set, other.set, SmallSet::join);
        part(&mut self.register, other.register, Register::join);
        part(&mut self.flag, other.flag, SmallSet::join);
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let flag = |there: bool, flag: u8| if there { flag } else { 0 };
        out.push(
            flag(self.counter.is_some(), COUNTER)
                | flag(self.set.is_some(), SET)
                | flag(self.register.is_some(), REGISTER)
                | flag(self.flag.is_some(), FLAG),
        );
        self.counter.iter().for_each(|counter| counter.encode(out));
        self.set.iter().for_each(|set| set.encode(out));
        self.register.iter().for_each(|register| register.encode(out));
        self.flag.iter().for_each(|flag| flag.encode(out));
    }

    pub(super) fn decode(from: &mut Bytes) -> Result<Field, Malformed> {
        let parts = byte(from)?;
        if parts == 0 || parts & !(COUNTER | SET | REGISTER | FLAG) != 0 {
            return Err(Malformed);
        }
        let mut field = Field::default();
        if parts & COUNTER != 0 {
            field.counter = Some(Counter::decode(from)?);
        }
        if parts & SET != 0 {
            field.set = Some(SmallSet::decode(from)?);
        }
        if parts & REGISTER != 0 {
            field.register = Some(Register::decode(from)?);
        }
        if parts & FLAG != 0 {
            field.flag = Some(SmallSet::decode(from)?);
        }
        Ok(field)
    }
}
