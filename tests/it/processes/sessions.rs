//! A session against a node that is cut off: it answers from what it has, and that is old.

use super::cluster::{Cluster, QUORATE, SOON, until};
use super::process::Guard;
use super::rehearsal::{harm, seen_as, token};
use quorate::Error;
use quorate::client::Consistency;
use std::process::{Command, Stdio};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_never_reads_what_it_has_replaced_from_a_node_that_is_cut_off() {
    let cluster = Cluster::start(3).await;
    cluster.stop(1);
    let mut command = Command::new(QUORATE);
    command.arg("serve").arg("-c").arg(cluster.node_dir(1).join("node.toml")).arg("--enable-chaos");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let _node = Guard(command.spawn().expect("it runs"));
    cluster.ready(1).await;
    cluster.all_alive().await;

    let others = cluster.client_of(&[2, 3]).await.session();
    others.put("s", "k", "old").consistency(Consistency::All).await.expect("everywhere");
    others.get("s", "k").await.expect("read");
    let key = token(&cluster, 1).await;
    assert_eq!(harm(&cluster, 1, &key, "partition").await.0, 202);
    seen_as(&cluster, &["dead"]).await;
    others.put("s", "k", "new").await.expect("two of three");

    // The session moves to the node that is cut off.
    let alone = cluster.client_of(&[1]).await;
    let (one, short) = (Consistency::One, Duration::from_secs(2));
    until("the node that is cut off answers", SOON, async || {
        let got = alone.get("s", "k").consistency(one).timeout(short).await;
        let got = got.map_err(|e| e.to_string())?;
        assert_eq!(got.value().expect("one value").map(|v| &v[..]), Some(&b"old"[..]));
        Ok(())
    })
    .await;
    let session = alone.resume(&others.export(4096)).expect("a session");
    let end = session.get("s", "k").consistency(one).timeout(short).await;
    assert!(matches!(end, Err(Error::Session(_))), "{end:?}");

    assert_eq!(harm(&cluster, 1, &key, "heal").await.0, 202);
    until("the session reads its write", SOON, async || {
        let got = session.get("s", "k").consistency(one).timeout(short).await;
        let got = got.map_err(|e| e.to_string())?;
        assert_eq!(got.value().expect("one value").map(|v| &v[..]), Some(&b"new"[..]));
        Ok(())
    })
    .await;
}
