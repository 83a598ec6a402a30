//! The Redis protocol of real nodes: counts through all of them, bad input, and clients that do not listen.

use super::cluster::{Cluster, SOON};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Where a node of a cluster speaks it: one above HTTP.
fn address(cluster: &Cluster, number: u16) -> SocketAddr {
    let http = cluster.http(number);
    SocketAddr::new(http.ip(), http.port() + 1)
}

struct Client(BufReader<TcpStream>);

impl Client {
    async fn new(at: SocketAddr) -> Client {
        Client(BufReader::new(TcpStream::connect(at).await.expect("it listens")))
    }

    async fn send(&mut self, lines: &str) {
        self.0.get_mut().write_all(lines.as_bytes()).await.expect("it reads");
    }

    /// The next line; empty: it has closed.
    async fn line(&mut self) -> String {
        let mut line = String::new();
        let read = timeout(SOON, self.0.read_line(&mut line)).await.expect("an answer in time");
        // A reset is an end, too.
        if read.is_err() {
            line.clear();
        }
        line.trim_end().to_owned()
    }

    async fn ask(&mut self, line: &str) -> String {
        self.send(&format!("{line}\r\n")).await;
        let first = self.line().await;
        if first.starts_with('$') && first != "$-1" { self.line().await } else { first }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_through_three_nodes_add_up_also_while_one_dies() {
    let cluster = Cluster::start(3).await;
    // The bucket is agreed on while all are there.
    assert_eq!(Client::new(address(&cluster, 1)).await.ask("INCRBY n 0").await, ":0");
    let counting = [1, 2].map(|number| {
        let at = address(&cluster, number);
        tokio::spawn(async move {
            let mut client = Client::new(at).await;
            let (mut done, mut longest) = (0_u64, Duration::ZERO);
            for _ in 0..300 {
                let began = Instant::now();
                let said = client.ask("INCR n").await;
                assert!(said.starts_with(':'), "{said}");
                longest = longest.max(began.elapsed());
                done += 1;
            }
            (done, longest)
        })
    });
    let mut third = Client::new(address(&cluster, 3)).await;
    let mut sum = 0;
    for _ in 0..50 {
        assert!(third.ask("INCR n").await.starts_with(':'));
        sum += 1;
    }
    cluster.kill(&[3]);
    for counted in counting {
        let (done, longest) = counted.await.expect("it counts");
        assert!(longest < Duration::from_secs(4), "{longest:?}");
        sum += done;
    }
    for number in [1, 2] {
        let shown = Client::new(address(&cluster, number)).await.ask("GET n").await;
        assert_eq!(shown, sum.to_string());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_input_ends_its_own_connection_and_no_other() {
    let cluster = Cluster::start(1).await;
    let at = address(&cluster, 1);
    let mut good = Client::new(at).await;
    assert_eq!(good.ask("SET k v").await, "+OK");
    let long = "x".repeat(70 << 10);
    for bytes in [
        "*-9223372036854775809\r\n",
        "*2000000\r\n",
        "*1\r\n$9223372036854775808\r\n",
        "*1\r\n$-5\r\n",
        "*1\r\n*1\r\n$4\r\nPING\r\n",
        "*1\r\n$4\r\nPINGxx",
        "POST / HTTP/1.1\r\nHost: a\r\n\r\nSET k stolen\r\n",
        &long,
    ] {
        let mut bad = Client::new(at).await;
        // It may close before all has been sent.
        let _ = bad.0.get_mut().write_all(bytes.as_bytes()).await;
        let mut rest = Vec::new();
        let _ = timeout(SOON, bad.0.read_to_end(&mut rest)).await.expect("it closes");
        assert!(!rest.starts_with(b"+"), "{}", String::from_utf8_lossy(&rest));
        assert_eq!(good.ask("GET k").await, "v");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_without_end_and_reads_nothing_is_closed() {
    let cluster = Cluster::start(1).await;
    let at = address(&cluster, 1);
    let mut deaf = TcpStream::connect(at).await.expect("it listens");
    // As many as a million; each answer is larger than its request.
    let pings = b"PING 0123456789\r\n".repeat(10_000);
    let flood = async {
        for _ in 0..100 {
            deaf.write_all(&pings).await?;
        }
        // All of it fitted into the system's buffers: it is closed nevertheless, in time.
        deaf.read_to_end(&mut Vec::new()).await.map(drop)
    };
    let mut good = Client::new(at).await;
    let (flooded, ()) = tokio::join!(timeout(SOON, flood), async {
        for _ in 0..20 {
            assert_eq!(good.ask("PING").await, "+PONG");
        }
    });
    assert!(flooded.expect("it is closed").is_err(), "it is closed amid what it sends");
    assert_eq!(good.ask("PING").await, "+PONG");
}
