//! `quorate completions` and `quorate man`: both are made from the tree that parses the command line, at the moment
//! somebody asks. No copy of them is kept anywhere, so none can be out of date.

use super::args::{Cli, CompletionsArgs, ManArgs};
use super::failure::{About, Result};
use super::output::raw;
use clap::{Command, CommandFactory};
use std::fs;
use std::path::Path;

/// The name of the program.
const NAME: &str = "quorate";

/// `quorate completions SHELL`: a script for that shell, on standard output.
pub(super) fn completions(args: &CompletionsArgs) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), NAME, &mut script);
    raw(&script)
}

/// `quorate man`: the page of the program itself on standard output, or all pages into a folder.
pub(super) fn man(args: &ManArgs) -> Result<()> {
    match &args.dir {
        Some(dir) => write_pages(dir),
        None => raw(&page(Cli::command())),
    }
}

fn write_pages(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).about(dir.display())?;
    for (name, page) in pages() {
        let path = dir.join(format!("{name}.1"));
        fs::write(&path, page).about(path.display())?;
    }
    Ok(())
}

/// Every page with its name: `quorate`, `quorate-put`, `quorate-ring-plan`.
fn pages() -> Vec<(String, Vec<u8>)> {
    let mut root = Cli::command();
    // Builds the names with the dashes of all commands below.
    root.build();
    let mut pages = Vec::new();
    collect(&root, NAME, &mut pages);
    pages
}

fn collect(command: &Command, name: &str, pages: &mut Vec<(String, Vec<u8>)>) {
    pages.push((name.to_owned(), page(command.clone())));
    for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
        collect(below, &format!("{name}-{}", below.get_name()), pages);
    }
}

fn page(command: Command) -> Vec<u8> {
    let mut page = Vec::new();
    let man = clap_mangen::Man::new(command).manual("Quorate");
    man.render(&mut page).expect("memory takes what is written to it");
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;
    use clap_complete::Shell;

    /// Every command that is shown, with its name as it is typed, and its flags.
    fn commands() -> Vec<(Vec<String>, Vec<String>)> {
        fn walk(command: &Command, path: &[String], out: &mut Vec<(Vec<String>, Vec<String>)>) {
            let shown = command.get_arguments().filter(|arg| !arg.is_hide_set());
            let flags = shown.filter_map(|arg| arg.get_long().map(str::to_owned)).collect();
            out.push((path.to_vec(), flags));
            for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
                walk(below, &[path, &[below.get_name().to_owned()]].concat(), out);
            }
        }
        let (mut root, mut out) = (Cli::command(), Vec::new());
        root.build();
        walk(&root, &[], &mut out);
        out
    }

    #[test]
    fn every_shell_completes_every_command_and_every_flag() {
        let commands = commands();
        assert!(commands.len() > 40, "the tree was not walked");
        for shell in Shell::value_variants() {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), NAME, &mut script);
            let script = String::from_utf8(script).expect("text");
            for (path, flags) in &commands {
                if let Some(name) = path.last() {
                    assert!(script.contains(name.as_str()), "{shell}: {path:?}");
                }
                for flag in flags {
                    // fish spells `-l flag`, the others `--flag`.
                    let long = format!("--{flag}");
                    let fish = format!("-l {flag}");
                    assert!(
                        script.contains(&long) || script.contains(&fish),
                        "{shell}: {path:?} {long}"
                    );
                }
            }
        }
    }

    #[test]
    fn every_command_has_a_page_that_names_every_flag() {
        let pages = pages();
        let commands = commands();
        assert_eq!(pages.len(), commands.len());
        for (path, flags) in commands {
            let name = [vec![NAME.to_owned()], path].concat().join("-");
            let page = &pages.iter().find(|(of, _)| *of == name).expect("a page").1;
            // A dash is escaped in these pages.
            let page = String::from_utf8_lossy(page).replace("\\-", "-");
            for flag in flags {
                assert!(page.contains(&format!("--{flag}")), "{name}: --{flag}:\n{page}");
            }
        }
    }
}
