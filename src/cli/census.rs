//! Who is there, each asked alone: a client of one node asks nobody else in its place, and nothing twice.
//!
//! ```text
//!   --node a,b ──members──▶ n1 n2 n3 …      every member has a client of its own, made when it is first asked
//! ```

use super::args::Target;
use super::connect::keys;
use super::failure::{Failure, Result};
use crate::client::{Client, ExecutionProfile, Inspect, Keyring, RetryPolicy};
use crate::ring::MAX_MEMBERS;
use serde_json::Value;
use std::time::Duration;

/// How long a node may take before it counts as silent.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// One node, by what others believe of it.
#[derive(Clone)]
pub(super) struct Respondent {
    pub name: String,
    pub address: String,
    /// What the node that named it believes: `alive`, `suspect`, `dead`, `left`, `unknown`.
    pub believed: String,
    keys: Option<Keyring>,
    client: Option<Client>,
}

impl Respondent {
    /// Somebody at this address, of whom nothing else is known.
    pub fn at(address: &str, keys: Option<Keyring>) -> Respondent {
        let (name, believed) = (address.to_owned(), "unknown".to_owned());
        Respondent { name, address: address.to_owned(), believed, keys, client: None }
    }

    /// A member, as `Inspect::Members` tells of it; nothing where nobody knows its address.
    fn of(member: &Value, keys: &Option<Keyring>) -> Option<Respondent> {
        let text = |field: &str| Some(member[field].as_str()?.to_owned());
        let (name, address, believed) = (text("name")?, text("address")?, text("state")?);
        Some(Respondent { name, address, believed, keys: keys.clone(), client: None })
    }

    /// Every member that its list in `answer` names, and that can be asked.
    pub fn members(&self, answer: &Value) -> Vec<Respondent> {
        members(answer, &self.keys)
    }

    /// Asks it, and nobody else. Takes [`ANSWER_LIMIT`] at most, making the connection included.
    ///
    /// # Errors
    /// Why there is no answer, in words.
    pub async fn ask(&mut self, question: Inspect) -> Result<Value, String> {
        let answer = tokio::time::timeout(ANSWER_LIMIT, self.inspect(question)).await;
        let answer = answer
            .map_err(|_| format!("no answer within {} s", ANSWER_LIMIT.as_secs()))?
            .map_err(|error| error.to_string())?;
        serde_json::from_str(&answer).map_err(|error| format!("not JSON: {error}"))
    }

    async fn inspect(&mut self, question: Inspect) -> crate::Result<String> {
        let client = match &self.client {
            Some(client) => client.clone(),
            None => self.connect().await?,
        };
        client.inspect(question).await
    }

    async fn connect(&mut self) -> crate::Result<Client> {
        let retries = RetryPolicy::never();
        let profile =
            ExecutionProfile { timeout: ANSWER_LIMIT, retries, ..ExecutionProfile::default() };
        let builder =
            Client::builder().nodes([&self.address]).keys(self.keys.clone()).profile(profile);
        let client = builder.name("quorate cli").build().await?;
        self.client = Some(client.clone());
        Ok(client)
    }
}

fn members(answer: &Value, keys: &Option<Keyring>) -> Vec<Respondent> {
    let members = answer["members"].as_array().map_or(&[][..], Vec::as_slice);
    members.iter().filter_map(|m| Respondent::of(m, keys)).take(MAX_MEMBERS).collect()
}

/// Those at the addresses that were named, and who is a member by the word of the first that answers.
pub(super) struct Census {
    /// By name.
    pub members: Vec<Respondent>,
    /// Addresses that were named and did not answer, with why; whether or not a member listens there.
    pub silent: Vec<(String, String)>,
}

/// Asks all named addresses who the members are.
///
/// # Errors
/// `unreachable` when none answers.
pub(super) async fn census(target: &Target) -> Result<Census> {
    let keys = keys(target)?;
    let mut census = Census { members: Vec::new(), silent: Vec::new() };
    for address in &target.nodes {
        match Respondent::at(address, keys.clone()).ask(Inspect::Members).await {
            Ok(answer) if census.members.is_empty() => census.members = members(&answer, &keys),
            Ok(_) => {}
            Err(why) => census.silent.push((address.clone(), why)),
        }
    }
    if census.members.is_empty() {
        let why = format!("none of {} answered", target.nodes.join(", "));
        let next = "is a node up there? name another with --node";
        return Err(Failure::new("unreachable", why, next));
    }
    Ok(census)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn members_without_an_address_cannot_be_asked_and_junk_is_nobody() {
        let answer = json!({ "members": [
            { "name": "n1", "address": "127.0.0.1:1", "state": "alive" },
            { "name": "n2", "address": null, "state": "unknown" },
            7,
        ] });
        let names: Vec<_> =
            members(&answer, &None).into_iter().map(|m| (m.name, m.believed)).collect();
        assert_eq!(names, [("n1".to_owned(), "alive".to_owned())]);
        assert!(members(&json!(null), &None).is_empty());
    }
}
