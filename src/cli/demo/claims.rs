//! Claims: what the demo says of the store, each with the evidence that was checked.
//!
//! ```text
//! ok   every line was acknowledged at W=2: 20,000 lines of 3 files
//! FAIL the survivors see it dead: n1 says `suspect`
//! ```

use crate::cli::failure::Result;
use crate::cli::output::say;

/// How many claims held, and how many did not.
#[derive(Debug, Default)]
pub(super) struct Claims {
    held: usize,
    failed: usize,
}

impl Claims {
    /// Tells one line about one claim: with its evidence, or with what speaks against it.
    pub fn check(&mut self, claim: &str, verdict: Result<String, String>) -> Result<()> {
        match verdict {
            Ok(evidence) => {
                self.held += 1;
                say(format!("ok   {claim}: {evidence}"))
            }
            Err(reason) => {
                self.failed += 1;
                say(format!("FAIL {claim}: {reason}"))
            }
        }
    }

    /// How many claims held.
    pub fn held(&self) -> usize {
        self.held
    }

    /// How many did not.
    pub fn failed(&self) -> usize {
        self.failed
    }
}
