//! Scale, made visible: a thousand members of production code in one thread.
//!
//! ```text
//!   network.rs    Detector × N over one agenda: delays, loss, wire bytes, opinions
//!   story.rs      deaths and joins; a calm with and without loss
//!   ring.rs       a layout grown join by join: balance, and what a join moves
//!   study.rs      all of that for many sizes, over all cores
//! ```
//!
//! Membership and placement are what every member takes part in; the data path of a request involves N of them,
//! whatever the size. `quorate sim --scale` prints the figures.

mod detector;
mod network;
mod ring;
mod story;
mod study;

#[cfg(test)]
mod tests;

pub use detector::{Detector, Opinion, Ours, Said};
pub use network::{Mistakes, Network, Traffic};
pub use ring::{Balance, grow};
pub use story::{Calm, Changes, calm, changes};
pub use study::{Figures, Plan, Spread, Study};
