//! Looking at a node from outside: its HTTP answers, and waiting until something holds.
//!
//! A whole HTTP client for four questions on loopback would be a guest larger than the house.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// How long a node on this machine may take to answer: a paused process still accepts connections.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);
/// The longest answer that is read, in bytes.
const ANSWER_BYTES: u64 = 1 << 20;
/// How long between two looks at a condition.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// `GET path`: the status and the body.
pub(super) async fn http_get(address: SocketAddr, path: &str) -> io::Result<(u16, String)> {
    get(address, path, "*/*").await
}

/// `GET path` as JSON; nothing where there is no such answer.
pub(super) async fn http_json(address: SocketAddr, path: &str) -> Option<serde_json::Value> {
    match get(address, path, "application/json").await {
        Ok((200, body)) => serde_json::from_str(&body).ok(),
        _ => None,
    }
}

async fn get(address: SocketAddr, path: &str, accept: &str) -> io::Result<(u16, String)> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: {accept}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(ANSWER_BYTES).read_to_end(&mut answer).await?;
        parse(&answer).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not HTTP"))
    };
    timeout(ANSWER_LIMIT, exchange).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

fn parse(answer: &[u8]) -> Option<(u16, String)> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.1 ")?.split([' ', '\r']).next()?.parse().ok()?;
    Some((status, body.to_string()))
}

/// Whether a node is ready; else why not, in its own words.
pub(super) async fn ready(http: SocketAddr) -> Result<(), String> {
    match http_get(http, "/readyz").await {
        Ok((200, _)) => Ok(()),
        Ok((_, body)) => Err(reason(&body)),
        Err(error) => Err(unanswered(&error)),
    }
}

/// Whether the process answers at all.
pub(super) async fn alive(http: SocketAddr) -> Result<(), String> {
    http_get(http, "/healthz").await.map(|_| ()).map_err(|error| unanswered(&error))
}

fn unanswered(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "does not listen yet".to_string(),
        io::ErrorKind::TimedOut => format!("did not answer within {} s", ANSWER_LIMIT.as_secs()),
        _ => format!("did not answer: {error}"),
    }
}

/// The reason in a 503: the message of a JSON error, or the text itself.
fn reason(body: &str) -> String {
    let message = serde_json::from_str::<serde_json::Value>(body)
        .ok()
        .and_then(|json| Some(json.pointer("/error/message")?.as_str()?.to_string()));
    let reason = message.unwrap_or_else(|| body.trim().to_string());
    if reason.is_empty() { "not ready".to_string() } else { reason }
}

/// Looks until `look` finds what it wants, and says why not when `limit` is over.
///
/// # Errors
/// The last reason, when the time is over.
pub(super) async fn until<T>(
    limit: Duration,
    mut look: impl AsyncFnMut() -> Result<T, String>,
) -> Result<T, String> {
    let deadline = Instant::now() + limit;
    let mut again = interval(LOOK_AGAIN);
    again.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        again.tick().await;
        match look().await {
            Ok(found) => return Ok(found),
            Err(reason) if Instant::now() >= deadline => return Err(reason),
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_a_status_and_a_body() {
        let answer = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 7\r\n\r\njoining";
        assert_eq!(parse(answer), Some((503, "joining".to_string())));
        for junk in [&b""[..], b"HTTP/1.1 200", b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 x\r\n\r\n"] {
            assert_eq!(parse(junk), None);
        }
    }

    #[test]
    fn the_reason_is_text_or_the_message_of_an_error() {
        assert_eq!(reason("joining\n"), "joining");
        assert_eq!(
            reason(r#"{"error":{"code":"unavailable","message":"rebuilding"}}"#),
            "rebuilding"
        );
        assert_eq!(reason(""), "not ready");
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_when_it_holds_or_when_the_time_is_over() {
        let mut looks = 0;
        let found = until(Duration::from_secs(1), async || {
            looks += 1;
            if looks == 3 { Ok(looks) } else { Err("not yet".to_string()) }
        });
        assert_eq!(found.await, Ok(3));
        let never = until(Duration::from_secs(1), async || Err::<(), _>("no".to_string()));
        assert_eq!(never.await, Err("no".to_string()));
    }
}
