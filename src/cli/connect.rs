//! From addresses on the command line to a client, and questions that are answered in JSON.

use super::args::Target;
use super::failure::{Failure, Result};
use crate::client::{Builder, Client, Inspect, Keyring};
use serde_json::Value;

/// A client of the nodes that were named.
pub(super) async fn connect(target: &Target) -> Result<Client> {
    Ok(builder(target)?.build().await?)
}

/// A client to be.
pub(super) fn builder(target: &Target) -> Result<Builder> {
    Ok(Client::builder().nodes(&target.nodes).keys(keys(target)?).name("quorate cli"))
}

/// The keys of the cluster, if it has some.
pub(super) fn keys(target: &Target) -> Result<Option<Keyring>> {
    let read = target.key_file.as_deref().map(Keyring::read).transpose();
    read.map_err(|error| Failure::new("invalid", error, "see docs/security.md"))
}

/// Asks one question of whichever node answers first.
pub(super) async fn inspect(client: &Client, question: Inspect) -> Result<Value> {
    let answer = client.inspect(question).await?;
    serde_json::from_str(&answer).map_err(|error| {
        Failure::new("internal", format!("the node's answer: {error}"), "is it of another version?")
    })
}

/// The name of the node that was asked. It must be one: what is asked for concerns it.
pub(super) async fn name_of_one(client: &Client, target: &Target) -> Result<String> {
    if let [_, _, ..] = target.nodes[..] {
        let next = "name one with --node";
        return Err(Failure::new("invalid", "this is about one node, several were given", next));
    }
    let about = inspect(client, Inspect::Info).await?;
    Ok(about["name"].as_str().unwrap_or_default().to_owned())
}
