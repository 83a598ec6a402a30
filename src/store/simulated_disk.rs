//! A disk whose plug can be pulled, and an index that forgets: the stand-ins of the power-cut test.
//!
//! ```text
//!   file        platter: "aaaa"     unsynced: +"bbbb"  +"cc"  cut(3)
//!   power cut   platter + any prefix of the unsynced, its last write torn in any sectors
//!   directory   platter: {1.log}    unsynced: link 2.log  unlink 1.log      any subset of them
//! ```
//!
//! Everybody sees the page cache; only a power cut shows the platter.

use super::disk::{Disk, DiskFile};
use super::index::{Applied, Index, IndexResult, Located, Visit};
use super::shared::lock;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::sync::{Arc, Condvar, Mutex};

const SECTOR: usize = 64;

/// The modelled disk. A clone is the same disk.
#[derive(Clone, Default)]
pub(crate) struct SimulatedDisk {
    inner: Arc<(Mutex<Inner>, Condvar)>,
}

#[derive(Default)]
struct Inner {
    files: BTreeMap<u64, Inode>,
    names: BTreeMap<String, u64>,
    platter_names: BTreeMap<String, u64>,
    name_changes: Vec<NameChange>,
    next_inode: u64,
    /// Operations until the machine dies; then every call fails.
    fuse: Option<u64>,
    is_dead: bool,
    /// While closed, syncs of segments wait.
    gate_closed: bool,
    fail_syncs: bool,
    /// How many more files and directories can be opened; nothing: endless.
    handles: Option<u64>,
    ignore_file_syncs: bool,
    ignore_dir_syncs: bool,
    room: Option<u64>,
}

#[derive(Clone)]
enum NameChange {
    Set(String, u64),
    Unset(String),
    Rename(String, String, u64),
}

#[derive(Default, Clone)]
struct Inode {
    cache: Vec<u8>,
    platter: Vec<u8>,
    unsynced: Vec<Op>,
}

#[derive(Clone)]
enum Op {
    Append(usize, Vec<u8>),
    Truncate(usize),
    /// An fdatasync failed: what came before is in the cache, called clean, and will never be written.
    Forgotten,
}

