//! Who wins, and what is told of a mistake.

use super::*;

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), text).expect("written");
    file
}

fn load(text: &str) -> Result<ServerConfig, ConfigError> {
    let file = file(text);
    ServerConfig::load(Some(file.path()), [], &[])
}

fn variable(name: &str, value: &str) -> (String, String) {
    (name.into(), value.into())
}

#[test]
fn an_unknown_key_is_refused_with_file_and_line() {
    let file = file("[node]\nname = \"n1\"\n\n[limits]\nvalue_bites = 5\n");
    let error = ServerConfig::load(Some(file.path()), [], &[]).expect_err("a misspelt key");
    let text = error.to_string();
    assert!(matches!(error, ConfigError::Line { line: 5, .. }), "{text}");
    assert!(text.starts_with("invalid: ") && text.contains("value_bites"), "{text}");
    assert!(text.contains(&format!("{}:5:", file.path().display())), "{text}");
}

#[test]
fn an_unknown_section_and_a_bad_value_are_refused_with_their_line() {
    for (text, at) in [
        ("[node]\nname = \"n1\"\n[limit]\nx = 1\n", 3),
        ("[node]\nname = \"n1\"\n[timing]\nattempt = \"soon\"\n", 4),
        ("[limits]\nvalue_bytes = \"1MB\"\n", 2),
        ("[store]\n\ndurability = \"later\"\n", 3),
        ("[node\n", 1),
    ] {
        let error = load(text).expect_err(text);
        assert!(matches!(error, ConfigError::Line { line, .. } if line == at), "{text}: {error}");
    }
}

#[test]
fn flags_beat_the_environment_beats_the_file_beats_the_defaults() {
    let file = file("[node]\nname = \"file\"\nzone = \"file\"\n[limits]\nvalue_bytes = \"2KiB\"\n");
    let config = ServerConfig::load(
        Some(file.path()),
        [
            variable("QUORATE_NODE__ZONE", "environment"),
            variable("QUORATE_NODE__WEIGHT", "7"),
            variable("QUORATE_CLUSTER__INSECURE", "true"),
            variable("QUORATE_TIMING__ATTEMPT", "70ms"),
            variable("QUORATE_NODE", "127.0.0.1:7610"),
            variable("PATH", "/bin"),
        ],
        &[
            Setting::flag("--zone", "node.zone", "flag"),
            Setting::flag("--join", "cluster.join", "127.0.0.1:1, localhost:2"),
            Setting::flag("--name", "node.name", "5"),
        ],
    )
    .expect("a configuration");
    assert_eq!(config.node.name, "5");
    assert_eq!(config.node.zone, "flag");
    assert_eq!(config.node.weight, 7);
    assert_eq!(config.limits.value_bytes, Size(2048));
    assert_eq!(config.timing.attempt, Duration::from_millis(70));
    assert_eq!(config.cluster.join.0, ["127.0.0.1:1", "localhost:2"]);
    assert!(config.cluster.insecure);
    assert_eq!(config.timing.request, Duration::from_secs(5));
}

#[test]
fn a_wrong_variable_and_a_wrong_flag_are_named() {
    let error = ServerConfig::load(None, [variable("QUORATE_LIMITS__SPEED", "9")], &[]);
    assert!(
        matches!(&error, Err(ConfigError::Setting { origin, .. }) if origin == "QUORATE_LIMITS__SPEED"),
        "{error:?}"
    );
    let flag = Setting::flag("--listen", "listen.native", "here");
    let error = ServerConfig::load(None, [], &[flag]).expect_err("not an address");
    assert!(error.to_string().starts_with("invalid: --listen: listen.native = here: "), "{error}");
}

