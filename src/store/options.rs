//! The settings of a store, and what it counts.

use std::sync::Arc;
use std::time::Duration;

/// When a batch is called durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// After an fdatasync that covers it. It survives a power cut.
    Sync,
    /// After the write; an fdatasync follows within this time. It survives the death of the process,
    /// and a power cut only when that sync was done: up to one interval of acknowledged writes may be
    /// lost then. Space is still reclaimed only behind a sync.
    Interval(Duration),
}

/// How a store is opened.
#[derive(Clone)]
pub struct Options {
    /// When a batch is called durable.
    pub durability: Durability,
    /// The size at which a new segment of the log is begun, in bytes; at most 1 GiB. A segment may be
    /// longer by one group of batches.
    pub segment_bytes: u64,
    /// How many bytes of batches may wait for the writer. Above it `commit` answers
    /// [`Busy`](super::StoreError::Busy); above half of it the store calls itself
    /// [`congested`](super::Store::congested).
    pub queue_bytes: u64,
    /// How many bytes of durable batches may wait for the index before the writer waits too.
    pub overlay_bytes: u64,
    /// How long a durable batch may wait for others before it goes to the index: what is written over meanwhile is not
    /// written there twice. It is shown all the while, and a start after a crash replays it.
    pub linger: Duration,
    /// About how many bytes of the log go to the index at a time; when as much waits, or half of `overlay_bytes`, it
    /// lingers no more.
    pub window_bytes: u64,
    /// How many bytes of the disk stay free: below, `commit` answers [`Full`](super::StoreError::Full).
    pub reserve_bytes: u64,
    /// How long what was seen of the free space is believed, while little is written.
    pub space_check_every: Duration,
    /// sled's cache, in bytes; it uses up to 2.5 times that.
    pub index_cache_bytes: u64,
    /// How often the index is flushed, which bounds what a restart replays.
    pub checkpoint_every: Duration,
    /// Called, from the store's threads, whenever `durable` or `failed` may answer something new. It
    /// must return at once.
    pub waker: Arc<dyn Fn() + Send + Sync>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            durability: Durability::Sync,
            segment_bytes: 64 << 20,
            queue_bytes: 64 << 20,
            overlay_bytes: 64 << 20,
            linger: Duration::from_secs(2),
            window_bytes: 32 << 20,
            reserve_bytes: 64 << 20,
            space_check_every: Duration::from_secs(1),
            index_cache_bytes: 64 << 20,
            checkpoint_every: Duration::from_secs(2),
            waker: Arc::new(|| ()),
        }
    }
}

/// What a store has done since it was opened, and what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Batches that became durable.
    pub batches: u64,
    /// Write calls to the log.
    pub writes: u64,
    /// fdatasync calls.
    pub syncs: u64,
    /// Bytes of all segments.
    pub log_bytes: u64,
    /// Bytes of the records that the index points to. After each crash an estimate, within some thirty
    /// records.
    pub live_bytes: u64,
    /// How many segments the log has.
    pub segments: u64,
    /// Bytes of the index on the disk, as of its last checkpoint.
    pub index_bytes: u64,
    /// Bytes that are free on the disk, as of the last look.
    pub free_bytes: u64,
    /// Bytes of durable batches that the index does not have yet.
    pub backlog_bytes: u64,
    /// Records copied so that their segment could go.
    pub copies: u64,
    /// Segments deleted.
    pub reclaimed_segments: u64,
    /// How often the index was rebuilt from the whole log: 0 or 1.
    pub rebuilds: u64,
    /// Whether the store takes no batches for want of space.
    pub full: bool,
}
