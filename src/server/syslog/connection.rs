//! One connection that brings syslog: read while there is room, until the other side leaves or cannot be followed.

use super::super::http::{Bridge, now};
use super::PORT;
use super::framing::{Frame, Framing, Malformed};
use super::gate::{Stage, Watch};
use super::held::{Held, read};
use super::queue::Queue;
use crate::logs::Parser;
use bytes::Bytes;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

/// How much is read at once.
const READ: usize = 16 << 10;
/// How much that has come already is read at the end.
const LAST: usize = 4 << 20;
/// How long a message is held for the lines that may go on with it.
const SILENCE: Duration = Duration::from_secs(1);
/// How long a connection may be silent between messages.
const IDLE: Duration = Duration::from_secs(3_600);

/// Serves it to its end.
pub(super) async fn serve(
    mut stream: TcpStream,
    from: IpAddr,
    bridge: Arc<Bridge>,
    queue: Queue,
    mut gate: Watch,
) {
    let parser = Parser::auto(now());
    let mut taking =
        Taking { bridge, queue, from, parser, framing: Framing::default(), held: Held::default() };
    let mut buffer = vec![0; READ];
    let mut heard = Instant::now();
    let end = loop {
        tokio::select! {
            count = stream.read(&mut buffer) => match count {
                Ok(0) => break taking.finish().await,
                Ok(count) => {
                    if let Err(reason) = taking.take(&buffer[..count]).await {
                        break Err(reason);
                    }
                    heard = Instant::now();
                }
                // What was whole has been taken; a reset is how some say goodbye.
                Err(_) => break taking.finish().await,
            },
            () = sleep_until(heard + SILENCE), if taking.held.is_some() && !taking.framing.is_amid() => {
                taking.let_go().await;
            }
            () = sleep_until(heard + taking.bridge.stall), if taking.framing.is_amid() => {
                let _ = taking.finish().await;
                break Err("stalled");
            }
            () = sleep_until(heard + IDLE) => break taking.finish().await,
            () = gate.reached(Stage::Closing) => break taking.last(&stream, &mut buffer).await,
        }
    };
    taking.let_go().await;
    if let Err(reason) = end {
        taking.bridge.reject_on(PORT, reason, 1);
    }
}

struct Taking {
    bridge: Arc<Bridge>,
    queue: Queue,
    from: IpAddr,
    parser: Parser,
    framing: Framing,
    held: Held,
}

impl Taking {
    async fn take(&mut self, bytes: &[u8]) -> Result<(), &'static str> {
        self.framing.push(bytes);
        loop {
            match self.framing.next() {
                Ok(Some(frame)) => self.frame(frame).await,
                Ok(None) => return Ok(()),
                Err(Malformed) => return Err("malformed"),
            }
        }
    }

    /// The other side has ended.
    async fn finish(&mut self) -> Result<(), &'static str> {
        match self.framing.finish() {
            Ok(Some(frame)) => self.frame(frame).await,
            Ok(None) => {}
            Err(Malformed) => return Err("truncated"),
        }
        Ok(())
    }

    /// We end: what has come is taken, and a message of which only a part has come is not.
    async fn last(&mut self, stream: &TcpStream, buffer: &mut [u8]) -> Result<(), &'static str> {
        // What has come since the runtime last looked at its sockets is read, too.
        tokio::task::yield_now().await;
        for _ in 0..LAST / READ {
            match stream.try_read(buffer) {
                Ok(count @ 1..) => self.take(&buffer[..count]).await?,
                Ok(0) | Err(_) => break,
            }
        }
        if self.framing.is_amid() { Err("truncated") } else { Ok(()) }
    }

    async fn frame(&mut self, frame: Frame) {
        match frame {
            Frame::TooLarge => self.bridge.reject_on(PORT, "too_large", 1),
            Frame::Line(line) => {
                if let Some(closed) = self.read(&line).and_then(|line| self.held.line(line)) {
                    self.queue.push(closed).await;
                }
            }
            Frame::Counted(message) => {
                self.let_go().await;
                if let Some((message, _)) = self.read(&message) {
                    self.queue.push(message).await;
                }
            }
        }
    }

    fn read(&mut self, bytes: &Bytes) -> Option<(super::held::Dispatch, bool)> {
        match std::str::from_utf8(bytes) {
            Ok(text) if text.trim_ascii().is_empty() => None,
            Ok(text) => Some(read(&mut self.parser, text, self.from, now())),
            Err(_) => {
                self.bridge.reject_on(PORT, "not_utf8", 1);
                None
            }
        }
    }

    async fn let_go(&mut self) {
        if let Some(held) = self.held.take() {
            self.queue.push(held).await;
        }
    }
}
