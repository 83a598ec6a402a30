//! What Tab offers: the commands, their flags and the values that a flag or place may have, from the tree of the
//! command line.

use crate::cli::args::Cli;
use clap::{Arg, Command, CommandFactory};
use rustyline::Context;
use rustyline::completion::Completer;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;

/// The prompt's helper: it completes, and does nothing else.
pub(super) struct Helper;

impl rustyline::Helper for Helper {}
impl Highlighter for Helper {}
impl Validator for Helper {}

impl Hinter for Helper {
    type Hint = String;
}

impl Completer for Helper {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(candidates(&Cli::command(), &line[..pos]))
    }
}

/// Where the word begins that the cursor stands behind, and what it may become.
fn candidates(root: &Command, before: &str) -> (usize, Vec<String>) {
    // A blank may be more than one byte long.
    let start = before.trim_end_matches(|c: char| !c.is_whitespace()).len();
    let word = &before[start..];
    let mut command = root;
    let mut last = "";
    for typed in before[..start].split_whitespace() {
        command = command.find_subcommand(typed).unwrap_or(command);
        last = typed;
    }
    let takes_value = last.strip_prefix("--").and_then(|long| flag(command, long));
    let mut offered: Vec<String> = match takes_value.filter(|arg| arg.get_action().takes_values()) {
        Some(arg) => values(arg),
        None if word.starts_with('-') => flags(command),
        None => {
            let below = command.get_subcommands().map(|below| below.get_name().to_owned());
            let extra = ["help", "exit"].map(String::from);
            let extra = extra.into_iter().filter(|_| before[..start].trim().is_empty());
            below.chain(extra).chain(command.get_positionals().flat_map(values)).collect()
        }
    };
    offered.retain(|candidate| candidate.starts_with(word));
    offered.sort_unstable();
    offered.dedup();
    // One that is whole is followed by the next word.
    if let [only] = &mut offered[..] {
        only.push(' ');
    }
    (start, offered)
}

fn flag<'a>(command: &'a Command, long: &str) -> Option<&'a Arg> {
    command.get_arguments().find(|arg| arg.get_long() == Some(long))
}

fn flags(command: &Command) -> Vec<String> {
    let shown = command.get_arguments().filter(|arg| !arg.is_hide_set());
    let flags = shown.filter_map(|arg| Some(format!("--{}", arg.get_long()?)));
    flags.chain(["--help".to_owned()]).collect()
}

fn values(arg: &Arg) -> Vec<String> {
    arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(before: &str) -> Vec<String> {
        candidates(&Cli::command(), before).1
    }

    #[test]
    fn commands_flags_and_values_are_completed() {
        assert_eq!(offered("loc"), ["locate "]);
        assert!(
            offered("").contains(&"put".to_owned()) && offered("").contains(&"exit".to_owned())
        );
        assert_eq!(offered("bucket cr"), ["create "]);
        assert_eq!(offered("bucket create b --conf"), ["--conflict "]);
        assert_eq!(offered("bucket create b --conflict l"), ["lww "]);
        assert_eq!(offered("status -o"), Vec::<String>::new());
        assert_eq!(offered("put b k v --str"), ["--strict "]);
        assert!(offered("put b k v -").contains(&"--consistency".to_owned()));
        assert_eq!(candidates(&Cli::command(), "bucket  cr").0, 8);
    }

    #[test]
    fn what_is_free_is_not_completed() {
        assert_eq!(offered("put b k"), Vec::<String>::new());
        assert_eq!(offered("größe\u{a0}ü"), Vec::<String>::new());
    }
}
