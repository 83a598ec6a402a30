//! The data directory as a whole: there, writable, and set aside when what it holds may not be used.
//!
//! ```text
//!   D/store  D/restored       ─►  D.set-aside-1/store  D/restored      a backup is as good as it was
//! ```

use super::StartError;
use super::restored::RESTORED;
use std::io;
use std::path::{Path, PathBuf};

/// How many directories may be set aside before somebody has to look.
const SET_ASIDE_LIMIT: u32 = 1000;
/// Between the name of what was set aside and a number.
const SET_ASIDE: &str = ".set-aside-";

/// Where a node's data live.
#[derive(Clone, Debug)]
pub struct DataDirectory {
    path: PathBuf,
}

impl DataDirectory {
    /// Makes the directory if it is not there, and tries whether it can be written to. A restored backup that was set
    /// aside with an earlier life is brought back: it is no part of that.
    ///
    /// # Errors
    /// [`StartError::Data`], with what to do about it.
    pub fn prepare(path: &Path) -> Result<DataDirectory, StartError> {
        let wrong = |what: &str, error: &io::Error| {
            let advice = match error.kind() {
                io::ErrorKind::PermissionDenied => "give this user the right to write there",
                io::ErrorKind::ReadOnlyFilesystem => "mount it writable",
                io::ErrorKind::StorageFull => "free space on that disk",
                io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
                    "it is not a directory"
                }
                _ => "choose another with --data-dir",
            };
            StartError::Data(format!("{}: {what}: {error}; {advice}", path.display()))
        };
        std::fs::create_dir_all(path).map_err(|e| wrong("cannot be made", &e))?;
        let probe = path.join(".writable");
        std::fs::write(&probe, b"x").map_err(|e| wrong("cannot be written to", &e))?;
        std::fs::remove_file(&probe).map_err(|e| wrong("cannot be written to", &e))?;
        let path = path.canonicalize().map_err(|e| wrong("cannot be found", &e))?;
        bring_back(&path).map_err(|e| wrong("what was restored cannot be brought back", &e))?;
        Ok(DataDirectory { path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Renames it to `<name>.set-aside-<n>`, the first n that is free, and [`prepare`](DataDirectory::prepare)s another.
    ///
    /// # Errors
    /// [`StartError::Data`], with where the data are. What was not done any more the next start does.
    pub fn set_aside(&self) -> Result<PathBuf, StartError> {
        let aside = set_aside(&self.path).map_err(|error| {
            let path = self.path.display();
            StartError::Data(format!("{path}: cannot be set aside: {error}; move it away yourself"))
        })?;
        DataDirectory::prepare(&self.path)?;
        Ok(aside)
    }
}

/// Moves a restored backup here from a directory that was set aside, if one lies there.
fn bring_back(data: &Path) -> io::Result<()> {
    let here = data.join(RESTORED);
    for (_, aside) in asides(data)? {
        let kept = aside.join(RESTORED);
        if kept.try_exists()? && !here.try_exists()? {
            // This directory's own name first: else a power cut may leave the backup nowhere.
            sync_above(data)?;
            std::fs::rename(&kept, &here)?;
            sync_above(&here)?;
            sync_above(&kept)?;
        }
    }
    Ok(())
}

/// What was set aside of a folder, with its number; none, where nobody may look.
pub(super) fn asides(folder: &Path) -> io::Result<Vec<(u32, PathBuf)>> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let prefix = format!("{name}{SET_ASIDE}");
    let entries = match folder.parent().map(std::fs::read_dir) {
        None => return Ok(Vec::new()),
        Some(Err(error)) if error.kind() == io::ErrorKind::PermissionDenied => {
            return Ok(Vec::new());
        }
        Some(entries) => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let number = name.and_then(|name| name.strip_prefix(&prefix)?.parse().ok());
        found.extend(number.map(|number| (number, path)));
    }
    Ok(found)
}

/// Renames a folder to `<name>.set-aside-<n>`, the first n that is free. Should the new name not be durable, a power cut
/// may bring the old one back: whoever finds it there sets it aside once more.
///
/// # Errors
/// The system's; it is where it was.
pub(super) fn set_aside(folder: &Path) -> io::Result<PathBuf> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    for n in 1..=SET_ASIDE_LIMIT {
        let to = folder.with_file_name(format!("{name}{SET_ASIDE}{n}"));
        if to.try_exists()? {
            continue;
        }
        std::fs::rename(folder, &to)?;
        if let Err(error) = sync_above(folder) {
            tracing::warn!(to = %to.display(), %error, "set aside, but a power cut may undo that");
        }
        return Ok(to);
    }
    Err(io::Error::other("too many were set aside already"))
}

/// Renames and directories are durable when the directory above them is.
fn sync_above(folder: &Path) -> io::Result<()> {
    folder.parent().map_or(Ok(()), |above| std::fs::File::open(above)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_aside_is_kept_and_an_empty_directory_takes_its_place() {
        let above = tempfile::tempdir().expect("a temporary directory");
        let data = DataDirectory::prepare(&above.path().join("data")).expect("prepared");
        for n in 1..=2 {
            std::fs::write(data.path().join("log"), format!("life {n}")).expect("written");
            let aside = data.set_aside().expect("set aside");
            assert_eq!(aside.file_name(), Some(format!("data.set-aside-{n}").as_ref()));
            assert_eq!(
                std::fs::read(aside.join("log")).expect("kept"),
                format!("life {n}").as_bytes()
            );
            assert_eq!(std::fs::read_dir(data.path()).expect("there").count(), 0);
        }
    }

    /// Else what it alone has is gone with an old copy that nobody looks into.
    #[test]
    fn a_restored_backup_stays_where_it_is_when_the_rest_is_set_aside() {
        let above = tempfile::tempdir().expect("a temporary directory");
        let data = DataDirectory::prepare(&above.path().join("data")).expect("prepared");
        std::fs::create_dir_all(data.path().join("restored/log")).expect("made");
        std::fs::write(data.path().join("store"), "old").expect("written");
        std::fs::write(data.path().join("restored/log/1"), "batches").expect("written");
        let aside = data.set_aside().expect("set aside");
        assert_eq!(std::fs::read(aside.join("store")).expect("kept"), b"old");
        assert!(!aside.join("restored").exists() && !data.path().join("store").exists());
        assert_eq!(std::fs::read(data.path().join("restored/log/1")).expect("here"), b"batches");
    }

    /// The process ended after the first of two renames.
    #[test]
    fn a_restored_backup_that_was_set_aside_with_the_rest_is_brought_back_by_the_next_start() {
        let above = tempfile::tempdir().expect("a temporary directory");
        let (data, aside) = (above.path().join("data"), above.path().join("data.set-aside-7"));
        std::fs::create_dir_all(aside.join("restored/log")).expect("made");
        std::fs::create_dir_all(above.path().join("other.set-aside-1/restored")).expect("made");
        DataDirectory::prepare(&data).expect("prepared");
        assert!(data.join("restored/log").exists() && !aside.join("restored").exists());
        // One that is here already stays.
        std::fs::create_dir_all(aside.join("restored/older")).expect("made");
        DataDirectory::prepare(&data).expect("prepared");
        assert!(data.join("restored/log").exists() && aside.join("restored/older").exists());
        assert!(above.path().join("other.set-aside-1/restored").exists());
    }

    #[test]
    fn a_file_in_the_way_is_told() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        let error = DataDirectory::prepare(file.path()).expect_err("not a directory").to_string();
        assert!(error.contains("not a directory"), "{error}");
        assert!(DataDirectory::prepare(&file.path().join("data")).is_err());
    }
}
