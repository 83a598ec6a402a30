//! How many replicas must answer: for a whole client, and for one request.
//!
//! Against a cluster, for example one made by `quorate cluster start`:
//! `cargo run --example consistency [-- 127.0.0.1:7610,127.0.0.1:7620]`

use quorate::Error;
use quorate::client::{Client, Consistency, ExecutionProfile};
use std::time::Duration;

#[tokio::main(flavor = "current_thread")]
async fn main() -> quorate::Result<()> {
    // What holds for every request of this client, unless the request says otherwise.
    let profile = ExecutionProfile {
        consistency: Some(Consistency::Quorum),
        timeout: Duration::from_secs(2),
        ..ExecutionProfile::default()
    };
    let client = Client::builder().nodes(nodes()).profile(profile).build().await?;

    let seen = client.get("settings", "theme").await?.context;
    // Durable on a majority of the owners themselves: a strict read that starts now sees it.
    let put = client.put("settings", "theme", "dark").context(&seen).strict(true).await?;
    let got = client.get("settings", "theme").strict(true).await?;
    println!("{:?}, answered by {:?}", got.value()?, got.info.replied);

    // Fast and possibly stale.
    let fast = client.get("settings", "theme").consistency(Consistency::One).await?;
    println!("{:?}, answered by {:?}", fast.value()?, fast.info.replied);

    // Every owner. With one of them down this says how many it needed, and how many there were.
    let all = client.put("settings", "theme", "light").context(&put.context);
    match all.consistency(Consistency::All).await {
        Ok(_) => println!("on every owner"),
        Err(Error::Unavailable { required, alive }) => {
            println!("nothing changed: {alive} of {required}")
        }
        // A write that failed may still have reached some: it may appear later.
        Err(Error::OutcomeUnknown { required, received }) => {
            println!("nobody knows: {received} of {required} confirmed it");
        }
        Err(other) => return Err(other),
    }
    Ok(())
}

/// The addresses on the command line, or the first node of a local cluster.
fn nodes() -> Vec<String> {
    let given = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7610".into());
    given.split(',').map(String::from).collect()
}