impl SimulatedDisk {
    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        lock(&self.inner.0)
    }

    pub(crate) fn ignore_file_syncs(&self) {
        self.inner().ignore_file_syncs = true;
    }

    pub(crate) fn ignore_dir_syncs(&self) {
        self.inner().ignore_dir_syncs = true;
    }

    /// The machine dies in the middle of this many operations from now.
    pub(crate) fn light_fuse(&self, operations: u64) {
        self.inner().fuse = Some(operations);
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.inner().is_dead
    }

    pub(crate) fn fail_syncs(&self, fail: bool) {
        self.inner().fail_syncs = fail;
        self.inner.1.notify_all();
    }

    /// How many more times a file is opened, or the directory read, before no file descriptor is left; nothing:
    /// endless.
    pub(crate) fn set_handles(&self, handles: Option<u64>) {
        self.inner().handles = handles;
    }

    /// How many more bytes there are; nothing: endless.
    pub(crate) fn set_room(&self, room: Option<u64>) {
        self.inner().room = room;
    }

    /// Whether syncs wait.
    pub(crate) fn close_gate(&self, closed: bool) {
        self.inner().gate_closed = closed;
        self.inner.1.notify_all();
    }

    /// Ends every call, as the death of the process does, until [`process_starts`](Self::process_starts).
    pub(crate) fn kill(&self) {
        self.inner().is_dead = true;
        self.inner.1.notify_all();
    }

    /// The machine goes on, with its page cache.
    pub(crate) fn process_starts(&self) {
        let mut inner = self.inner();
        (inner.is_dead, inner.fuse, inner.fail_syncs) = (false, None, false);
    }

    /// The machine starts again, with what happens to be on the platter.
    pub(crate) fn machine_starts(&self, rng: &mut fastrand::Rng) {
        let mut inner = self.inner();
        (inner.is_dead, inner.fuse, inner.fail_syncs) = (false, None, false);
        let mut names = inner.platter_names.clone();
        let style = rng.u8(..3);
        for change in std::mem::take(&mut inner.name_changes) {
            if style == 0 || (style == 1 && rng.bool()) {
                apply_name_change(&mut names, &change);
            }
        }
        for inode in inner.files.values_mut() {
            let survivors = match rng.u8(..3) {
                0 => 0,
                1 => inode.unsynced.len(),
                _ => rng.usize(..=inode.unsynced.len()),
            };
            let is_torn = rng.bool();
            let mut content = inode.platter.clone();
            for (i, op) in inode.unsynced.drain(..).take(survivors).enumerate() {
                apply_op(&mut content, &op, (is_torn && i + 1 == survivors).then_some(&mut *rng));
            }
            inode.platter = content.clone();
            inode.cache = content;
        }
        inner.platter_names = names.clone();
        inner.names = names;
    }

    /// The machine starts again, with what was synced and nothing else.
    pub(crate) fn machine_starts_bare(&self) {
        let mut inner = self.inner();
        (inner.is_dead, inner.fuse, inner.fail_syncs) = (false, None, false);
        inner.name_changes.clear();
        inner.names = inner.platter_names.clone();
        for inode in inner.files.values_mut() {
            inode.unsynced.clear();
            inode.cache = inode.platter.clone();
        }
    }

    /// Spoils one byte of a file, on the platter and in the cache.
    pub(crate) fn rot(&self, name: &str, at: usize) {
        let mut inner = self.inner();
        let inode = inner.names[name];
        let inode = inner.files.get_mut(&inode).expect("a named file");
        inode.cache[at] ^= 0x40;
        if let Some(byte) = inode.platter.get_mut(at) {
            *byte ^= 0x40;
        }
    }

    /// Does something that the fuse does not count.
    pub(crate) fn quietly<T>(&self, action: impl FnOnce() -> T) -> T {
        let fuse = self.inner().fuse.take();
        let result = action();
        self.inner().fuse = fuse;
        result
    }

    /// The visible names, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        self.inner().names.keys().cloned().collect()
    }

    pub(crate) fn len_of(&self, name: &str) -> usize {
        let inner = self.inner();
        inner.files[&inner.names[name]].cache.len()
    }
}

fn apply_name_change(names: &mut BTreeMap<String, u64>, change: &NameChange) {
    match change {
        NameChange::Set(name, inode) => drop(names.insert(name.clone(), *inode)),
        NameChange::Unset(name) => drop(names.remove(name)),
        NameChange::Rename(from, to, inode) => {
            names.remove(from);
            names.insert(to.clone(), *inode);
        }
    }
}

fn apply_op(content: &mut Vec<u8>, op: &Op, torn: Option<&mut fastrand::Rng>) {
    match op {
        Op::Append(at, bytes) => {
            let mut bytes = bytes.clone();
            if let Some(rng) = torn {
                match rng.u8(..2) {
                    0 => bytes.truncate(rng.usize(..=bytes.len())),
                    _ => {
                        for sector in bytes.chunks_mut(SECTOR) {
                            if rng.bool() {
                                sector.fill(0);
                            }
                        }
                    }
                }
            }
            // What was forgotten before leaves a hole.
            content.resize((*at).max(content.len()), 0);
            let overlap = (content.len() - at).min(bytes.len());
            content[*at..at + overlap].copy_from_slice(&bytes[..overlap]);
            content.extend_from_slice(&bytes[overlap..]);
        }
        Op::Truncate(len) => content.resize(*len, 0),
        Op::Forgotten => {}
    }
}

