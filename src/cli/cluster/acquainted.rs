//! Waiting until the nodes have met.
//!
//! Ready is to be let in: a node knows from the agreement who the others are, but gossip takes a moment
//! more to find them alive, and until then requests may take detours and reports say `unknown`.

use crate::cli::failure::{Failure, Result};
use crate::cli::local::LocalNode;
use crate::cli::probe;
use indicatif::ProgressBar;
use serde_json::Value;
use std::time::Instant;

/// What one node says of the others; empty when it sees all of them alive.
fn strangers(by: &str, answer: &Value, names: &[&str]) -> Option<String> {
    let members = answer["members"].as_array().map_or(&[][..], Vec::as_slice);
    let state = |name: &str| {
        let member = members.iter().find(|member| member["name"] == name);
        member.map_or("not at all", |member| member["state"].as_str().unwrap_or("in no state"))
    };
    let others = names.iter().filter(|name| **name != by).map(|name| (*name, state(name)));
    let seen: Vec<String> = others
        .filter(|(_, state)| *state != "alive")
        .map(|(name, state)| format!("{name} {state}"))
        .collect();
    (!seen.is_empty()).then(|| format!("{by} sees {}", seen.join(", ")))
}

async fn look(node: &LocalNode, names: &[&str]) -> Option<String> {
    match probe::http_get(node.http, "/v1/members").await {
        Ok((200, body)) => {
            let answer = serde_json::from_str(&body).unwrap_or(Value::Null);
            strangers(&node.name, &answer, names)
        }
        Ok((status, _)) => Some(format!("{} answers {status}", node.name)),
        Err(error) => Some(format!("{} did not answer: {error}", node.name)),
    }
}

/// Waits until every node sees every other one alive.
///
/// # Errors
/// `unavailable` when the time is over, with what each of them sees instead.
pub(super) async fn all_met(
    nodes: &[LocalNode],
    deadline: Instant,
    bar: &ProgressBar,
) -> Result<()> {
    let names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
    let limit = deadline.saturating_duration_since(Instant::now());
    let mut missing = Vec::new();
    let met = probe::until(limit, async || {
        missing.clear();
        for node in nodes {
            missing.extend(look(node, &names).await);
        }
        let Some(first) = missing.first() else { return Ok(()) };
        let met = nodes.len() - missing.len();
        bar.set_message(format!("{met} of {} see all others; {first}", nodes.len()));
        Err(first.clone())
    });
    match met.await {
        Ok(()) => Ok(()),
        Err(first) => {
            let what = format!("the nodes are ready but have not met in time: {first}");
            let next = "look into their logs, or wait with `quorate members`";
            Err(Failure::new("unavailable", what, next).details(missing))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::net::SocketAddr;
    use std::time::Duration;

    #[test]
    fn whoever_is_not_alive_is_named_with_what_is_seen_instead() {
        let names = ["n1", "n2", "n3"];
        let members = |second: &str| json!({"members": [{"name": "n1", "state": "alive"}, {"name": "n2", "state": second}]});
        let said = |answer: &Value, names| strangers("n1", answer, names);
        assert_eq!(said(&members("alive"), &names[..2]), None);
        assert_eq!(
            said(&members("unknown"), &names).as_deref(),
            Some("n1 sees n2 unknown, n3 not at all")
        );
        assert_eq!(said(&Value::Null, &names[..1]), None, "a single node has nobody to meet");
        assert_eq!(said(&Value::Null, &names[..2]).as_deref(), Some("n1 sees n2 not at all"));
    }

    #[tokio::test]
    async fn the_time_is_limited_and_the_failure_says_who_sees_what() {
        let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
        let node = |name: &str| LocalNode {
            name: name.into(),
            dir: "d".into(),
            native: nobody,
            http: nobody,
            resp: nobody,
            join: Vec::new(),
            extra: "",
            key_file: None,
        };
        let deadline = Instant::now() + Duration::from_millis(1);
        let nodes = [node("n1"), node("n2")];
        let failure = all_met(&nodes, deadline, &ProgressBar::hidden()).await.unwrap_err();
        assert_eq!(failure.code(), "unavailable");
        assert!(failure.to_string().contains("n1 did not answer"), "{failure}");
    }
}
