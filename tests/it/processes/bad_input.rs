//! What is wrong is told in one line, with what to do, and nothing is lost by it.

use super::cluster::{Cluster, QUORATE, complained, free_base};
use super::http::values;
use super::process::Guard;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// How long a node may take to find out that it cannot run.
const REFUSED: Duration = Duration::from_secs(20);

/// `quorate serve` with these flags, which must end by itself and not well. Returns what it complained about.
fn refused(flags: &[&str], environment: &[(&str, &str)]) -> String {
    let mut command = Command::new(QUORATE);
    command.arg("serve").args(flags).envs(environment.iter().copied());
    let mut node =
        Guard(command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it runs"));
    assert!(node.ends(REFUSED), "{flags:?} {environment:?}: the node runs");
    let mut text = String::new();
    std::io::Read::read_to_string(&mut node.0.stderr.take().expect("piped"), &mut text)
        .expect("text");
    let status = node.0.wait().expect("it has ended");
    assert!(matches!(status.code(), Some(1 | 2)), "{flags:?}: {status}: {text}");
    // What it logged stands before; the error itself is the last line.
    text.trim_end().lines().last().unwrap_or_default().to_string()
}

fn said(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{text}` does not say `{part}`");
    }
}

#[test]
fn a_wrong_setting_is_told_with_its_file_and_line() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("node.toml");
    let config = |text: &str| {
        fs::write(&file, text).expect("written");
        refused(&["--config", &file.display().to_string()], &[])
    };
    let path = file.display();
    said(
        &config("[node]\nname = \"n1\"\n\n[limits]\nvalue_byte = 7\n"),
        &["invalid:", &format!("{path}:5"), "value_byte"],
    );
    said(&config("[node]\nname = \"n1\"\n[nodes]\n"), &["invalid:", &format!("{path}:3"), "nodes"]);
    said(&config("[node]\nname = \n"), &["invalid:", &format!("{path}:2")]);
    said(&config("[listen]\nnative = \"here\"\n"), &["invalid:", &format!("{path}:2")]);
    said(&refused(&["--config", "no/such/file"], &[]), &["invalid:", "no/such/file"]);
    said(
        &refused(&["--name", "n1"], &[("QUORATE_LIMITS__VALUE_BYTE", "7")]),
        &["QUORATE_LIMITS__VALUE_BYTE"],
    );
    said(&refused(&["--name", "n1", "--listen", "0.0.0.0:0"], &[]), &["invalid:", "--insecure"]);
    assert!(!Path::new("data").exists(), "nothing was made for a node that cannot be");
}

/// The flags of a node of its own.
struct Own {
    dir: tempfile::TempDir,
    native: String,
    http: String,
}

impl Own {
    fn new() -> Own {
        let base = free_base(1);
        let at = |port: u16| format!("127.0.0.1:{port}");
        Own {
            dir: tempfile::tempdir().expect("a folder"),
            native: at(base + 10),
            http: at(base + 11),
        }
    }

    fn data(&self) -> String {
        self.dir.path().join("data").display().to_string()
    }

    fn flags<'a>(&'a self, name: &'a str, data: &'a str) -> Vec<&'a str> {
        flags(name, data, &self.native, &self.http).into()
    }
}

fn flags<'a>(name: &'a str, data: &'a str, native: &'a str, http: &'a str) -> [&'a str; 10] {
    ["--name", name, "--data-dir", data, "--listen", native, "--http", http, "--resp", "none"]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_or_a_directory_that_is_not_ours_is_left_alone() {
    let cluster = Cluster::start(1).await;
    let client = cluster.client().await;
    client.put("b", "k", "kept").await.expect("acknowledged");
    let own = Own::new();
    let (native, http) = (cluster.native(1).to_string(), cluster.http(1).to_string());
    let theirs = cluster.data(1).display().to_string();

    // Ports: native (TCP and UDP) and HTTP; nothing was made before it was found out.
    let data = own.data();
    let taken = [(&native, &own.http, &native, "--listen"), (&own.native, &http, &http, "--http")];
    for (native, http, which, flag) in taken {
        let founder = [&flags("n9", &data, native, http)[..], &["--bootstrap"]].concat();
        said(&refused(&founder, &[]), &["unavailable:", which, flag]);
    }
    let udp = std::net::UdpSocket::bind(&own.native).expect("free");
    said(&refused(&own.flags("n9", &data), &[]), &["unavailable:", "UDP", &own.native]);
    drop(udp);
    assert!(!Path::new(&data).exists());

    // A directory in use, whoever asks for it.
    said(&refused(&own.flags("n1", &theirs), &[]), &["unavailable:", "use"]);
    said(&refused(&own.flags("n9", &theirs), &[]), &["unavailable:", "use"]);

    // The directory of another node, and one of a newer format.
    cluster.stop(1);
    said(&refused(&own.flags("n9", &theirs), &[]), &["`n1`", "`n9`"]);
    let format = cluster.data(1).join("FORMAT");
    let known = fs::read(&format).expect("it says its format");
    fs::write(&format, "99\n").expect("written");
    said(&refused(&own.flags("n1", &theirs), &[]), &["99"]);
    fs::write(&format, known).expect("written");
    let file = own.dir.path().join("file");
    fs::write(&file, "x").expect("written");
    said(
        &refused(&own.flags("n9", &file.display().to_string()), &[]),
        &["unavailable:", "not a directory"],
    );

    // All of that has harmed nothing.
    cluster.restart(1).await;
    let got = cluster.client().await.get("b", "k").await.expect("read");
    assert_eq!(got.value().expect("one").map(|v| &v[..]), Some(&b"kept"[..]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_request_is_refused_with_a_code_and_changes_nothing() {
    let elsewhere = Cluster::start(1).await;
    let foreign = elsewhere.ask(1, "PUT", "/v1/kv/b/k", &[], b"v").await;
    drop(elsewhere);
    let cluster = Cluster::start_with(3, &[("QUORATE_LIMITS__VALUE_BYTES", "64KiB")]).await;
    let client = cluster.client().await;
    let kept = cluster.ask(1, "PUT", "/v1/kv/b/k", &[], b"kept").await;
    assert_eq!(kept.status, 204);
    let check = async |method: &str,
                       path: &str,
                       headers: &[(&str, &str)],
                       body: &[u8],
                       status: u16,
                       code: &str| {
        let answer = cluster.ask(2, method, path, headers, body).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{method} {path}: {}",
            answer.text()
        );
    };
    // R and W.
    for (method, wrong) in [
        ("GET", "r=0"),
        ("GET", "r=4"),
        ("GET", "r=256"),
        ("PUT", "w=0"),
        ("PUT", "w=4"),
        ("DELETE", "w=4"),
    ] {
        check(method, &format!("/v1/kv/b/k?{wrong}"), &[], b"", 400, "invalid").await;
    }
    for wrong in
        ["consistency=most", "strict=yes", "timeout=0s", "timeout=1d", "colour=red", "r=1&r=2"]
    {
        check("GET", &format!("/v1/kv/b/k?{wrong}"), &[], b"", 400, "invalid").await;
    }
    check("POST", "/v1/buckets", &[], br#"{"name":"wrong","w":4}"#, 400, "invalid").await;
    check("POST", "/v1/buckets", &[], br#"{"name":"wrong","n":0}"#, 400, "invalid").await;
    // Keys.
    let long = "k".repeat(1025);
    check("PUT", "/v1/kv/b/", &[], b"v", 400, "invalid").await;
    check("PUT", "/v1/kv/B%20ig/k", &[], b"v", 400, "invalid").await;
    for path in [format!("/v1/kv/b/{long}"), format!("/v1/kv/b/k?sort={long}")] {
        let answer = cluster.ask(2, "PUT", &path, &[], b"v").await;
        assert!(
            [(400, "invalid"), (413, "too_large")].contains(&(answer.status, &answer.code())),
            "{}",
            answer.text()
        );
    }
    assert_eq!(client.put("b", "", "v").await.expect_err("empty").code(), "invalid");
    let edge = &long[..1024];
    client.put("b", edge, "longest").sort(edge).await.expect("exactly the limit is fine");
    let answer = client.put("b", &long, "v").await.expect_err("too long");
    assert!(["invalid", "too_large"].contains(&answer.code()), "{answer}");
    // Values.
    let value = vec![7; (64 << 10) + 1];
    check("PUT", "/v1/kv/b/k", &[], &value, 413, "too_large").await;
    assert_eq!(
        client.put("b", "k", value.clone()).await.expect_err("too large").code(),
        "too_large"
    );
    client.put("b", "large", value[1..].to_vec()).await.expect("exactly the limit is fine");
    // Contexts: of another key, of another bucket, of another cluster, changed on the way, no context at all.
    let other = cluster.ask(1, "PUT", "/v1/kv/b/other", &[], b"v").await;
    let bucket = cluster.ask(1, "PUT", "/v1/kv/c/k", &[], b"v").await;
    let mut changed = kept.context().to_string();
    changed.replace_range(2..6, "AAAA");
    let cut = &kept.context()[..kept.context().len() / 2];
    for wrong in
        [other.context(), bucket.context(), foreign.context(), &changed, cut, "AAAA", "no context"]
    {
        assert!(!wrong.is_empty());
        check("PUT", "/v1/kv/b/k", &[("X-Quorate-Context", wrong)], b"v", 400, "invalid").await;
        check("DELETE", "/v1/kv/b/k", &[("X-Quorate-Context", wrong)], b"", 400, "invalid").await;
    }
    // Paths and methods.
    check("GET", "/v1/nothing", &[], b"", 404, "not_found").await;
    check("PATCH", "/v1/kv/b/k", &[], b"", 405, "invalid").await;
    check("GET", "/v1/kv/b/%zz", &[], b"", 400, "invalid").await;
    // The value is what it was, everywhere, and everybody is ready.
    let items = cluster.agree("b", 3).await;
    let key = items.keys().find(|key| *key == "aw==/").expect("`k` is there");
    assert_eq!(values(&items[key]), ["kept"]);
    for number in cluster.numbers() {
        cluster.ready(number).await;
    }
}

#[test]
fn wrong_use_of_the_command_line_exits_with_2_and_a_dead_address_with_1() {
    let run = |arguments: &[&str]| -> Output {
        Command::new(QUORATE).args(arguments).stdin(Stdio::null()).output().expect("it runs")
    };
    for wrong in [
        &["frobnicate"][..],
        &["put", "b"],
        &["get", "b", "k", "--consistency", "most"],
        &["get", "b", "k", "--r", "300"],
    ] {
        let output = run(wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}: {}", complained(&output));
    }
    let nobody = format!("127.0.0.1:{}", free_base(1) + 10);
    let output = run(&["get", "b", "k", "--node", &nobody, "--timeout", "1s"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(complained(&output).starts_with("unreachable: "), "{}", complained(&output));
    let output = run(&["cluster", "--dir", "/nonexistent/cluster", "status"]);
    assert_eq!(
        (output.status.code(), complained(&output).starts_with("not_found: ")),
        (Some(1), true)
    );
}
