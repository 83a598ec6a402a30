//! The kinds of faults.

/// One kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The process dies; what it had not synced is gone.
    Kill,
    /// The machine dies: some unsynced batches happen to be on the disk, the next is torn.
    Torn,
    /// All machines die at once.
    PowerCut,
    /// An orderly stop.
    Stop,
    /// The process stands still, and its sockets fill.
    Pause,
    /// Some cannot reach the others, either way.
    Partition,
    /// One cannot reach another; the way back works.
    OneWay,
    /// One hears everybody, and nobody hears it.
    Mute,
    /// Everything to and from one node takes long.
    Slow,
    /// Streams of one link hang; gossip goes on.
    Hang,
    /// Datagrams get lost, come twice and overtake each other.
    Weather,
    /// A disk reports an error at a sync: what it had is not there.
    DiskError,
    /// A disk has no room.
    DiskFull,
    /// A disk takes long to sync.
    DiskSlow,
    /// A clock steps forward or back.
    ClockStep,
    /// A node comes back at another address.
    Move,
    /// A disk is lost.
    Wipe,
    /// An old copy of a disk is put back.
    RestoreOld,
    /// A node stops in order, somebody copies its disk, it goes on, and the copy is put back.
    Relapse,
    /// Disks stand still while everybody wants one key, then the machines die, one or all of them.
    Stumble,
    /// The owners of one key are cut off, one after another.
    Carousel,
    /// One owner of a key has writes that the others never sync; these die, and it is cut off.
    Strand,
    /// One owner of a key misses writes; then another one loses its disk, and the third is out of reach.
    Bereave,
    /// Values rot on one disk, the one that a key is about among them.
    Rot,
}

impl Fault {
    /// All of them.
    pub const EVERY: [Fault; 24] = [
        Fault::Kill,
        Fault::Torn,
        Fault::PowerCut,
        Fault::Stop,
        Fault::Pause,
        Fault::Partition,
        Fault::OneWay,
        Fault::Mute,
        Fault::Slow,
        Fault::Hang,
        Fault::Weather,
        Fault::DiskError,
        Fault::DiskFull,
        Fault::DiskSlow,
        Fault::ClockStep,
        Fault::Move,
        Fault::Wipe,
        Fault::RestoreOld,
        Fault::Relapse,
        Fault::Stumble,
        Fault::Carousel,
        Fault::Strand,
        Fault::Bereave,
        Fault::Rot,
    ];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Fault::Kill => "kill",
            Fault::Torn => "torn",
            Fault::PowerCut => "power-cut",
            Fault::Stop => "stop",
            Fault::Pause => "pause",
            Fault::Partition => "partition",
            Fault::OneWay => "one-way",
            Fault::Mute => "mute",
            Fault::Slow => "slow",
            Fault::Hang => "hang",
            Fault::Weather => "weather",
            Fault::DiskError => "disk-error",
            Fault::DiskFull => "disk-full",
            Fault::DiskSlow => "disk-slow",
            Fault::ClockStep => "clock-step",
            Fault::Move => "move",
            Fault::Wipe => "wipe",
            Fault::RestoreOld => "restore-old",
            Fault::Relapse => "relapse",
            Fault::Stumble => "stumble",
            Fault::Carousel => "carousel",
            Fault::Strand => "strand",
            Fault::Bereave => "bereave",
            Fault::Rot => "rot",
        }
    }
}