impl Inner {
    /// Counts down to the death of the machine.
    fn tick(&mut self) -> io::Result<()> {
        if let Some(fuse) = &mut self.fuse {
            if *fuse == 0 {
                self.is_dead = true;
            }
            *fuse = fuse.saturating_sub(1);
        }
        if self.is_dead { Err(io::Error::other("the machine is off")) } else { Ok(()) }
    }

    fn take_handle(&mut self) -> io::Result<()> {
        match &mut self.handles {
            Some(0) => Err(io::Error::other("too many open files")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn change_name(&mut self, change: NameChange) {
        apply_name_change(&mut self.names, &change);
        self.name_changes.push(change);
    }
}

impl Disk for SimulatedDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut inner = self.inner();
        inner.tick()?;
        inner.take_handle()?;
        Ok(inner.names.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut inner = self.inner();
        inner.tick()?;
        inner.next_inode += 1;
        let inode = inner.next_inode;
        inner.files.insert(inode, Inode::default());
        inner.change_name(NameChange::Set(name.into(), inode));
        Ok(Arc::new(SimulatedFile { disk: self.clone(), inode }))
    }

    fn create_new(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        if self.inner().names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.create(name)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut inner = self.inner();
        inner.tick()?;
        inner.take_handle()?;
        let inode = *inner.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(SimulatedFile { disk: self.clone(), inode }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut inner = self.inner();
        inner.tick()?;
        let inode = *inner.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        inner.change_name(NameChange::Rename(from.into(), to.into(), inode));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut inner = self.inner();
        inner.tick()?;
        if !inner.names.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        inner.change_name(NameChange::Unset(name.into()));
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut inner = self.inner();
        inner.tick()?;
        if !inner.ignore_dir_syncs {
            for change in std::mem::take(&mut inner.name_changes) {
                apply_name_change(&mut inner.platter_names, &change);
            }
        }
        Ok(())
    }

    fn available(&self) -> io::Result<u64> {
        Ok(self.inner().room.unwrap_or(u64::MAX))
    }
}

struct SimulatedFile {
    disk: SimulatedDisk,
    inode: u64,
}

impl SimulatedFile {
    fn with<T>(&self, action: impl FnOnce(&mut Inode) -> io::Result<T>) -> io::Result<T> {
        let mut inner = self.disk.inner();
        inner.tick()?;
        action(inner.files.get_mut(&self.inode).expect("inodes are kept"))
    }
}

impl DiskFile for SimulatedFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut inner = self.disk.inner();
        let died = inner.tick();
        let room = inner.room.unwrap_or(u64::MAX);
        let fits = (bytes.len() as u64).min(room) as usize;
        // The write during which the machine dies may reach the cache, and from there the platter.
        let taken = &bytes[..fits];
        let inode = inner.files.get_mut(&self.inode).expect("inodes are kept");
        inode.unsynced.push(Op::Append(inode.cache.len(), taken.to_vec()));
        inode.cache.extend_from_slice(taken);
        if let Some(room) = &mut inner.room {
            *room -= fits as u64;
        }
        died?;
        if fits < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn sync(&self) -> io::Result<()> {
        let mut inner = self.disk.inner();
        while inner.gate_closed && !inner.is_dead && !inner.fail_syncs {
            inner = self.disk.inner.1.wait(inner).expect("no panic under the lock");
        }
        inner.tick()?;
        let (ignore, fail) = (inner.ignore_file_syncs, inner.fail_syncs);
        let inode = inner.files.get_mut(&self.inode).expect("inodes are kept");
        if fail {
            inode.unsynced.retain(|op| matches!(op, Op::Truncate(_)));
            inode.unsynced.push(Op::Forgotten);
            return Err(io::Error::other("an injected error"));
        }
        if !ignore {
            let mut content = std::mem::take(&mut inode.platter);
            for op in inode.unsynced.drain(..) {
                apply_op(&mut content, &op, None);
            }
            inode.platter = content;
        }
        Ok(())
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.with(|inode| {
            inode.cache.resize(len as usize, 0);
            inode.unsynced.push(Op::Truncate(len as usize));
            Ok(())
        })
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.with(|inode| {
            let from = offset as usize;
            let bytes = inode.cache.get(from..from + buffer.len());
            buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.with(|inode| Ok(inode.cache.len() as u64))
    }
}

/// An index in memory that, when its process dies, keeps its checkpoint and any prefix of what followed.
#[derive(Clone, Default)]
pub(crate) struct ForgetfulIndex {
    inner: Arc<Mutex<IndexState>>,
}

#[derive(Default)]
struct IndexState {
    entries: BTreeMap<Bytes, Located>,
    applied: Option<Applied>,
    checkpoint: (BTreeMap<Bytes, Located>, Option<Applied>),
    since: Vec<IndexOp>,
}

enum IndexOp {
    Put(Bytes, Located),
    Remove(Bytes),
    Applied(Applied),
}

impl ForgetfulIndex {
    /// What another process finds.
    pub(crate) fn after_a_kill(&self, rng: &mut fastrand::Rng) -> ForgetfulIndex {
        let mut old = lock(&self.inner);
        let (entries, applied) = old.checkpoint.clone();
        let mut state = IndexState { entries, applied, ..IndexState::default() };
        let kept = if rng.bool() { rng.usize(..=old.since.len()) } else { 0 };
        for op in old.since.drain(..).take(kept) {
            match op {
                IndexOp::Put(key, located) => drop(state.entries.insert(key, located)),
                IndexOp::Remove(key) => drop(state.entries.remove(&key)),
                IndexOp::Applied(applied) => state.applied = Some(applied),
            }
        }
        state.checkpoint = (state.entries.clone(), state.applied);
        ForgetfulIndex { inner: Arc::new(Mutex::new(state)) }
    }
}

impl Index for ForgetfulIndex {
    fn get(&self, key: &[u8]) -> IndexResult<Option<Located>> {
        Ok(lock(&self.inner).entries.get(key).cloned())
    }

    fn put(&self, key: &[u8], located: &Located) -> IndexResult<Option<u32>> {
        let mut state = lock(&self.inner);
        let key = Bytes::copy_from_slice(key);
        state.since.push(IndexOp::Put(key.clone(), located.clone()));
        Ok(state.entries.insert(key, located.clone()).map(|previous| previous.length))
    }

    fn remove(&self, key: &[u8]) -> IndexResult<Option<u32>> {
        let mut state = lock(&self.inner);
        state.since.push(IndexOp::Remove(Bytes::copy_from_slice(key)));
        Ok(state.entries.remove(key).map(|previous| previous.length))
    }

    fn scan(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> IndexResult<()> {
        let state = lock(&self.inner);
        let range = (Bound::Included(from), Bound::Excluded(to));
        for (key, located) in state.entries.range::<[u8], _>(range) {
            if visit(key, located.clone()).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn scan_back(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> IndexResult<()> {
        let state = lock(&self.inner);
        let range = (Bound::Included(from), Bound::Excluded(to));
        for (key, located) in state.entries.range::<[u8], _>(range).rev() {
            if visit(key, located.clone()).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn applied(&self) -> IndexResult<Option<Applied>> {
        Ok(lock(&self.inner).applied)
    }

    fn set_applied(&self, applied: Applied) -> IndexResult<()> {
        let mut state = lock(&self.inner);
        state.since.push(IndexOp::Applied(applied));
        state.applied = Some(applied);
        Ok(())
    }

    fn checkpoint(&self) -> IndexResult<()> {
        let mut state = lock(&self.inner);
        state.checkpoint = (state.entries.clone(), state.applied);
        state.since.clear();
        Ok(())
    }

    fn size_on_disk(&self) -> IndexResult<u64> {
        let entries = &lock(&self.inner).entries;
        Ok(entries.iter().map(|(key, located)| (key.len() + located.head.len()) as u64).sum())
    }
}
