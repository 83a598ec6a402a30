//! What the log asks of a disk, and no more, so that a test can stand in for it and pull the plug.
//!
//! ```text
//!   append ─► page cache ─── sync ───► platter          a file's bytes
//!   create, rename, remove ─ sync_dir ─► platter        a directory's names
//! ```
//!
//! The two syncs are separate promises: a file that was synced under a name that was not is gone after
//! a power cut.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One directory of plain files.
pub(crate) trait Disk: Send + Sync {
    /// The names in it, in no order.
    fn list(&self) -> io::Result<Vec<String>>;
    /// A new empty file; what was there under that name is emptied.
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;
    /// A new empty file under a name that nothing has.
    fn create_new(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;
    /// An existing file.
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;
    /// Gives a file a new name, in place of what had it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Takes a name away.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Returns when the names are as durable as they get.
    fn sync_dir(&self) -> io::Result<()>;
    /// Bytes that an unprivileged process may still write.
    fn available(&self) -> io::Result<u64>;
    /// Where it is, for one that others can make links to.
    fn dir(&self) -> Option<&Path> {
        None
    }
    /// Gives a file of another directory the same name here too. An error: it can only be copied.
    fn link(&self, _from: &dyn Disk, _name: &str) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// One file of a [`Disk`].
pub(crate) trait DiskFile: Send + Sync {
    /// Writes at the end. After an error any part of it may be there.
    fn append(&self, bytes: &[u8]) -> io::Result<()>;
    /// Returns when the content and the length are durable. After an error nothing is known, and a
    /// second call proves nothing.
    fn sync(&self) -> io::Result<()>;
    /// Cuts the file.
    fn truncate(&self, len: u64) -> io::Result<()>;
    /// Fills the buffer from `offset`, or fails.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
    /// Its length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// How many names it has: another may be a backup's.
    fn names(&self) -> io::Result<u64> {
        Ok(1)
    }
}

/// The whole content of a file.
pub(crate) fn read_all(file: &dyn DiskFile) -> io::Result<Vec<u8>> {
    let len = usize::try_from(file.len()?).map_err(io::Error::other)?;
    let mut bytes = vec![0; len];
    file.read_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// A directory of the machine's file system.
pub(crate) struct RealDisk {
    dir: PathBuf,
    handle: File,
}

impl RealDisk {
    /// Opens the directory, and makes it when it is missing.
    pub(crate) fn open(dir: &Path) -> io::Result<RealDisk> {
        if !dir.is_dir() {
            fs::create_dir_all(dir)?;
            if let Some(parent) = dir.parent() {
                File::open(parent)?.sync_all()?;
            }
        }
        Ok(RealDisk { dir: dir.to_path_buf(), handle: File::open(dir)? })
    }
}

impl Disk for RealDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            names.extend(entry?.file_name().into_string().ok());
        }
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let path = self.dir.join(name);
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
        drop(file);
        self.open(name)
    }

    fn create_new(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        let file = options.read(true).append(true).create_new(true).open(self.dir.join(name))?;
        Ok(Arc::new(RealFile(file)))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).append(true).open(self.dir.join(name))?;
        Ok(Arc::new(RealFile(file)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.dir.join(from), self.dir.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.dir.join(name))
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.handle.sync_all()
    }

    fn available(&self) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(&self.dir)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn dir(&self) -> Option<&Path> {
        Some(&self.dir)
    }

    fn link(&self, from: &dyn Disk, name: &str) -> io::Result<()> {
        let from = from.dir().ok_or(io::ErrorKind::Unsupported)?;
        fs::hard_link(from.join(name), self.dir.join(name))
    }
}

/// A file of a directory that may be read-only.
pub(crate) fn open_to_read(path: &Path) -> io::Result<Arc<dyn DiskFile>> {
    Ok(Arc::new(RealFile(File::open(path)?)))
}

struct RealFile(File);

impl DiskFile for RealFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        io::Write::write_all(&mut &self.0, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(buffer, offset)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn names(&self) -> io::Result<u64> {
        Ok(std::os::unix::fs::MetadataExt::nlink(&self.0.metadata()?))
    }
}
