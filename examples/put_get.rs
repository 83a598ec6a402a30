//! One key: write it, read it, replace it, delete it.
//!
//! Against a cluster, for example one made by `quorate cluster start`:
//! `cargo run --example put_get [-- 127.0.0.1:7610,127.0.0.1:7620]`

use quorate::client::Client;

#[tokio::main(flavor = "current_thread")]
async fn main() -> quorate::Result<()> {
    let client = Client::builder().nodes(nodes()).build().await?;

    // A write needs to say what it has seen. The first one may be of a key that exists: so read it.
    let before = client.get("carts", "alice").await?;
    let tea = client.put("carts", "alice", "tea").context(&before.context).await?;
    println!("written by {}", tea.info.coordinator);

    let got = client.get("carts", "alice").await?;
    println!("read: {:?}", got.value()?);

    // The context of the read says which value this one replaces.
    let both = client.put("carts", "alice", "tea, milk").context(&got.context).await?;

    // A delete, too, removes what its context has seen, and nothing else.
    client.delete("carts", "alice").context(&both.context).await?;
    assert!(client.get("carts", "alice").await?.is_empty());
    println!("deleted");
    Ok(())
}

/// The addresses on the command line, or the first node of a local cluster.
fn nodes() -> Vec<String> {
    let given = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7610".into());
    given.split(',').map(String::from).collect()
}
