//! A write whose answer got lost: sent again under its own name, it is still one write.
//!
//! Against a cluster, for example one made by `quorate cluster start`:
//! `cargo run --example retry [-- 127.0.0.1:7610,127.0.0.1:7620]`

use quorate::Error;
use quorate::client::{Client, ExecutionProfile, RetryPolicy};
use std::time::Duration;

#[tokio::main(flavor = "current_thread")]
async fn main() -> quorate::Result<()> {
    // The client retries by itself, through other nodes, until the timeout. Here it does not, to show how.
    let profile = ExecutionProfile { retries: RetryPolicy::never(), ..ExecutionProfile::default() };
    let client = Client::builder().nodes(nodes()).profile(profile).build().await?;

    let seen = client.get("orders", "4711").await?.context;
    // Drawn once, kept for as long as the write may have to be repeated.
    let operation = client.next_operation();
    let put = client
        .put("orders", "4711", "two pots")
        .context(&seen)
        .operation(operation)
        .timeout(Duration::from_millis(500));
    for attempt in 1..=5 {
        match put.clone().await {
            Ok(written) => {
                println!("attempt {attempt}: written by {}", written.info.coordinator);
                break;
            }
            // It may be stored or not. Without the operation id, a second try could be a second write.
            Err(Error::OutcomeUnknown { .. }) => println!("attempt {attempt}: nobody knows"),
            Err(error) if error.is_retryable() => println!("attempt {attempt}: {error}"),
            Err(error) => return Err(error),
        }
    }

    // Even once more than needed: the same operation, so still one value.
    put.await?;
    println!("values: {}", client.get("orders", "4711").await?.siblings.len());
    Ok(())
}

/// The addresses on the command line, or the first node of a local cluster.
fn nodes() -> Vec<String> {
    let given = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7610".into());
    given.split(',').map(String::from).collect()
}
