//! `quorate repl`: the same commands at a prompt, without `quorate` before them.
//!
//! ```text
//!   a terminal ──▶ rustyline (editing, history, completion) ─┐
//!   a pipe ──────▶ lines ────────────────────────────────────┴─▶ words ──the parser of the command line──▶ run
//! ```
//!
//! What a line means is decided by the very tree that parses the command line, so nothing can be said here that cannot
//! be said there, and no flag is missing. A command that fails says so, and the next line is read; what came through a
//! pipe ends with exit code 1 if any has failed.

mod complete;

use super::args::{Cli, Command, ReplArgs, Target};
use super::failure::{Failure, Result};
use super::run;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches};
use complete::Helper;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Config, Editor};
use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;

/// How many lines the history keeps.
const HISTORY_LINES: usize = 2_000;
/// The longest line, in bytes: a value of the usual limit in base64, and room beside it.
const LINE_BYTES: u64 = 2 << 20;
const PROMPT: &str = "quorate> ";

/// Reads lines and does what they say, until there are no more.
pub(super) fn repl(args: ReplArgs) -> Result<()> {
    match std::io::stdin().is_terminal() {
        true => typed(&args),
        false => piped(&args.target),
    }
}

/// Lines of a terminal.
fn typed(args: &ReplArgs) -> Result<()> {
    let path = args.history.clone().or_else(history_path);
    let config = Config::builder().history_ignore_space(true).auto_add_history(true);
    let config = config.max_history_size(HISTORY_LINES).map_err(terminal)?.build();
    let mut editor: Editor<Helper, FileHistory> = Editor::with_config(config).map_err(terminal)?;
    editor.set_helper(Some(Helper));
    if let Some(path) = &path {
        // There is none yet, or it is not ours to read: then nothing is remembered from before.
        let _ = editor.load_history(path);
    }
    println!(
        "Commands as on the command line; `help` lists them, Tab completes, `exit` or Ctrl-D ends."
    );
    loop {
        match editor.readline(PROMPT) {
            Ok(line) => match line_said(&line, &args.target) {
                Said::Over => break,
                Said::Done(Ok(())) => {}
                Said::Done(Err(failure)) => {
                    let _ = failure.report();
                }
            },
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(terminal(error)),
        }
    }
    if let Some(path) = &path {
        if let Some(folder) = path.parent() {
            let _ = std::fs::create_dir_all(folder);
        }
        if let Err(error) = editor.save_history(path) {
            eprintln!("the history is not kept: {}: {error}", path.display());
        }
    }
    Ok(())
}

fn terminal(error: ReadlineError) -> Failure {
    Failure::new("io", error, "use a pipe in place of the terminal")
}

/// Lines of a pipe or a file.
fn piped(target: &Target) -> Result<()> {
    let mut failed = 0_u64;
    loop {
        // The lock is not held while a command runs.
        let mut bytes = Vec::new();
        let mut input = std::io::stdin().lock();
        let read = std::io::Read::take(&mut input, LINE_BYTES).read_until(b'\n', &mut bytes)?;
        drop(input);
        if read == 0 {
            break;
        }
        if read as u64 == LINE_BYTES && bytes.last() != Some(&b'\n') {
            let next = "write long values with `quorate put … -`";
            return Err(Failure::new("too_large", "a line has no end", next));
        }
        let Ok(line) = String::from_utf8(bytes) else {
            let next = "spell bytes with --hex or --base64";
            return Err(Failure::new("invalid", "a line is not UTF-8", next));
        };
        match line_said(&line, target) {
            Said::Over => break,
            Said::Done(Ok(())) => {}
            Said::Done(Err(failure)) => {
                failed += 1;
                let _ = failure.report();
            }
        }
    }
    match failed {
        0 => Ok(()),
        _ => Err(Failure::new(
            "failed",
            format!("{failed} lines did not work"),
            "see what each said",
        )),
    }
}

/// What became of a line.
enum Said {
    /// There is nothing more to do at all.
    Over,
    /// It was done, or not.
    Done(Result<()>),
}

fn line_said(line: &str, target: &Target) -> Said {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Said::Done(Ok(()));
    }
    let Some(words) = shlex::split(line) else {
        let failure =
            Failure::new("invalid", "a quotation has no end", "close it, or put a \\ before it");
        return Said::Done(Err(failure));
    };
    match words.first().map(String::as_str) {
        Some("exit" | "quit") => return Said::Over,
        Some("help") => {
            let mut help: Vec<String> = words[1..].to_vec();
            help.push("--help".into());
            return Said::Done(parse(help, target).map(drop));
        }
        _ => {}
    }
    Said::Done(parse(words, target).and_then(|command| command.map_or(Ok(()), run)))
}

