//! Log lines: what a program wrote, taken apart into events that can be stored and asked for.
//!
//! ```text
//!   app.log.gz ─ unpack ─▶ bytes ─ events ─▶ line, line, line …
//!                                              │ parse: when? how bad? does it begin something?
//!                                              ▼
//!   "2031-04-05 06:07:08,009 ERROR [main] Job: lost\n\tat Job.run(Job.java:7)"  ← one event, two lines
//! ```
//!
//! Lines are kept as they were written; what is read out of them ([`Level`], the time) stands beside them.
//! Nobody here asks a clock: the time of arrival is an argument.

mod events;
mod level;
mod parse;
mod unpack;
mod zone;

pub use events::{Dated, EVENT_LIMIT, Event, Events, LINE_LIMIT, Outcome, Rejected};
pub use level::Level;
pub use parse::{Format, Nanos, Parsed, Parser};
pub use unpack::open;
pub use zone::Zone;
