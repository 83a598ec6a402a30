//! By which names this node may be asked for its page.
//!
//! ```text
//!   evil.example ──DNS──► 127.0.0.1      a stranger's page is then "of the same origin" as ours, and could read it
//!   Host: evil.example:7611 ─► refused    but the browser says by which name it came
//! ```

use axum::http::{HeaderMap, header};
use std::collections::BTreeSet;
use std::net::SocketAddr;

/// The port that a browser leaves out.
const PLAIN_PORT: u16 = 80;

/// Every `Host` that is this node.
#[derive(Debug)]
pub(in crate::server) struct Hosts {
    allowed: BTreeSet<String>,
    port: u16,
}

impl Hosts {
    /// Names of the loopback, the address it listens on, the one it tells others, and those that the operator lists.
    pub(in crate::server) fn new(
        bound: SocketAddr,
        told: Option<SocketAddr>,
        names: &[String],
    ) -> Hosts {
        let port = bound.port();
        let loopback = ["localhost", "127.0.0.1", "[::1]"].map(|name| format!("{name}:{port}"));
        let addresses = [Some(bound), told].into_iter().flatten().map(|a| a.to_string());
        let names = names.iter().map(|name| name.to_ascii_lowercase());
        let mut allowed: BTreeSet<String> =
            loopback.into_iter().chain(addresses).chain(names).collect();
        let plain = format!(":{PLAIN_PORT}");
        let bare: Vec<String> =
            allowed.iter().filter_map(|host| host.strip_suffix(&plain)).map(String::from).collect();
        allowed.extend(bare);
        Hosts { allowed, port }
    }

    /// Whether a request came by one of them.
    ///
    /// # Errors
    /// What to do instead, in one line.
    pub(super) fn admit(&self, headers: &HeaderMap) -> Result<(), String> {
        let mut hosts = headers.get_all(header::HOST).iter();
        let (first, second) = (hosts.next(), hosts.next());
        let host = first.and_then(|host| host.to_str().ok()).unwrap_or_default();
        if second.is_none() && self.allowed.contains(&host.to_ascii_lowercase()) {
            return Ok(());
        }
        Err(format!(
            "this node does not go by the name `{}`: open localhost:{}, or list the name in listen.http_names",
            host.escape_debug(),
            self.port
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn admits(hosts: &Hosts, host: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_str(host).expect("a header"));
        hosts.admit(&headers).is_ok()
    }

    #[test]
    fn only_names_of_this_node_are_taken_and_only_with_its_port() {
        let at = |text: &str| text.parse::<SocketAddr>().expect("an address");
        let hosts =
            Hosts::new(at("0.0.0.0:7611"), Some(at("10.0.0.7:7611")), &["Db.lan:80".into()]);
        for host in [
            "localhost:7611",
            "LOCALHOST:7611",
            "127.0.0.1:7611",
            "[::1]:7611",
            "10.0.0.7:7611",
            "db.lan:80",
            "db.lan",
        ] {
            assert!(admits(&hosts, host), "{host}");
        }
        for host in [
            "",
            "localhost",
            "localhost:7612",
            "localhost:7611.evil.example",
            "evil.example:7611",
            "10.0.0.8:7611",
            "db.lan:7611",
        ] {
            assert!(!admits(&hosts, host), "{host}");
        }
    }

    #[test]
    fn two_names_are_none() {
        let hosts = Hosts::new(([127, 0, 0, 1], 7611).into(), None, &[]);
        let mut headers = HeaderMap::new();
        assert!(hosts.admit(&headers).is_err());
        headers.append(header::HOST, HeaderValue::from_static("localhost:7611"));
        assert!(hosts.admit(&headers).is_ok());
        headers.append(header::HOST, HeaderValue::from_static("evil.example"));
        assert!(hosts.admit(&headers).is_err());
    }
}
