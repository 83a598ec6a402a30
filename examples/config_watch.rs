//! A service that follows its configuration: it reads at a pace, and acts when the context has changed.
//!
//! Against a cluster, for example one made by `quorate cluster start`:
//! `cargo run --example config_watch [-- 127.0.0.1:7610,127.0.0.1:7620]`

#![allow(clippy::disallowed_methods)] // a program of its own, with clocks of its own

use quorate::Result;
use quorate::client::{Client, Json, Session};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long a change may go unseen.
const PACE: Duration = Duration::from_millis(100);

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Config {
    workers: u32,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let client = Client::builder().nodes(nodes()).build().await?;
    let key = format!("service-{:016x}", client.next_operation().session);
    client.put_as(Json, "config", &key, &Config { workers: 1 })?.await?;

    // An operator changes it while the service runs.
    let change = async {
        for workers in 2..=4 {
            tokio::time::sleep(PACE * 3).await;
            let seen = client.get("config", &key).await?.context;
            client.put_as(Json, "config", &key, &Config { workers })?.context(&seen).await?;
        }
        Ok(())
    };
    // In a session no read goes back: a node that lags does not bring an old configuration back.
    tokio::try_join!(change, follow(client.session(), &key))?;
    Ok(())
}

async fn follow(session: Session, key: &str) -> Result<()> {
    let mut seen = None;
    loop {
        let got = session.get("config", key).await?;
        if seen.as_ref() != Some(&got.context) {
            seen = Some(got.context.clone());
            let Some(config) = got.value_as::<Config>(Json)? else { return Ok(()) };
            println!("now with {} workers", config.workers);
            if config.workers == 4 {
                println!("that was the last change");
                return Ok(());
            }
        }
        tokio::time::sleep(PACE).await;
    }
}

/// The addresses on the command line, or the first node of a local cluster.
fn nodes() -> Vec<String> {
    let given = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7610".into());
    given.split(',').map(String::from).collect()
}
