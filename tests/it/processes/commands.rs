//! The command line as a user types it, against three nodes.

use super::cluster::{Cluster, QUORATE, SOON, complained, quorate, said, text, until};
use super::http::{unbase64, values};
use serde_json::Value;
use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

struct User {
    node: String,
}

impl User {
    fn run(&self, arguments: &[&str]) -> Output {
        quorate(arguments.iter().copied().chain(["--node", &self.node]))
    }

    /// What it prints, and it exits with 0.
    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", complained(&output));
        assert_eq!(complained(&output), "", "{arguments:?}");
        said(&output)
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let text = self.ok(&[arguments, &["-o", "json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}"))
    }

    /// It exits with 1 and one line that begins with this code.
    fn fails(&self, arguments: &[&str], code: &str) -> Output {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", said(&output));
        let line = complained(&output);
        assert!(
            line.starts_with(&format!("{code}: ")) && line.lines().count() == 1,
            "{arguments:?}: {line}"
        );
        output
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_gets_along_with_the_command_line_alone() {
    let cluster = Cluster::start(3).await;
    let user = User { node: cluster.native(2).to_string() };
    items(&user);
    ranges(&user);
    buckets(&user);
    buckets_over_http(&cluster).await;
    looks(&user, &cluster);
    processes(&cluster).await;
}

/// An item that ends by itself, and a bucket whose items do.
fn expiry(user: &User) {
    user.ok(&["bucket", "create", "brief", "--ttl", "1s"]);
    for (bucket, ttl) in [("carts", &["--ttl", "1s"][..]), ("brief", &[])] {
        user.ok(&[&["put", bucket, "carol", "x", "--consistency", "all"], ttl].concat());
        user.ok(&["put", bucket, "dave", "x", "--ttl", "1h"]);
        let began = Instant::now();
        while user.run(&["get", bucket, "carol"]).status.code() == Some(0) {
            assert!(began.elapsed() < Duration::from_secs(20), "it never expires");
            std::thread::sleep(Duration::from_millis(50));
        }
        user.fails(&["get", bucket, "carol"], "not_found");
        assert_eq!(user.ok(&["get", bucket, "dave"]), "x");
    }
    user.ok(&["delete", "carts", "dave"]);
}

fn items(user: &User) {
    user.fails(&["get", "carts", "alice"], "not_found");
    let context = user.ok(&["put", "carts", "alice", "tea"]);
    assert!(!context.is_empty() && !context.contains(char::is_whitespace), "{context}");
    assert_eq!(user.ok(&["get", "carts", "alice"]), "tea");
    let written = user.json(&["put", "carts", "alice", "milk", "--context", &context, "--w", "3"]);
    assert_eq!(written["info"]["replied"].as_array().map(Vec::len), Some(3), "{written}");
    user.ok(&["put", "carts", "alice", "honey", "--context", &context, "--consistency", "all"]);
    let output = user.fails(&["get", "carts", "alice"], "siblings");
    assert!(
        said(&output).contains("honey") && said(&output).contains("milk"),
        "the list: {}",
        said(&output)
    );
    let list = user.ok(&["get", "carts", "alice", "--siblings"]);
    assert!(list.contains("honey") && list.contains("milk"), "{list}");
    let got = user.json(&["get", "carts", "alice", "--siblings", "--r", "3"]);
    assert_eq!(values(&got), ["honey", "milk"]);
    assert!(
        got["info"]["coordinator"].is_string() && got["siblings"][0]["dot"].is_string(),
        "{got}"
    );
    let context = user.ok(&["put", "carts", "alice", "both", "--context", text(&got["context"])]);
    assert_eq!(values(&user.json(&["get", "carts", "alice", "--consistency", "all"])), ["both"]);
    let explained = user.run(&["get", "carts", "alice", "--explain", "--strict"]);
    assert!(complained(&explained).contains("coordinated by n"), "{}", complained(&explained));
    user.fails(&["put", "carts", "bob", "x", "--context", &context], "invalid");
    user.ok(&["delete", "carts", "alice", "--context", &context]);
    user.fails(&["get", "carts", "alice"], "not_found");
    user.fails(&["get", "carts", "alice", "--r", "4"], "invalid");
    user.fails(&["put", "carts", "alice", "x", "--ttl", "0s"], "invalid");
    user.fails(&["get", "carts", "alice"], "not_found");
    expiry(user);
    // Bytes of any kind, in and out.
    user.ok(&["put", "carts", "00ff", "c0ffee", "--hex"]);
    assert_eq!(user.ok(&["get", "carts", "00ff", "--hex"]), "c0ffee");
    assert_eq!(user.ok(&["get", "carts", "AP8=", "--base64"]), "wP/u");
    let mut piped = Command::new(QUORATE);
    piped
        .args(["put", "carts", "piped", "-", "--node", &user.node])
        .stdin(Stdio::piped())
        .stdout(Stdio::null());
    let mut piped = piped.spawn().expect("it runs");
    piped.stdin.take().expect("piped").write_all(b"from\0a pipe\n").expect("written");
    assert!(piped.wait().expect("it ends").success());
    assert_eq!(user.run(&["get", "carts", "piped"]).stdout, b"from\0a pipe\n");
}

fn ranges(user: &User) {
    for hour in ["08", "09", "10", "11"] {
        user.ok(&["put", "logs", "web", &format!("line at {hour}"), "--sort", &format!("t{hour}")]);
    }
    let sorts = |arguments: &[&str]| -> Vec<String> {
        let page = user.json(&[&["scan", "logs", "web"], arguments].concat());
        let items = page["items"].as_array().expect("items").iter();
        items.map(|item| String::from_utf8(unbase64(text(&item["sort"]))).expect("text")).collect()
    };
    assert_eq!(sorts(&[]), ["t08", "t09", "t10", "t11"]);
    assert_eq!(sorts(&["--prefix", "t1"]), ["t10", "t11"]);
    assert_eq!(sorts(&["--from", "t09", "--to", "t11"]), ["t09", "t10"]);
    assert_eq!(sorts(&["--limit", "2", "--r", "3"]), ["t08", "t09"]);
    let page = user.json(&["scan", "logs", "web", "--limit", "2"]);
    assert_eq!(unbase64(text(&page["next"])), b"t10");
    assert_eq!(user.ok(&["get", "logs", "web", "--sort", "t09"]), "line at 09");
    assert!(user.ok(&["scan", "logs", "web"]).contains("line at 11"));
}

fn buckets(user: &User) {
    let settings = ["--n", "3", "--w", "3", "--r", "1", "--conflict", "lww"];
    for _ in ["first", "again"] {
        user.ok(&[&["bucket", "create", "settings"][..], &settings].concat());
    }
    user.fails(&["bucket", "create", "wrong", "--w", "9"], "invalid");
    user.fails(&["bucket", "get", "nothing"], "not_found");
    let bucket = user.json(&["bucket", "get", "settings"]);
    assert_eq!(
        (&bucket["n"], &bucket["w"], &bucket["r"], &bucket["conflict"]),
        (&3.into(), &3.into(), &1.into(), &"lww".into())
    );
    let list = user.json(&["bucket", "list"]);
    let names: Vec<&str> =
        list["buckets"].as_array().expect("a list").iter().map(|b| text(&b["name"])).collect();
    assert!(["carts", "logs", "settings"].iter().all(|name| names.contains(name)), "{names:?}");
    user.ok(&["put", "settings", "k", "first"]);
    user.ok(&["put", "settings", "k", "second"]);
    assert_eq!(user.ok(&["get", "settings", "k"]), "second");
    for _ in ["first", "again"] {
        user.ok(&["bucket", "set", "settings", "--w", "1", "--r", "default", "--ttl", "1h"]);
    }
    user.ok(&["bucket", "set", "settings", "--w", "2"]);
    let began = Instant::now();
    let changed = loop {
        let bucket = user.json(&["bucket", "get", "settings"]);
        if bucket["w"] == 2 || began.elapsed() > Duration::from_secs(20) {
            break bucket;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(
        (&changed["n"], &changed["w"], &changed["r"], &changed["ttl_ms"]),
        (&3.into(), &2.into(), &Value::Null, &3_600_000.into())
    );
    assert_eq!(user.ok(&["get", "settings", "k"]), "second", "what was there stays");
    user.fails(&["bucket", "set", "settings", "--w", "4"], "invalid");
    user.fails(&["bucket", "set", "nothing", "--ttl", "default"], "not_found");
    assert_eq!(user.run(&["bucket", "set", "settings"]).status.code(), Some(2), "nothing to set");
    dropped(user);
}

/// The same changes by whoever has no command line.
async fn buckets_over_http(cluster: &Cluster) {
    let ask = async |method, path, body: &[u8]| {
        let answer = cluster.ask(2, method, path, &[], body).await;
        (answer.status, if answer.status == 204 { String::new() } else { answer.code() })
    };
    let ok = (204, String::new());
    assert_eq!(ask("POST", "/v1/buckets", br#"{"name":"short","n":3,"w":3}"#).await, ok);
    assert_eq!(ask("PUT", "/v1/kv/short/k", b"v").await, ok);
    assert_eq!(ask("POST", "/v1/buckets/short", br#"{"w":null,"r":1}"#).await, ok);
    let is_changed = async || {
        let list = cluster.get(2, "/v1/buckets").await.map_err(|error| error.to_string())?.json();
        let buckets = list["buckets"].as_array().expect("a list");
        let short = buckets.iter().find(|bucket| bucket["name"] == "short").expect("there");
        match short["w"].is_null() && short["r"] == 1 {
            true => Ok(()),
            false => Err(short.to_string()),
        }
    };
    until("n2 knows the change", SOON, is_changed).await;
    let invalid = (400, "invalid".to_owned());
    assert_eq!(ask("POST", "/v1/buckets/short", br#"{"w":4}"#).await, invalid);
    let missing = (404, "not_found".to_owned());
    assert_eq!(ask("POST", "/v1/buckets/nothing", br#"{"w":1}"#).await, missing);
    assert_eq!(ask("DELETE", "/v1/buckets/short", b"").await, ok);
    assert_eq!(ask("GET", "/v1/kv/short/k", b"").await, missing);
    assert_eq!(ask("DELETE", "/v1/buckets/short", b"").await, missing);
}

/// A bucket, and all that is in it, goes; the next of its name is another one.
fn dropped(user: &User) {
    user.ok(&["put", "brittle", "only-here", "v", "--consistency", "all"]);
    // `only-here`, as it is told.
    let key = "b25seS1oZXJl";
    assert!(user.ok(&["dump", "--local"]).contains(key));
    let told = complained(&user.fails(&["bucket", "drop", "brittle"], "invalid"));
    assert!(told.contains("--yes"), "{told}");
    assert_eq!(user.ok(&["get", "brittle", "only-here"]), "v", "it was only a question");
    user.fails(&["bucket", "drop", "nothing", "--yes"], "not_found");
    user.fails(&["bucket", "drop", "logs", "--yes"], "invalid");
    user.ok(&["bucket", "drop", "brittle", "--yes"]);
    user.fails(&["bucket", "get", "brittle"], "not_found");
    let began = Instant::now();
    while user.ok(&["dump", "--local"]).contains(key) {
        assert!(began.elapsed() < Duration::from_secs(20), "it is never erased");
        std::thread::sleep(Duration::from_millis(50));
    }
    user.ok(&["bucket", "create", "brittle", "--n", "1"]);
    user.fails(&["get", "brittle", "only-here"], "not_found");
}

fn looks(user: &User, cluster: &Cluster) {
    let members = user.json(&["members"]);
    let states: Vec<(&str, &str)> = members["members"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|m| (text(&m["name"]), text(&m["state"])))
        .collect();
    assert_eq!(states, [("n1", "alive"), ("n2", "alive"), ("n3", "alive")]);
    // What only each of them can know is there at the first look.
    for member in members["members"].as_array().into_iter().flatten() {
        let sizes = ["store_bytes", "free_bytes"].map(|name| member[name].as_u64());
        assert!(sizes.iter().all(|size| size.is_some_and(|size| size > 0)), "{member}");
        assert_eq!((&member["told"], &member["local_health"]), (&true.into(), &0.into()));
    }
    let ring = user.json(&["ring"]);
    assert_eq!(
        (ring["members"].as_array().map(Vec::len), ring["table"].as_array().map(Vec::len)),
        (Some(3), Some(1024))
    );
    assert!(user.ok(&["ring", "--partitions"]).lines().count() > 1024);
    let place = user.json(&["locate", "logs", "web", "--sort", "t08"]);
    let replicas = place["replicas"].as_array().expect("a list");
    assert!(replicas.len() >= 3 && replicas.iter().all(|r| r["present"] == true), "{place}");
    assert_eq!(user.json(&["hints"])["pending"], 0);
    let info = user.json(&["info"]);
    assert_eq!((text(&info["name"]), text(&info["address"])), ("n2", user.node.as_str()));
    let status = user.json(&["status"]);
    assert_eq!(
        (&status["nodes"]["alive"], &status["ready"]),
        (&3.into(), &true.into()),
        "{status}"
    );
    let words = user.ok(&["status"]);
    assert!(words.starts_with("healthy") || words.starts_with("attention"), "{words}");
    for table in ["members", "ring", "hints", "info"] {
        assert!(!user.ok(&[table]).is_empty());
    }
    // One JSON object a line, as the interface describes it.
    let dump = user.ok(&["dump", "--local", "--bucket", "logs"]);
    let lines: Vec<Value> =
        dump.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect();
    assert_eq!(lines.len(), 4);
    for line in &lines {
        assert_eq!(
            (text(&line["bucket"]), unbase64(text(&line["key"]))),
            ("logs", b"web".to_vec())
        );
        assert!(line["vector"].is_object() && values(line)[0].starts_with("line at "), "{line}");
    }
    let all = user.ok(&["dump", "--local"]);
    assert!(
        all.contains("\"tombstone\":true") && all.lines().count() > lines.len(),
        "the deleted cart is one"
    );
    let bench =
        user.json(&["bench", "--duration", "300ms", "--clients", "4", "--value-bytes", "100"]);
    assert!(
        bench["throughput"].as_f64().is_some_and(|t| t > 0.0) && bench["errors"] == 0,
        "{bench}"
    );
    assert!(
        bench["p50_us"].is_number() && bench["p999_us"].is_number() && bench["unknown"] == 0,
        "{bench}"
    );
    // New keys, ranges, and reads that are written back.
    for (workload, words) in
        [("d", "read latest"), ("e", "short ranges"), ("f", "read, modify, write")]
    {
        let load =
            ["--workload", workload, "--duration", "300ms", "--clients", "4", "--keys", "400"];
        let bench = user.json(&[&["bench", "--value-bytes", "100"][..], &load].concat());
        assert_eq!((&bench["workload"], &bench["errors"]), (&words.into(), &0.into()), "{bench}");
        assert!(bench["requests"].as_u64() > Some(20), "{bench}");
    }
    let both = format!("{},{}", cluster.native(1), cluster.native(2));
    let output = quorate(["dump", "--local", "--node", &both]);
    assert_eq!(output.status.code(), Some(1), "a dump is of one node");
}

async fn processes(cluster: &Cluster) {
    let status = || -> Vec<(String, String, bool)> {
        let all: Value =
            serde_json::from_str(&cluster.must(&["status", "-o", "json"])).expect("JSON");
        let nodes = all["nodes"].as_array().expect("a list").iter();
        nodes
            .map(|n| (text(&n["name"]).into(), text(&n["state"]).into(), n["ready"] == true))
            .collect()
    };
    let all = |state: &str, ready| -> Vec<(String, String, bool)> {
        ["n1", "n2", "n3"].map(|name| (name.to_string(), state.to_string(), ready)).into()
    };
    assert_eq!(status(), all("up", true));
    cluster.must(&["pause", "3"]);
    assert_eq!(status()[2].1, "paused");
    cluster.must(&["resume", "3"]);
    cluster.must(&["kill", "3"]);
    assert_eq!(status()[2], ("n3".into(), "down".into(), false));
    let error = cluster.command(&["kill", "9"]).expect_err("there is no n9");
    assert!(error.starts_with("not_found: "), "{error}");
    // When it says that they have met, they have.
    let told = cluster.must(&["start"]);
    assert!(told.ends_with("all 3 see each other alive"), "{told}");
    for number in cluster.numbers() {
        for whom in cluster.others(number) {
            assert_eq!(cluster.state_of(number, whom).await.as_deref(), Ok("alive"));
        }
    }
    cluster.must(&["stop"]);
    assert_eq!(status(), all("down", false));
}
