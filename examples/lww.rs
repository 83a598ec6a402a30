//! A bucket in which the last writer wins: simple, and it loses one of two concurrent writes.
//!
//! Against a cluster, for example one made by `quorate cluster start`:
//! `cargo run --example lww [-- 127.0.0.1:7610,127.0.0.1:7620]`

use quorate::client::Client;

#[tokio::main(flavor = "current_thread")]
async fn main() -> quorate::Result<()> {
    let client = Client::builder().nodes(nodes()).build().await?;
    // Decided when the bucket is created, once and for all. Creating it again like this is fine.
    client.create_bucket("last-seen").lww(true).await?;

    // Nobody reads before writing, and nobody gets siblings.
    client.put("last-seen", "alice", "10:00").await?;
    client.put("last-seen", "alice", "10:05").await?;
    let got = client.get("last-seen", "alice").await?;
    println!("{:?}", got.value()?);

    // With the context, this write also wins over a value whose clock ran ahead.
    client.put("last-seen", "alice", "10:10").context(&got.context).await?;
    println!("{:?}", client.get("last-seen", "alice").await?.value()?);
    Ok(())
}

/// The addresses on the command line, or the first node of a local cluster.
fn nodes() -> Vec<String> {
    let given = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7610".into());
    given.split(',').map(String::from).collect()
}
