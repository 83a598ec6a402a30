//! Sockets, bound before anything else: whoever finds a port taken has changed nothing yet.

use super::StartError;
use crate::config::ListenSection;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

/// Connections that the kernel keeps while the node is busy.
const BACKLOG: i32 = 1024;
/// What the kernel is asked to keep of datagrams while the node is busy; it may grant less.
const RECEIVE_BYTES: usize = 4 << 20;
/// How often a free port is tried for TCP and UDP together.
const FREE_PORT_TRIES: usize = 32;

/// The sockets of a node.
#[derive(Debug)]
pub(super) struct Sockets {
    pub(super) native: TcpListener,
    pub(super) gossip: UdpSocket,
    pub(super) http: TcpListener,
    pub(super) resp: Option<TcpListener>,
    pub(super) syslog: Option<(TcpListener, UdpSocket)>,
}

/// Binds all of them.
pub(super) fn bind(at: &ListenSection) -> Result<Sockets, StartError> {
    let (native, gossip) = bind_both(at.native, "--listen")?;
    let http = listen(at.http).map_err(|e| refused(at.http, "HTTP", "--http", &e))?;
    let resp = at.resp.map(|at| listen(at).map_err(|e| refused(at, "RESP", "--resp", &e)));
    let resp = resp.transpose()?;
    let syslog = at.syslog.map(|at| bind_both(at, "--syslog")).transpose()?;
    Ok(Sockets { native, gossip, http, resp, syslog })
}

/// TCP and UDP share a number; with port 0 both must find it free.
fn bind_both(at: SocketAddr, flag: &str) -> Result<(TcpListener, UdpSocket), StartError> {
    let mut tries = if at.port() == 0 { FREE_PORT_TRIES } else { 1 };
    loop {
        tries -= 1;
        let tcp = listen(at).map_err(|e| refused(at, "TCP", flag, &e))?;
        let both = tcp.local_addr().map_err(|e| refused(at, "TCP", flag, &e))?;
        match datagrams(both) {
            Ok(udp) => return Ok((tcp, udp)),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries > 0 => {}
            Err(error) => return Err(refused(both, "UDP", flag, &error)),
        }
    }
}

fn listen(at: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(at), Type::STREAM, Some(Protocol::TCP))?;
    // On Unix this only skips the wait for connections of a process that has ended.
    socket.set_reuse_address(true)?;
    dual_stack(&socket, at)?;
    socket.bind(&at.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn datagrams(at: SocketAddr) -> io::Result<UdpSocket> {
    // Never REUSEADDR or REUSEPORT here: two nodes could share the port and each see half the gossip.
    let socket = Socket::new(Domain::for_address(at), Type::DGRAM, Some(Protocol::UDP))?;
    dual_stack(&socket, at)?;
    let _ = socket.set_recv_buffer_size(RECEIVE_BYTES);
    socket.bind(&at.into())?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn dual_stack(socket: &Socket, at: SocketAddr) -> io::Result<()> {
    if at.is_ipv6() && at.ip().is_unspecified() { socket.set_only_v6(false) } else { Ok(()) }
}

fn refused(at: SocketAddr, what: &str, flag: &str, error: &io::Error) -> StartError {
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => "another process has it: stop that, or choose another with",
        io::ErrorKind::AddrNotAvailable => "this machine has no such address: choose another with",
        io::ErrorKind::PermissionDenied => "this user may not: choose a port from 1024 on with",
        _ => "choose another with",
    };
    StartError::Bind { at, reason: format!("{what}: {error}; {advice} {flag}") }
}

/// Small frames leave at once; a peer that has vanished without a word is noticed.
pub(super) fn tune(stream: &tokio::net::TcpStream, unanswered: Duration) {
    let socket = SockRef::from(stream);
    // Best effort: a connection without these is slower to notice trouble, not wrong.
    let _ = socket.set_tcp_nodelay(true);
    let keepalive = TcpKeepalive::new().with_time(Duration::from_secs(20));
    #[cfg(target_os = "linux")]
    let keepalive = keepalive.with_interval(Duration::from_secs(5)).with_retries(3);
    let _ = socket.set_tcp_keepalive(&keepalive);
    #[cfg(target_os = "linux")]
    let _ = socket.set_tcp_user_timeout(Some(unanswered));
    #[cfg(not(target_os = "linux"))]
    let _ = unanswered;
}