/// The command that these words are; `None` where help was asked for, and given.
fn parse(mut words: Vec<String>, target: &Target) -> Result<Option<Command>> {
    if words.first().is_some_and(|word| word == "quorate") {
        words.remove(0);
    }
    let matches = match matches(&words) {
        Ok(matches) => matches,
        Err(error) if error.exit_code() == 0 => {
            let _ = error.print();
            return Ok(None);
        }
        Err(error) => return Err(Failure::usage(&error)),
    };
    let matches = match names_no_node(&matches) {
        true => {
            self::matches(&with_nodes(&words, target)).map_err(|error| Failure::usage(&error))?
        }
        false => matches,
    };
    let cli = Cli::from_arg_matches(&matches).map_err(|error| Failure::usage(&error))?;
    let refused = match &cli.command {
        Command::Serve(_) | Command::Demo(_) => "it runs until it is stopped",
        Command::Repl(_) => "one is enough",
        Command::Put(put) if put.value == "-" => "standard input is where these lines come from",
        _ => return Ok(Some(cli.command)),
    };
    Err(Failure::new("invalid", refused, "run it outside of the repl"))
}

fn matches(words: &[String]) -> Result<ArgMatches, clap::Error> {
    let command = Cli::command().no_binary_name(true);
    command.try_get_matches_from(words)
}

/// Whether it is a command that talks to nodes, and the line does not say which.
fn names_no_node(matches: &ArgMatches) -> bool {
    let mut deepest = matches;
    while let Some((_, below)) = deepest.subcommand() {
        deepest = below;
    }
    match deepest.try_contains_id("nodes") {
        // `--nodes 5` of a cluster is a number, and none of a cluster's commands asks nodes by address.
        Ok(true) => {
            deepest.try_get_many::<String>("nodes").is_ok()
                && deepest.value_source("nodes") != Some(ValueSource::CommandLine)
        }
        _ => false,
    }
}

/// The same words with the nodes that the repl was told, before whatever is no flag any more.
fn with_nodes(words: &[String], target: &Target) -> Vec<String> {
    let end = words.iter().position(|word| word == "--").unwrap_or(words.len());
    let mut told = vec!["--node".to_owned(), target.nodes.join(",")];
    if let Some(key) = target.key_file.as_ref().and_then(|path| path.to_str()) {
        told.extend(["--key-file".to_owned(), key.to_owned()]);
    }
    [&words[..end], &told, &words[end..]].concat()
}

/// Where what was typed is kept, as the XDG base directories have it.
fn history_path() -> Option<PathBuf> {
    let state =
        std::env::var_os("XDG_STATE_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    Some(state.or_else(home)?.join("quorate/history"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> Target {
        Target { nodes: vec!["a:1".into(), "b:2".into()], key_file: Some("k".into()) }
    }

    fn command(line: &str) -> Result<Option<Command>> {
        parse(shlex::split(line).expect("closed quotations"), &target())
    }

    #[test]
    fn a_line_goes_to_the_nodes_of_the_repl_unless_it_names_others() {
        let nodes = |line: &str| match command(line) {
            Ok(Some(Command::Put(put))) => put.request.target.nodes,
            other => panic!("{line}: {other:?}"),
        };
        assert_eq!(nodes("put b k 'two words'"), ["a:1", "b:2"]);
        assert_eq!(nodes("put b k v --node c:3"), ["c:3"]);
        assert_eq!(nodes("quorate put b k -- --v"), ["a:1", "b:2"]);
        let Ok(Some(Command::Ring(ring))) = command("ring --partitions") else { panic!("a ring") };
        assert_eq!(ring.look.target.nodes, ["a:1", "b:2"]);
        let Ok(Some(Command::Bucket(_))) = command("bucket list") else {
            panic!("a list of buckets")
        };
        let Ok(Some(Command::Cluster(_))) = command("cluster start --nodes 3") else {
            panic!("a cluster")
        };
        let Ok(Some(Command::Cluster(_))) = command("cluster start") else { panic!("a cluster") };
    }

    #[test]
    fn what_makes_no_sense_at_a_prompt_is_refused() {
        for line in ["repl", "serve --name n1", "demo", "put b k -", "nothing", "get b"] {
            assert_eq!(command(line).expect_err(line).code(), "invalid", "{line}");
        }
    }

    #[test]
    fn comments_and_blank_lines_are_nothing_and_exit_ends() {
        for line in ["", "   ", "# a note"] {
            assert!(matches!(line_said(line, &target()), Said::Done(Ok(()))), "{line}");
        }
        assert!(matches!(line_said("exit", &target()), Said::Over));
        assert!(matches!(line_said("put b 'k", &target()), Said::Done(Err(_))));
    }
}
