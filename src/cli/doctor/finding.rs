//! One thing that was found: how bad, what was seen, and what to do next.

use serde_json::{Value, json};

/// How bad a finding is. The worst sorts first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    /// Somebody is not served now, or one more loss may cost data.
    Critical,
    /// It works, and it will not stay so.
    Warning,
    /// Worth knowing; nobody need do anything.
    Note,
}

impl Severity {
    /// As it is printed.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Critical => "critical",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub severity: Severity,
    /// Which check found it: a stable word.
    pub check: &'static str,
    /// About which node, where it is about one.
    pub node: Option<String>,
    pub seen: String,
    pub next: String,
}

impl Finding {
    /// A finding about the cluster.
    pub fn new(
        severity: Severity,
        check: &'static str,
        seen: impl Into<String>,
        next: impl Into<String>,
    ) -> Finding {
        Finding { severity, check, node: None, seen: seen.into(), next: next.into() }
    }

    /// The same about one node.
    pub fn of(mut self, node: &str) -> Finding {
        self.node = Some(node.to_owned());
        self
    }

    /// Whether somebody should do something.
    pub fn is_wrong(&self) -> bool {
        self.severity != Severity::Note
    }

    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "severity": self.severity.word(),
            "check": self.check,
            "node": self.node,
            "seen": self.seen,
            "next": self.next,
        })
    }
}
