//! The sessions of a web service: they expire, and whoever has just logged in is logged in at the next request too,
//! whichever server and whichever node it goes to.
//!
//! Against a cluster, for example one made by `quorate cluster start`:
//! `cargo run --example session_store [-- 127.0.0.1:7610,127.0.0.1:7620]`

#![allow(clippy::disallowed_methods)] // a program of its own, with clocks of its own

use quorate::Result;
use quorate::client::{Client, Consistency};
use std::time::Duration;

/// How many bytes a cookie may have.
const COOKIE: usize = 2048;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    // Two web servers, each with a client of its own.
    let (one, two) = tokio::try_join!(
        Client::builder().nodes(nodes()).build(),
        Client::builder().nodes(nodes()).build()
    )?;
    let user = format!("user-{:016x}", one.next_operation().session);

    // The first one takes the login. One copy is enough to go on with: fast, and other nodes may lag.
    let session = one.session();
    let login = session.put("sessions", &user, "alice").consistency(Consistency::One);
    login.ttl(Duration::from_secs(3)).await?;
    // What the session has seen goes to the browser, which should get it signed.
    let cookie = session.export(COOKIE);
    println!("logged in; the cookie has {} bytes", cookie.len());

    // The next request comes to the other server. Were its node behind, more of them would be asked.
    let session = two.resume(&cookie)?;
    let found = session.get("sessions", &user).consistency(Consistency::One).await?;
    println!("the other server sees: {:?}", found.value()?);
    assert!(!found.is_empty());

    // Nobody logs out: it expires by itself.
    while !session.get("sessions", &user).await?.is_empty() {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    println!("expired");
    Ok(())
}

/// The addresses on the command line, or the first node of a local cluster.
fn nodes() -> Vec<String> {
    let given = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7610".into());
    given.split(',').map(String::from).collect()
}
