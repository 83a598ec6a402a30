//! Anything at all on the native port: closed in good time, counted, and the node goes on.

use super::cluster::{Cluster, SOON, until};
use super::http;
use quorate::message::{Header, Hello, Kind, MAX_BODY_BYTES, Role};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

/// How long a connection that says nothing sensible may stay.
const CLOSED: Duration = Duration::from_secs(5);

/// Sends, keeps silent, and says how long the node took to close.
async fn closed_after(at: SocketAddr, bytes: &[u8]) -> Duration {
    let begin = Instant::now();
    let exchange = async {
        let mut stream = TcpStream::connect(at).await.expect("it listens");
        // It may be closed before all is sent: that is what we are here for.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
    };
    let limited = tokio::time::timeout(2 * CLOSED, exchange).await;
    limited.unwrap_or_else(|_| {
        panic!("open after {:?}: {:?}…", begin.elapsed(), &bytes[..bytes.len().min(16)])
    });
    begin.elapsed()
}

fn hello(role: Role) -> Vec<u8> {
    Header::new(Kind::Hello).frame(&Hello::new(role, "stranger"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn junk_on_the_native_port_is_closed_within_five_seconds_and_harms_nobody() {
    let cluster = Cluster::start(3).await;
    let client = cluster.client().await;
    client.put("b", "k", "kept").await.expect("acknowledged");
    let at = cluster.native(1);
    let request = |body: &[u8]| {
        let mut frame = hello(Role::Client);
        Header::new(Kind::Request).encode_into(&mut frame, |out| out.extend_from_slice(body));
        frame
    };
    let mut too_long = hello(Role::Client);
    let start = too_long.len();
    Header::new(Kind::Request).encode_into(&mut too_long, |out| out.extend_from_slice(b"x"));
    let length = u32::try_from(MAX_BODY_BYTES + 1).expect("small");
    too_long[start + 8..start + 12].copy_from_slice(&length.to_le_bytes());
    let mut gigabytes = too_long.clone();
    gigabytes[start + 8..start + 12].copy_from_slice(&u32::MAX.to_le_bytes());
    let mut broken = request(b"\x90");
    *broken.last_mut().expect("a body") ^= 1;
    let half = request(&[0; 100]);
    let mut newer = hello(Role::Node);
    newer[2] = 99;
    let junk: Vec<u8> = (0..4096u32).map(|n| ((n * 31) >> 3) as u8).collect();
    let mut large_hello = Vec::new();
    Header::new(Kind::Hello)
        .encode_into(&mut large_hello, |out| out.resize(out.len() + (1 << 20), 0x90));
    let cases: [(&str, Vec<u8>); 13] = [
        ("nothing", Vec::new()),
        ("junk", junk),
        ("HTTP", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()),
        ("RESP", b"*1\r\n$4\r\nPING\r\n".to_vec()),
        ("half a header", hello(Role::Client)[..40].to_vec()),
        ("half a frame", half[..half.len() - 50].to_vec()),
        ("a frame over the limit", too_long),
        ("a frame of four gigabytes", gigabytes),
        ("a changed bit", broken),
        ("a newer protocol", newer),
        ("a hello of a megabyte", large_hello),
        ("a node that asks like a client", {
            let mut frames = hello(Role::Node);
            Header::new(Kind::Request).encode_into(&mut frames, |out| out.push(0x90));
            frames
        }),
    ];
    let memory = memory(&cluster);
    let closings = cases.iter().map(async |(name, bytes)| (*name, closed_after(at, bytes).await));
    let mut slowest = Duration::ZERO;
    for closing in closings.map(Box::pin).collect::<Vec<_>>() {
        let (name, took) = closing.await;
        assert!(took <= CLOSED, "{name}: closed after {took:?}");
        slowest = slowest.max(took);
    }
    println!("junk: {} kinds, the slowest closed after {slowest:?}", cases.len());

    // A body that does not decode, in a sound frame, is an answer, not the end: bad nesting and trailing bytes.
    for body in [vec![0x91; 5000], vec![0xc1], b"\xa3Getxx".to_vec()] {
        let mut stream = TcpStream::connect(at).await.expect("it listens");
        stream.write_all(&request(&body)).await.expect("sent");
        let mut answer = vec![0; 4096];
        let mut got = 0;
        until("it is told", SOON, async || {
            let read = tokio::time::timeout(CLOSED, stream.read(&mut answer[got..])).await;
            got += read.map_err(|_| "no answer")?.map_err(|error| error.to_string())?;
            let said = String::from_utf8_lossy(&answer[..got]).contains("Invalid");
            if said { Ok(()) } else { Err(format!("{got} bytes")) }
        })
        .await;
    }

    // Datagrams of nobody's.
    let udp = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    for bytes in [&b"hello"[..], &[0xff; 1200], &[0x91; 1200], b""] {
        udp.send_to(bytes, at).await.expect("sent");
    }
    let mut answer = [0; 64];
    let silence = tokio::time::timeout(Duration::from_millis(300), udp.recv(&mut answer)).await;
    assert!(silence.is_err(), "nobody answers junk");

    let after = self::memory(&cluster);
    assert!(after < memory + (64 << 20), "{memory} bytes of memory became {after}");
    let text = cluster.ask(1, "GET", "/metrics", &[], b"").await.text();
    for counted in [
        "quorate_rejected_total{port=\"native\",reason=\"magic\"}",
        "reason=\"too_long\"",
        "reason=\"checksum\"",
        "reason=\"no_hello\"",
        "port=\"gossip\"",
    ] {
        assert!(text.contains(counted), "{counted} is not in {text}");
    }
    let got = client.get("b", "k").await.expect("the node lives");
    assert_eq!(got.value().expect("one").map(|v| &v[..]), Some(&b"kept"[..]));
    // HTTP is as patient with others, and no more.
    http_port(&cluster).await;
    for number in cluster.numbers() {
        cluster.ready(number).await;
    }
}

async fn http_port(cluster: &Cluster) {
    let at = cluster.http(1);
    for junk in [&hello(Role::Client)[..], b"GET / HTTP/1.1\r\nHost"] {
        let took = closed_after(at, junk).await;
        assert!(took <= CLOSED, "closed after {took:?}");
    }
    let answer = http::ask(at, "GET", "/healthz", &[], b"").await.expect("the process is there");
    assert_eq!(answer.status, 200);
}

/// What the first node has in memory.
fn memory(cluster: &Cluster) -> u64 {
    let pid = cluster.pid(1).expect("it is up").as_raw_pid();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it is up");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("it has some");
    let kilobytes: u64 =
        line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number");
    kilobytes << 10
}
