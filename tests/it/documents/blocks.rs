//! The blocks of README and tutorial, run.
//!
//! ```text
//!   README.md ──▶ sh blocks, line by line ──▶ one bash, in a new folder, with the binary of this build on its path
//!                                               │ after each line: did it end as its comment says?
//!   ports 7610 to 7652 ──▶ free ones            ▼
//!                                        every line, with what it said
//! ```
//!
//! A line is to succeed, unless its own comment says `exit code 1` or `an error`. `curl` fails where HTTP says an error.
//! A block that cannot be run says why on the line before it, in a comment that readers do not see; so nothing is left
//! out unsaid. Other languages have checks of their own.

use super::markdown::{Block, blocks};
use super::{read, root};
use crate::processes::cluster::{QUORATE, free_base};
use regex::Regex;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// How long one document may take, in seconds: it promises ten minutes to people.
const LIMIT: &str = "300";
/// How many nodes the documents start.
const NODES: u16 = 5;

/// What the lines are run behind. `quorate` is a function, so that a cluster is started at free ports.
const PREAMBLE: &str = r#"
set -o pipefail
quorate() {
    if [ "$1 $2" = "cluster start" ]; then command quorate "$@" --base-port "$BASE_PORT"; else command quorate "$@"; fi
}
curl() { command curl --fail --max-time 30 "$@"; }
ended() { # CODE LINE EXPECTED
    if [ "$1" = "$3" ] || { [ "$3" = some ] && [ "$1" != 0 ]; }; then return; fi
    printf 'FAIL line %s: exit code %s\n' "$2" "$1"
}
"#;

#[test]
fn every_block_of_the_readme_does_what_it_says() {
    check("README.md");
}

#[test]
fn every_block_of_the_tutorial_does_what_it_says() {
    check("docs/tutorial.md");
}

fn check(name: &str) {
    let document = read(&root().join(name));
    let blocks = blocks(&document);
    assert!(blocks.len() > 5, "{name}: the blocks were not found");
    let mut shell = Vec::new();
    for block in &blocks {
        if let Some(why) = &block.not_run {
            assert!(why.len() > 10, "{name}:{}: a reason, please", block.line);
            println!("{name}:{}: not run: {why}", block.line);
            continue;
        }
        match block.language.as_str() {
            "sh" => shell.push(block),
            "toml" => is_a_dependency(name, block),
            "text" => names_what_is_there(name, block),
            other => panic!("{name}:{}: nobody runs `{other}`: say why", block.line),
        }
    }
    for tool in ["bash", "curl", "jq"] {
        let there = Command::new(tool).arg("--version").stdout(Stdio::null()).status();
        if !there.is_ok_and(|status| status.success()) {
            println!("{name}: skipped: there is no {tool}");
            return;
        }
    }
    run(name, &shell);
}

fn run(name: &str, blocks: &[&Block]) {
    let folder = tempfile::tempdir().expect("a folder");
    let base = free_base(NODES);
    let mut script = PREAMBLE.to_owned();
    for block in blocks {
        for (at, line) in block.text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty())
        {
            let number = block.line + 1 + at;
            let expected = if line.contains("# exit code 1") || line.contains("# an error") {
                "some"
            } else {
                "0"
            };
            let line = at_free_ports(line, base);
            script += &format!(
                "printf '%s\\n' \"line {number}\" >&2\n{line}\nended $? {number} {expected}\n"
            );
        }
    }
    material(folder.path());
    let bin = Path::new(QUORATE).parent().expect("a folder");
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").expect("a path"));
    let mut command = Command::new("timeout");
    command.args([LIMIT, "bash", "-s"]);
    command.current_dir(folder.path()).env("PATH", path).env("BASE_PORT", base.to_string());
    command.env("QUORATE_NODE", format!("127.0.0.1:{}", base + 10));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut bash = command.spawn().expect("bash");
    // Whatever becomes of the lines, no node outlives them.
    let _stop = StopCluster(folder.path());
    let mut input = bash.stdin.take().expect("a pipe");
    let script_file = folder.path().join("script");
    fs::write(&script_file, &script).expect("a writable folder");
    writeln!(input, "source ./script").expect("it reads");
    drop(input);
    let output = bash.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() || said.contains("FAIL"),
        "{name}: {}: {complained}",
        output.status
    );
    let failed: Vec<&str> = said.lines().filter(|line| line.contains("FAIL line ")).collect();
    assert!(failed.is_empty(), "{name}: {failed:#?}\n{said}\n{complained}");
    assert!(
        complained.matches("line ").count() > 10,
        "{name}: nothing was run:\n{said}\n{complained}"
    );
}

/// What the documents take for granted: two logs.
fn material(folder: &Path) {
    let now = jiff::Timestamp::now();
    let log = format!("{now} ERROR it did not work\n{now} INFO it did\n");
    fs::write(folder.join("access.log"), &log).expect("a writable folder");
    let file = fs::File::create(folder.join("worker.log.gz")).expect("a writable folder");
    let mut packed = flate2::write::GzEncoder::new(file, flate2::Compression::default());
    packed.write_all(log.replace("work", "sleep").as_bytes()).expect("a writable file");
    packed.finish().expect("a writable file");
}

/// Ends a cluster that a block has left behind.
struct StopCluster<'a>(&'a Path);

impl Drop for StopCluster<'_> {
    fn drop(&mut self) {
        if self.0.join("quorate-cluster").exists() {
            let mut kill = Command::new(QUORATE);
            kill.args(["cluster", "kill", "1", "2", "3", "4", "5"]).current_dir(self.0);
            let _ = kill.stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
    }
}

/// The documents' ports, 7600 and what is above, from another base.
fn at_free_ports(line: &str, base: u16) -> String {
    let port = Regex::new(r"\b76([0-5][0-9])\b").expect("a pattern");
    let moved = |found: &regex::Captures<'_>| {
        let above: u16 = found[1].parse().expect("two digits");
        (base + above).to_string()
    };
    port.replace_all(line, moved).into_owned()
}

/// The dependency is this crate, at this version, with features that it has.
fn is_a_dependency(name: &str, block: &Block) {
    let said: toml::Table =
        block.text.parse().unwrap_or_else(|e| panic!("{name}:{}: {e}", block.line));
    let own: toml::Table = read(&root().join("Cargo.toml")).parse().expect("TOML");
    let said = &said["dependencies"]["quorate"];
    let version = said["version"].as_str().expect("a version");
    let ours = own["package"]["version"].as_str().expect("a version");
    assert!(ours.starts_with(version), "{name}:{}: {version}, and this is {ours}", block.line);
    for feature in said["features"].as_array().expect("features") {
        let feature = feature.as_str().expect("a name");
        assert!(own["features"].get(feature).is_some(), "{name}:{}: {feature}", block.line);
    }
}

/// A list of paths: what stands first on a line is there.
fn names_what_is_there(name: &str, block: &Block) {
    for line in block.text.lines().filter(|line| !line.starts_with(' ')) {
        let path = line.split_whitespace().next().unwrap_or_default();
        assert!(root().join(path).exists(), "{name}:{}: there is no {path}", block.line);
    }
}

#[test]
fn ports_move_together_and_other_numbers_stay() {
    assert_eq!(
        at_free_ports("127.0.0.1:7610,7622 76100 2026", 12_000),
        "127.0.0.1:12010,12022 76100 2026"
    );
}