#[test]
fn what_cannot_work_together_is_refused() {
    let cases = [
        ("", "no name"),
        ("[node]\nname = \"a b\"\n", "visible ASCII"),
        ("[node]\nname = \"n1\"\n[listen]\nnative = \"0.0.0.0:7610\"\n", "--key-file"),
        ("[node]\nname = \"n1\"\n[listen]\nhttp = \"0.0.0.0:7611\"\n", "http.token"),
        ("[node]\nname = \"n1\"\n[listen]\nsyslog = \"0.0.0.0:5514\"\n", "--insecure"),
        ("[node]\nname = \"n1\"\n[listen]\nresp = \"0.0.0.0:7612\"\n", "resp.password"),
        ("[node]\nname = \"n1\"\n[listen]\nresp = \"here\"\n", "or none"),
        (
            "[node]\nname = \"n1\"\n[listen]\nsyslog = \"127.0.0.1:7611\"\n",
            "listen.http and listen.syslog",
        ),
        (
            "[node]\nname = \"n1\"\n[listen]\nnative = \"0.0.0.0:7610\"\n[cluster]\ninsecure = true\n",
            "--advertise",
        ),
        (
            "[node]\nname = \"n1\"\n[cluster]\nbootstrap = true\njoin = [\"127.0.0.1:1\"]\n",
            "choose one",
        ),
        ("[node]\nname = \"n1\"\n[cluster]\npartitions = 1000\n", "power of two"),
        ("[node]\nname = \"n1\"\n[cluster]\nreplicas = 0\n", "1 to 16"),
        ("[node]\nname = \"n1\"\n[limits]\nconnections = 0\n", "refuse everything"),
        ("[node]\nname = \"n1\"\n[timing]\nstall = \"0s\"\n", "fail everything"),
        ("[node]\nname = \"n1\"\n[listen]\nhttp = \"127.0.0.1:7610\"\n", "two ports"),
    ];
    for (text, says) in cases {
        let error = load(text).expect_err(text).to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
}

#[test]
fn what_keeps_strangers_out_opens_a_port_to_others_and_no_other_port() {
    let listen = |port: &str, number: u16| format!("[listen]\n{port} = \"192.0.2.1:{number}\"\n");
    let locks = [
        ("native", 7610, "[cluster]\nkey_file = \"k\"\n"),
        ("http", 7611, "[http]\ntoken = \"t\"\n"),
        ("resp", 7612, "[resp]\npassword = \"p\"\n"),
    ];
    for (port, number, _) in locks {
        for (other, _, lock) in locks {
            let text = format!("[node]\nname = \"n1\"\n{}{lock}", listen(port, number));
            assert_eq!(load(&text).is_ok(), port == other, "{text}");
        }
    }
}

#[test]
fn a_password_opens_the_redis_port_to_others_and_none_closes_it() {
    let open =
        "[node]\nname = \"n1\"\n[listen]\nresp = \"0.0.0.0:7612\"\n[resp]\npassword = \"p\"\n";
    assert!(load(open).is_ok());
    let none = load("[node]\nname = \"n1\"\n[listen]\nresp = \"none\"\n").expect("none");
    assert_eq!(none.listen.resp, None);
}

#[test]
fn the_commented_example_states_the_defaults() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/node.toml");
    let mut config = ServerConfig::load(Some(&path), [], &[]).expect("the example");
    let text = std::fs::read_to_string(&path).expect("the example");
    assert_eq!(config.node.name, "n1");
    config.node.name.clear();
    assert_eq!(config, ServerConfig::default());
    // Every setting stands in it, so that whoever reads it has seen them all.
    for key in text.lines().filter_map(|l| l.trim_start_matches("# ").split_once(" = ")) {
        assert!(!key.0.is_empty());
    }
    for key in [
        "data_dir",
        "zone",
        "weight",
        "native",
        "http",
        "resp",
        "password",
        "syslog",
        "advertise",
        "join",
        "bootstrap",
        "spare",
        "partitions",
        "replicas",
        "insecure",
        "key_file",
        "token",
        "durability",
        "segment_bytes",
        "cache_bytes",
        "record_cache_bytes",
        "reserve_bytes",
        "value_bytes",
        "requests_in_flight",
        "connections",
        "http_connections",
        "resp_connections",
        "syslog_connections",
        "connection_in_flight",
        "connection_unread_bytes",
        "peer_buffer_bytes",
        "attempt",
        "request",
        "request_max",
        "breaker",
        "sync",
        "stall",
        "connect",
        "stop",
        "level",
    ] {
        let stands = |l: &str| l.trim_start_matches("# ").starts_with(&format!("{key} = "));
        assert!(text.lines().any(stands), "{key} is missing");
    }
}

#[test]
fn the_five_nodes_of_the_example_find_each_other() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/cluster");
    let nodes: Vec<ServerConfig> = (1..=5)
        .map(|i| {
            let path = folder.join(format!("n{i}.toml"));
            ServerConfig::load(Some(&path), [], &[]).expect("an example")
        })
        .collect();
    let addresses: Vec<String> = nodes.iter().map(|n| n.listen.native.to_string()).collect();
    for (i, node) in nodes.iter().enumerate() {
        assert_eq!(node.node.name, format!("n{}", i + 1));
        assert_eq!(usize::from(node.listen.native.port()), 7610 + 10 * i);
        assert_eq!(usize::from(node.listen.http.port()), 7611 + 10 * i);
        assert_eq!(node.listen.resp.map(|at| usize::from(at.port())), Some(7612 + 10 * i));
        assert_eq!(node.cluster.bootstrap, i == 0);
        assert!(node.cluster.join.0.iter().all(|a| addresses.contains(a)));
        assert_eq!(node.cluster.join.0.is_empty(), i == 0);
    }
}

#[test]
fn durations_and_sizes_read_as_people_write_them() {
    assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
    assert_eq!(parse_duration("2h"), Ok(Duration::from_secs(7200)));
    assert_eq!(parse_duration("7d"), Ok(Duration::from_secs(7 * 86_400)));
    for wrong in ["", "5", "s", "-1s", "1.5s", "99999999999999999999s", "9999999999999999d"] {
        assert!(parse_duration(wrong).is_err(), "{wrong}");
    }
    assert_eq!(parse_size("64KiB"), Ok(65_536));
    assert_eq!(parse_size("12"), Ok(12));
    for wrong in ["", "KiB", "1KB", "-1", "99999999999GiB"] {
        assert!(parse_size(wrong).is_err(), "{wrong}");
    }
}
