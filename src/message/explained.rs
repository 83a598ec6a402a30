//! How a read came about, replica by replica: what was asked of whom, what each held, and why the answer is what it is.

use serde::{Deserialize, Serialize};

/// The whole story of one read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explained {
    /// R: how many slots had to speak.
    pub required: u32,
    /// How long it took at its coordinator, in microseconds.
    pub took_us: u64,
    /// Everybody who was asked, in that order.
    pub replicas: Vec<ReplicaAsked>,
    /// Why there is one value, or several, or none; in words.
    pub verdict: String,
    /// The owners that held less, by name: they are being mended.
    pub repaired: Vec<String>,
    /// What its coordinator keeps for owners of this key that were away: all their hints, not only of this key.
    pub hints: Vec<HintsKept>,
}

/// One replica's part in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaAsked {
    /// Its name.
    pub node: String,
    /// Whether it owns the key; else it is a fallback.
    pub owner: bool,
    /// For the whole record, or only for its digest.
    pub whole: bool,
    /// It was asked because others were late.
    pub hedge: bool,
    /// What it said.
    pub said: Said,
    /// After how many microseconds; `None`: it has not answered.
    pub took_us: Option<u64>,
    /// The dots that it holds; `None` where it told a digest only, and that of something else.
    pub dots: Option<Vec<String>>,
    /// Its slot is not complete, so that this does not count towards R.
    pub rebuilding: bool,
    /// The owners for which it keeps this very item, by name.
    pub stands_in_for: Vec<String>,
}

/// What a replica said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Said {
    /// Nothing yet.
    #[default]
    Waiting,
    /// Nothing within an attempt.
    Silent,
    /// No.
    Refused,
    /// It has no record.
    Nothing,
    /// It has the record that the answer was made of.
    Same,
    /// It has another one: older, or beside it.
    Other,
}

impl Said {
    /// In a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Said::Waiting => "waiting",
            Said::Silent => "silent",
            Said::Refused => "refused",
            Said::Nothing => "nothing",
            Said::Same => "same",
            Said::Other => "other",
        }
    }
}

/// Hints for one owner.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HintsKept {
    /// Its name.
    pub owner: String,
    /// How many.
    pub pending: u64,
}
