//! Many items under one partition key, in order of their sort keys.
//!
//! Against a cluster, for example one made by `quorate cluster start`:
//! `cargo run --example scan [-- 127.0.0.1:7610,127.0.0.1:7620]`

use quorate::client::Client;

#[tokio::main(flavor = "current_thread")]
async fn main() -> quorate::Result<()> {
    let client = Client::builder().nodes(nodes()).build().await?;

    // Items of one partition key live on the same replicas. An `lww` bucket, so that running this twice
    // leaves no siblings.
    client.create_bucket("readings").lww(true).await?;
    for (time, celsius) in [("06:00", "11"), ("12:00", "19"), ("12:30", "20"), ("18:00", "16")] {
        client.put("readings", "garden", celsius).sort(time).await?;
    }

    // All at once.
    let noon = client.scan("readings", "garden").prefix("12:").await?;
    println!("around noon: {} readings", noon.len());

    // Piece by piece: only `None` is the end.
    let mut day = client.scan("readings", "garden").from("06:00").to("18:00").page(2);
    while let Some(items) = day.next_page().await? {
        for item in items {
            println!("{:?}: {:?}", item.sort, item.value()?);
        }
    }

    // From the end: the last reading.
    let last = client.scan("readings", "garden").reverse().limit(1).await?;
    println!("last: {:?}", last.first().map(|item| &item.sort));

    // Which partition keys there are.
    let mut keys = client.keys("readings");
    while let Some(key) = keys.next().await? {
        println!("{key:?}");
    }
    Ok(())
}

/// The addresses on the command line, or the first node of a local cluster.
fn nodes() -> Vec<String> {
    let given = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7610".into());
    given.split(',').map(String::from).collect()
}
