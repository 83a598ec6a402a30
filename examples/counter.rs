//! A counter without a leader: every client counts in an item of its own, and whoever wants the sum adds them up.
//!
//! Nobody writes another one's item, so there are no siblings, no merge and no retry that counts twice: each client
//! writes what it has counted so far, not how much is to be added.
//!
//! Against a cluster, for example one made by `quorate cluster start`:
//! `cargo run --example counter [-- 127.0.0.1:7610,127.0.0.1:7620]`

use quorate::client::{Client, Context, Json};
use quorate::{Error, Result};

/// One client's part of a counter.
struct Counter {
    client: Client,
    key: String,
    /// Which item is ours: no other client may have the same one.
    sort: String,
    mine: u64,
    seen: Context,
}

impl Counter {
    fn new(client: Client, key: &str) -> Counter {
        let sort = format!("{:016x}", client.next_operation().session);
        Counter { client, key: key.into(), sort, mine: 0, seen: Context::default() }
    }

    async fn add(&mut self, count: u64) -> Result<()> {
        self.mine += count;
        let put = self.client.put_as(Json, "counters", &self.key, &self.mine)?;
        // With an unknown outcome the next write says it all again.
        self.seen = put.sort(&self.sort).context(&self.seen).await?.context;
        Ok(())
    }
}

async fn sum(client: &Client, key: &str) -> Result<u64> {
    let mut sum = 0;
    for item in client.scan("counters", key).await? {
        // After an unknown outcome there may be two values of one client; the larger one counts.
        let parts = item.values_as::<u64>(Json).into_iter();
        let parts: Result<Vec<u64>, _> = parts.collect();
        let parts = parts.map_err(|why| Error::Invalid(why.to_string()))?;
        sum += parts.into_iter().max().unwrap_or(0);
    }
    Ok(sum)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let (one, two) = tokio::try_join!(
        Client::builder().nodes(nodes()).build(),
        Client::builder().nodes(nodes()).build()
    )?;
    let key = format!("visits-{:016x}", one.next_operation().session);
    let (mut here, mut there) = (Counter::new(one.clone(), &key), Counter::new(two, &key));
    let count_here = async {
        for _ in 0..50 {
            here.add(1).await?;
        }
        Ok::<_, Error>(())
    };
    let count_there = async {
        for _ in 0..25 {
            there.add(2).await?;
        }
        Ok::<_, Error>(())
    };
    tokio::try_join!(count_here, count_there)?;
    let sum = sum(&one, &key).await?;
    println!("two clients have counted {sum} visits");
    assert_eq!(sum, 100);
    Ok(())
}

/// The addresses on the command line, or the first node of a local cluster.
fn nodes() -> Vec<String> {
    let given = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7610".into());
    given.split(',').map(String::from).collect()
}
