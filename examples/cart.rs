//! A shopping cart: two devices change it at the same time, and nothing is lost.
//!
//! Against a cluster, for example one made by `quorate cluster start`:
//! `cargo run --example cart [-- 127.0.0.1:7610,127.0.0.1:7620]`

use quorate::client::{Bytes, Client, Codec, Json, Version};
use quorate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How many of each thing.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Cart {
    items: BTreeMap<String, u32>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let client = Client::builder().nodes(nodes()).build().await?;
    let cart = format!("alice-{:016x}", client.next_operation().session);

    // Phone and laptop have read the same (empty) cart; then both put something in.
    let seen = client.get("carts", &cart).await?.context;
    client.put_as(Json, "carts", &cart, &with("tea", 2))?.context(&seen).await?;
    client.put_as(Json, "carts", &cart, &with("milk", 1))?.context(&seen).await?;
    let both = client.get("carts", &cart).await?;
    println!("two devices at once: {} siblings", both.siblings.len());

    // The next change is made to all that is there, and replaces it. Others may go on meanwhile.
    let add_bread = |siblings: &[Version]| {
        let mut cart = merged(siblings)?;
        *cart.items.entry("bread".into()).or_default() += 1;
        Json.encode(&cart)
    };
    let merge = |siblings: &[Version]| -> Result<Bytes> { Json.encode(&merged(siblings)?) };
    let done = client.update("carts", &cart, add_bread).merge(merge).await?;
    let cart: Cart = done.value_as(Json)?.unwrap_or_default();
    println!("merged: {:?}", cart.items);
    assert_eq!(cart.items.keys().collect::<Vec<_>>(), ["bread", "milk", "tea"]);
    Ok(())
}

fn with(thing: &str, count: u32) -> Cart {
    Cart { items: [(thing.to_owned(), count)].into() }
}

/// Everything that anyone has put in, and of each thing the larger number: in whatever order, and however often, it is
/// merged, the outcome is the same. (What one device has taken out comes back, if another changed the cart at that time.)
fn merged(siblings: &[Version]) -> Result<Cart> {
    let mut all = Cart::default();
    for sibling in siblings {
        let cart: Cart =
            Json.decode(&sibling.value).map_err(|why| Error::Invalid(why.to_string()))?;
        for (thing, count) in cart.items {
            let most = all.items.entry(thing).or_default();
            *most = count.max(*most);
        }
    }
    Ok(all)
}

/// The addresses on the command line, or the first node of a local cluster.
fn nodes() -> Vec<String> {
    let given = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7610".into());
    given.split(',').map(String::from).collect()
}
