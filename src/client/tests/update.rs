//! Updates against a node of one item, at which somebody else writes too.

use super::*;
use crate::error::Error;
use std::sync::Mutex;

fn joined(siblings: &[Version]) -> String {
    let values: Vec<_> = siblings.iter().map(|s| String::from_utf8_lossy(&s.value)).collect();
    values.join("+")
}

/// A node with these values at first; behind the first write stands another one that was made at the same time.
fn contended(log: &Mutex<Vec<Bytes>>) -> impl FnMut(Request) -> Reply {
    move |request| {
        let mut log = log.lock().expect("one thread");
        match request {
            Request::Put { value: Some(value), context, .. } => {
                assert_eq!(context, "token", "it replaces what was read");
                log.push(value);
                written()
            }
            Request::Get { .. } => match log.len() {
                0 => got(&["tea", "milk"]),
                1 => got(&["ours", "theirs"]),
                _ => got(&["one"]),
            },
            other => panic!("an update sends no {other:?}"),
        }
    }
}

#[tokio::test]
async fn an_update_changes_once_and_merges_what_came_at_the_same_time() {
    let (node, log) = (Fake::listen().await, Mutex::new(Vec::new()));
    let test = async {
        let client = client_of(&[&node]).await;
        let change = |siblings: &[Version]| Ok(format!("{}+bread", joined(siblings)));
        let plain = client.update("b", "k", change).await.expect("written");
        assert_eq!(plain.siblings.len(), 2, "without a merge both stay");
        log.lock().expect("one thread").clear();
        let merged = client.update("b", "k", change).merge(|s| Ok(joined(s))).await;
        assert_eq!(merged.expect("written").siblings.len(), 1);
        assert_eq!(*log.lock().expect("one thread"), ["tea+milk+bread", "ours+theirs"]);
        log.lock().expect("one thread").clear();
        let refuse = |_: &[Version]| Err::<Bytes, _>(Error::Invalid("full".into()));
        assert!(client.update("b", "k", refuse).await.is_err());
        assert!(log.lock().expect("one thread").is_empty(), "nothing was written");
    };
    tokio::select! { () = test => (), () = node.answer_with(contended(&log)) => () }
}
