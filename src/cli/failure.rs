//! How a command ends badly: one line that begins with a stable code and ends with what to do next.
//!
//! ```text
//! quorum_not_met: required 3, received 2; try again, or ask for a lower consistency
//! └── code ────┘  └── what happened ────┘ └── what to do next ──────────────────┘
//! ```
//!
//! Exit codes: 0 it worked, 1 it did not, 2 it was not understood.

use crate::Error;
use crate::store::StoreError;
use std::fmt;
use std::process::ExitCode;

/// The result of a command.
pub(super) type Result<T, E = Failure> = std::result::Result<T, E>;

/// Why a command did not do what it was asked to.
#[derive(Debug)]
pub(super) struct Failure {
    line: String,
    /// More to read, after the line; such as the end of a log.
    details: Vec<String>,
    exit: u8,
}

impl Failure {
    /// It did not work. `next` is what to do about it.
    pub fn new(code: &str, what: impl fmt::Display, next: &str) -> Failure {
        Failure { line: one_line(&format!("{code}: {what}; {next}")), details: Vec::new(), exit: 1 }
    }

    /// An error whose text begins with its code and ends with advice already.
    pub fn said(error: &dyn fmt::Display) -> Failure {
        Failure { line: one_line(&error.to_string()), details: Vec::new(), exit: 1 }
    }

    /// The same, with more lines to read after it.
    pub fn details(mut self, details: Vec<String>) -> Failure {
        self.details = details;
        self
    }

    /// What clap did not understand, in one line.
    pub fn usage(error: &clap::Error) -> Failure {
        let text = error.render().to_string();
        let paragraph = text.split("\n\n").next().unwrap_or_default();
        let what = one_line(paragraph.strip_prefix("error: ").unwrap_or(paragraph));
        let line = format!("invalid: {what}; add --help to see what is possible");
        Failure { line, details: Vec::new(), exit: 2 }
    }

    /// The code alone.
    #[cfg(test)]
    pub fn code(&self) -> &str {
        self.line.split(':').next().unwrap_or_default()
    }

    /// Tells it on standard error.
    pub fn report(&self) -> ExitCode {
        eprintln!("{}", self.line);
        for detail in &self.details {
            eprintln!("  {detail}");
        }
        ExitCode::from(self.exit)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}

/// What a log or a peer said may hold line breaks and control characters; a line may not.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split(|c: char| c.is_whitespace() || c.is_control()).collect();
    words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        // Most texts end with advice already; those that carry another's words may not.
        let advice = match &error {
            Error::Invalid(text) | Error::NotFound(text) if text.contains([';', ':']) => "",
            Error::Invalid(_) => "; mend the request and try again",
            Error::NotFound(_) => "; check the names",
            Error::Forbidden(_) => "; ask an operator of the cluster",
            Error::Internal(_) => "; look into the node's log",
            _ => "",
        };
        Failure { line: one_line(&format!("{error}{advice}")), details: Vec::new(), exit: 1 }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure::new("io", error, "check the file or the disk and try again")
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        Failure::new("io", error, "check the disk and try again")
    }
}

/// An input or output error that says what it was about.
pub(super) trait About<T> {
    /// Names the thing, as in ``cannot write `node.toml` ``.
    fn about(self, what: impl fmt::Display) -> Result<T>;
}

impl<T> About<T> for std::io::Result<T> {
    fn about(self, what: impl fmt::Display) -> Result<T> {
        self.map_err(|error| {
            Failure::new("io", format!("{what}: {error}"), "check the path and its permissions")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::Cli;
    use clap::Parser;

    #[test]
    fn an_error_is_one_line_that_begins_with_its_code() {
        let failure = Failure::from(Error::QuorumNotMet { required: 3, received: 2 });
        assert_eq!(
            failure.to_string(),
            "quorum_not_met: required 3, received 2; try again, or ask for a lower consistency"
        );
        let failure = Failure::from(Error::Internal("a\nb\u{1b}[31m".into()));
        assert_eq!(failure.to_string(), "internal: a b [31m; look into the node's log");
        assert_eq!(failure.code(), "internal");
    }

    #[test]
    fn what_is_not_understood_is_one_line_and_exits_with_2() {
        for line in ["quorate put b", "quorate get b k --w x", "quorate --nothing"] {
            let error = Cli::try_parse_from(line.split(' ')).unwrap_err();
            let failure = Failure::usage(&error);
            assert_eq!((failure.code(), failure.exit), ("invalid", 2), "{line}");
            assert!(!failure.to_string().contains('\n'), "{failure}");
        }
    }
}
