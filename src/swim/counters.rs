//! What happened, in numbers that only grow.

/// Counts since the machine began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Datagrams and push-pull states that arrived and made sense.
    pub received: u64,
    /// Those that did not parse, were of another version, too long or unsound. Dropped unanswered.
    pub junk: u64,
    /// Pings for somebody else who had our address before. Dropped unanswered.
    pub misdirected: u64,
    /// Claims whose incarnation was too far off to be honest.
    pub implausible: u64,
    /// Members not learned of because the table is full, pings in another's place not done because too
    /// many were under way.
    pub overloaded: u64,
    /// Protocol periods in which somebody was pinged.
    pub probes: u64,
    /// Those in which neither the member nor anybody in our place got an answer.
    pub probes_failed: u64,
    /// Failed probes without an accusation: nobody answered us, yet others were heard.
    pub mute: u64,
    /// Timers that came so late that the machine must have stood still.
    pub late: u64,
    /// Accusations that we made ourselves.
    pub accusations: u64,
    /// Suspicions that ran out on our clock.
    pub deaths: u64,
    /// Contradictions of claims about ourselves.
    pub refutations: u64,
    /// Claims about ourselves, alive, with another identity: an earlier life, or a second process.
    pub contested: u64,
    /// Datagrams handed out.
    pub datagrams: u64,
    /// Rumors handed out, piggybacked or pushed.
    pub rumors: u64,
    /// Push-pull exchanges begun.
    pub push_pulls: u64,
}
