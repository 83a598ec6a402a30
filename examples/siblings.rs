//! Two writers who know nothing of each other: both values stay, until someone merges them.
//!
//! Against a cluster, for example one made by `quorate cluster start`:
//! `cargo run --example siblings [-- 127.0.0.1:7610,127.0.0.1:7620]`

use quorate::Error;
use quorate::client::{Client, Version};
use std::collections::BTreeSet;

#[tokio::main(flavor = "current_thread")]
async fn main() -> quorate::Result<()> {
    let client = Client::builder().nodes(nodes()).build().await?;

    // Both read the same state, then both write.
    let seen = client.get("carts", "bob").await?.context;
    client.put("carts", "bob", "tea").context(&seen).await?;
    client.put("carts", "bob", "milk").context(&seen).await?;

    let got = client.get("carts", "bob").await?;
    for sibling in &got.siblings {
        println!("{}: {:?}", sibling.dot, sibling.value);
    }
    // Asking for *the* value is an error now, not a coin toss.
    assert!(matches!(got.value(), Err(Error::Siblings { .. })));

    // What a merge means only the application knows. Here: everything anyone put into the cart.
    let resolved = client.resolve("carts", "bob", union).await?;
    println!("resolved: {:?}", resolved.value()?);
    Ok(())
}

fn union(siblings: &[Version]) -> String {
    let carts: Vec<_> = siblings.iter().map(|s| String::from_utf8_lossy(&s.value)).collect();
    let things: BTreeSet<&str> = carts.iter().flat_map(|cart| cart.split(", ")).collect();
    things.into_iter().collect::<Vec<_>>().join(", ")
}

/// The addresses on the command line, or the first node of a local cluster.
fn nodes() -> Vec<String> {
    let given = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7610".into());
    given.split(',').map(String::from).collect()
}
