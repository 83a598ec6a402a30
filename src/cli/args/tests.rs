//! Every name that people type, and some that they should not.

use super::*;
use clap::CommandFactory;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split(' '))
}

#[test]
fn the_tree_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_name_of_the_interface_parses() {
    for line in [
        "quorate demo --nodes 3 --dir d --logs a b --once",
        "quorate serve -c f --name n --data-dir d --listen 127.0.0.1:1 --http 127.0.0.1:2 --syslog 127.0.0.1:6 --advertise 127.0.0.1:3 --join 127.0.0.1:4,127.0.0.1:5 --bootstrap --zone z --insecure",
        "quorate cluster start --nodes 5 --dir D --base-port 7600",
        "quorate cluster --dir D status -o json",
        "quorate cluster kill 3 --dir D",
        "quorate cluster restart n3",
        "quorate cluster wipe 3",
        "quorate cluster pause 1 2",
        "quorate cluster resume 3",
        "quorate cluster stop",
        "quorate put b k v --sort s --consistency quorum --r 1 --w 2 --strict --context t --timeout 250ms --ttl 7d",
        "quorate put b k - --hex",
        "quorate get b k --siblings --explain -o json --node 127.0.0.1:1,127.0.0.1:2",
        "quorate watch b k --sort s --once -o json",
        "quorate delete b k --context t",
        "quorate scan b k --from a --to z --limit 3",
        "quorate scan b k --prefix p --output json",
        "quorate scan b k --reverse --prefix p --limit 3",
        "quorate keys b",
        "quorate keys b --prefix p --limit 3 --consistency one -o json",
        "quorate bucket create b --n 3 --r 2 --w 2 --conflict lww",
        "quorate bucket create b --type counter",
        "quorate bucket set b --r 1 --w default --ttl 15m",
        "quorate bucket set b --ttl default",
        "quorate bucket drop b --yes",
        "quorate keygen",
        "quorate accept-loss n2 --yes",
        "quorate keygen f",
        "quorate status --key-file f",
        "quorate serve --key-file f",
        "quorate cluster start --sealed",
        "quorate drain --node 127.0.0.1:7620",
        "quorate drain --off",
        "quorate counter add b k -5 --w 2 -o json",
        "quorate counter add b k",
        "quorate counter get b k --r 1",
        "quorate set add b k x y --consistency all -- -z",
        "quorate set remove b k x --hex",
        "quorate set members b k -o json",
        "quorate set contains b k x",
        "quorate map update b k f --increment -1",
        "quorate map update b k f --add a --add b --remove c",
        "quorate map update b k f --flag true",
        "quorate map update b k f --assign x",
        "quorate map remove b k f",
        "quorate map get b k",
        "quorate register assign b k -",
        "quorate register get b k",
        "quorate hll add b k x y",
        "quorate hll count b k",
        "quorate bucket list -o json",
        "quorate bucket get b",
        "quorate status",
        "quorate members -o json",
        "quorate ring",
        "quorate locate b k --sort s",
        "quorate hints",
        "quorate info",
        "quorate backup d --node 127.0.0.1:1 -o json",
        "quorate restore d --data-dir D -o json",
        "quorate dump --local --bucket b --data-dir D",
        "quorate dump --local --bucket b",
        "quorate doctor --between 1s --node 127.0.0.1:1 -o json",
        "quorate monitor --duration 1m -o json",
        "quorate debug d --config a --config b -o json",
        "quorate repl --history f --node 127.0.0.1:1",
        "quorate completions zsh",
        "quorate man --dir d",
        "quorate sim --seed 7 --runs 3 --steps 5 -o json",
        "quorate sim --scale --seed 7 --members 5,50 -o json",
        "quorate latency --duration 3s --interval 5ms --bucket b --key k --node 127.0.0.1:1 -o json",
        "quorate bench --workload a --clients 2 --in-flight 3 --value-bytes 1KiB --keys 5 --duration 1s --consistency all --rate 100",
    ] {
        if let Err(error) = parse(line) {
            panic!("{line}: {error}");
        }
    }
}

#[test]
fn a_value_may_begin_with_a_dash_and_flags_still_follow() {
    let cli = parse("quorate put b k -5 --w 2").unwrap();
    let Command::Put(put) = cli.command else { panic!("not a put") };
    assert_eq!((put.value.as_str(), put.request.quorum.w), ("-5", Some(2)));
}

#[test]
fn several_nodes_are_several() {
    let cli = parse("quorate status --node a:1,b:2").unwrap();
    let Command::Status(status) = cli.command else { panic!("not a status") };
    assert_eq!(status.look.target.nodes, ["a:1", "b:2"]);
}

#[test]
fn nonsense_is_refused() {
    for line in [
        "quorate put b k",
        "quorate get b k --hex --base64",
        "quorate put b k v --timeout 5",
        "quorate put b k v --consistency most",
        "quorate dump",
        "quorate completions cmd",
        "quorate debug",
        "quorate cluster kill 0",
        "quorate cluster kill",
        "quorate demo --nodes 2",
        "quorate nothing",
        "quorate sim --scale --members 1",
        "quorate sim --scale --members 5,1001",
        "quorate sim --members 5",
        "quorate sim --scale --runs 3",
    ] {
        assert!(parse(line).is_err(), "{line}");
    }
}
