//! Golden scripts: conversations with a cluster that a person can read, in `tests/scripts`.
//!
//! ```text
//!   cluster nodes=5 seed=7          above the line: what is done
//!   names k                         A, B, C own k; D, E stand in
//!   A: put k v0 -> v0               `-> v0` keeps the token, `ctx=v0` shows it
//!   cut A > B
//!   A: put k v1 ctx=v0
//!   ---
//!   A: put k v1 ctx=v0 ⇒ acknowledged by A C           below it: what came of it
//! ```
//!
//! A script without its lower half is a question: `QUORATE_GOLDEN=write cargo test --test it script` answers it, and
//! you judge the answer. A line `guard: fresh-actor` in the upper half says which guards the story is about: in builds
//! that can mutate, the transcript must be another one when such a guard is out
//! (`cargo test --features mutants --test it script`).
//!
//! | command | |
//! |---|---|
//! | `cluster nodes=5 seed=1 sync=5s\|off lww n= r= w=` | the first line; the bucket's settings with it |
//! | `names KEY` | letters for its owners and fallbacks |
//! | `A: put KEY VALUE`, `A: delete KEY`, `A: get KEY` | options: `ctx=TOKEN -> TOKEN`, `as=OPERATION` (again: a retry), `r= w=` a level, a count or `strict`, `within=1s`, `&` (nobody waits: told when it comes) |
//! | `partition A B \| C`, `cut A > B C`, `slow A 200ms`, `slow A > B 60s`, `heal` | the network; a slow link is slow for streams |
//! | `kill`, `stop`, `start`, `pause`, `resume`, `wipe`, `backup`, `restore` | processes and disks |
//! | `hold`, `let`, `full`, `room`, `rot A KEY`, `skew A -60s` | syncs, space, rot, clocks |
//! | `wait 5s`, `A misses B C`, `A sees B`, `settle` | time; `settle`: all whole, no hints, owners agree |
//! | `show KEY`, `trace on`, `trace off` | each node's own record; each message about data (✗: lost) |

mod command;
mod diff;
mod look;
mod stage;
mod words;

use command::Command;
use stage::Stage;
use std::path::{Path, PathBuf};

/// Between the commands and the transcript.
const LINE: &str = "---";

/// A file of `tests/scripts`.
struct Script {
    path: PathBuf,
    /// What is above the line, as it stands there.
    above: String,
    /// What is below.
    golden: String,
    commands: Vec<(String, Command)>,
    #[cfg_attr(not(feature = "mutants"), expect(dead_code, reason = "no guard can be taken out"))]
    guards: Vec<String>,
}

impl Script {
    fn read(path: &Path) -> Script {
        let text = std::fs::read_to_string(path).expect("a readable script");
        let parted = text.split_once(&format!("\n{LINE}\n"));
        let (above, golden) = parted.unwrap_or((text.trim_end(), ""));
        let (mut commands, mut guards) = (Vec::new(), Vec::new());
        for (at, line) in above.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if let Some(names) = line.strip_prefix("guard:") {
                guards.extend(names.split_whitespace().map(str::to_owned));
            } else if !line.is_empty() {
                let command = command::parse(line)
                    .unwrap_or_else(|why| panic!("{}:{}: {why}", path.display(), at + 1));
                commands.push((line.to_owned(), command));
            }
        }
        let (above, golden) = (above.to_owned(), golden.to_owned());
        Script { path: path.into(), above, golden, commands, guards }
    }

    fn name(&self) -> String {
        self.path.file_stem().expect("a name").to_string_lossy().into_owned()
    }

    /// Plays it: its transcript.
    fn play(&self) -> String {
        let Some(((first, Command::Cluster(shape)), rest)) = self.commands.split_first() else {
            panic!("{}: the first command is not `cluster`", self.name())
        };
        let mut stage = Stage::set(shape);
        let mut transcript = format!("{first}\n");
        for (line, command) in rest {
            for told in stage.play(line, command) {
                transcript += &told;
                transcript.push('\n');
            }
        }
        transcript
    }

    /// As [`play`](Script::play), on a thread of its own: what goes wrong there is part of the answer.
    fn played(&self) -> String {
        let played = std::thread::scope(|scope| scope.spawn(|| self.play()).join());
        played.unwrap_or_else(|why| {
            let text = why.downcast_ref::<String>().cloned();
            let text = text.or_else(|| why.downcast_ref::<&str>().map(|text| (*text).into()));
            format!("broken off: {}\n", text.unwrap_or_default())
        })
    }
}

fn scripts() -> Vec<Script> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let entries = std::fs::read_dir(folder).expect("a readable folder");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.iter().map(|path| Script::read(path)).collect()
}

#[test]
fn every_script_is_played_as_it_is_written_down() {
    let write = std::env::var_os("QUORATE_GOLDEN").is_some_and(|value| value == "write");
    let scripts = scripts();
    assert!(scripts.len() > 10, "the scripts were not found");
    let mut wrong = Vec::new();
    for script in &scripts {
        let transcript = script.played();
        if transcript == script.golden {
            continue;
        }
        if write {
            let whole = format!("{}\n{LINE}\n{transcript}", script.above);
            std::fs::write(&script.path, whole).expect("a writable script");
        } else {
            let diff = diff::lines(&script.golden, &transcript);
            wrong.push(format!("{}:\n{diff}", script.name()));
        }
    }
    let hint = "if that is right: QUORATE_GOLDEN=write cargo test --test it script";
    assert!(wrong.is_empty(), "{}\n{hint}", wrong.join("\n"));
}

/// Each guard that a script names changes what is told of it.
#[cfg(feature = "mutants")]
#[test]
fn every_script_notices_when_its_guard_is_gone() {
    use quorate::guard::{Guard, take_out};
    let mut missed = Vec::new();
    for script in &scripts() {
        for name in &script.guards {
            let guard = Guard::EVERY.into_iter().find(|guard| guard.name() == name);
            let guard = guard.unwrap_or_else(|| panic!("{}: no guard {name}", script.name()));
            let played = std::thread::scope(|scope| {
                let mutant = || {
                    take_out(Some(guard));
                    script.play()
                };
                scope.spawn(mutant).join()
            });
            if played.is_ok_and(|transcript| transcript == script.golden) {
                missed.push(format!("{} without {name}", script.name()));
            }
        }
    }
    assert!(missed.is_empty(), "{missed:?}");
}
