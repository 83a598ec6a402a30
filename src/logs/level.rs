//! How bad it is, in six steps; and the many words that programs have for them.
//!
//! ```text
//!   Trace     Debug   Info     Warn      Error    Fatal
//!   finest    fine    notice   warning   severe   crit  alert  emerg  panic
//!   syslog:   7       6 5      4         3        2 1 0
//! ```

use std::fmt;

/// The longest word that is one.
const LONGEST: usize = "informational".len();

/// How bad it is. In order: `Trace` is the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Every step.
    Trace,
    /// What a developer wants to see.
    Debug,
    /// What happened.
    Info,
    /// What may become trouble.
    Warn,
    /// What went wrong.
    Error,
    /// What ended it.
    Fatal,
}

impl Level {
    /// All of them, the least first.
    pub const ALL: [Level; 6] =
        [Level::Trace, Level::Debug, Level::Info, Level::Warn, Level::Error, Level::Fatal];

    /// The level that a word means, in whatever case; a digit is a severity of syslog.
    pub fn of_word(word: &str) -> Option<Level> {
        let bytes = word.as_bytes();
        let mut lower = [0; LONGEST];
        let lower = lower.get_mut(..bytes.len())?;
        lower.copy_from_slice(bytes);
        lower.make_ascii_lowercase();
        Some(match &*lower {
            b"trace" | b"trc" | b"verbose" | b"finest" | b"finer" => Level::Trace,
            b"debug" | b"dbg" | b"fine" => Level::Debug,
            b"info" | b"inf" | b"information" | b"informational" | b"notice" => Level::Info,
            b"warn" | b"warning" | b"wrn" => Level::Warn,
            b"error" | b"err" | b"severe" => Level::Error,
            b"fatal" | b"ftl" | b"crit" | b"critical" | b"alert" | b"emerg" | b"emergency"
            | b"panic" | b"dpanic" => Level::Fatal,
            [digit @ b'0'..=b'7'] => Level::of_severity(digit - b'0')?,
            _ => return None,
        })
    }

    /// The level of a severity of syslog: 0, an emergency, to 7, for debugging.
    pub(crate) fn of_severity(severity: u8) -> Option<Level> {
        Some(match severity {
            0..=2 => Level::Fatal,
            3 => Level::Error,
            4 => Level::Warn,
            5 | 6 => Level::Info,
            7 => Level::Debug,
            _ => return None,
        })
    }

    /// The letter that glog and logcat have for it.
    pub(crate) fn of_letter(letter: u8) -> Option<Level> {
        Some(match letter {
            b'V' => Level::Trace,
            b'D' => Level::Debug,
            b'I' => Level::Info,
            b'W' => Level::Warn,
            b'E' => Level::Error,
            b'F' => Level::Fatal,
            _ => return None,
        })
    }

    /// Its name: `TRACE`, …, `FATAL`.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Trace => "TRACE",
            Level::Debug => "DEBUG",
            Level::Info => "INFO",
            Level::Warn => "WARN",
            Level::Error => "ERROR",
            Level::Fatal => "FATAL",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_words_mean_one_level() {
        let table = [
            ("finest finer TRACE Verbose trc", Level::Trace),
            ("fine debug DBG 7", Level::Debug),
            ("info Information notice NOTICE INF 5 6", Level::Info),
            ("warn Warning WRN 4", Level::Warn),
            ("err Error SEVERE 3", Level::Error),
            ("fatal crit CRITICAL alert emerg Emergency panic 0 1 2", Level::Fatal),
        ];
        for (words, level) in table {
            for word in words.split(' ') {
                assert_eq!(Level::of_word(word), Some(level), "{word}");
            }
        }
        for none in ["", "errors", "E", "8", "10", "ok", "a word longer than any level", "Ä"] {
            assert_eq!(Level::of_word(none), None, "{none}");
        }
    }

    #[test]
    fn a_level_is_read_as_it_is_written() {
        for level in Level::ALL {
            assert_eq!(Level::of_word(level.as_str()), Some(level));
            assert_eq!(
                Level::of_letter(level.as_str().as_bytes()[0]).is_some(),
                level != Level::Trace
            );
        }
        assert!(Level::ALL.is_sorted());
    }
}
