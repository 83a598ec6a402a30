//! Disks that take nothing any more: full, or read-only.

use super::cluster::{Cluster, QUORATE, SOON, complained, free_base, until};
use super::process::Process;
use quorate::client::{Bytes, Client, Consistency, ExecutionProfile, RetryPolicy};
use rustix::process::Pid;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// A small disk of our own; unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where this user may not mount.
    fn mount(at: &Path, size: &str) -> Option<SmallDisk> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(at);
        let mounted =
            mount.stdin(Stdio::null()).output().is_ok_and(|output| output.status.success());
        mounted.then(|| SmallDisk(at.to_path_buf()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the node that uses it may end after us.
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_clearly_the_others_go_on_and_it_comes_back_when_there_is_space() {
    let settings = [
        ("QUORATE_TIMING__SYNC", "3s"),
        ("QUORATE_STORE__RESERVE_BYTES", "16MiB"),
        ("QUORATE_STORE__SEGMENT_BYTES", "4MiB"),
    ];
    let cluster = Cluster::start_with(3, &settings).await;
    cluster.must(&["wipe", "2"]);
    fs::create_dir_all(cluster.data(2)).expect("a folder");
    let Some(disk) = SmallDisk::mount(&cluster.data(2), "96m") else {
        println!(
            "SKIPPED: this user may not mount a small disk (run as root, with the right to mount)"
        );
        return;
    };
    cluster.restart(2).await;
    let client = cluster.client().await;
    client.put("full", "before", "kept").consistency(Consistency::All).await.expect("acknowledged");
    let key = cluster.key_of_second(&client, "only").await;
    let ballast = disk.0.join("ballast");
    let free = || rustix::fs::statvfs(&disk.0).map(|s| s.f_bavail * s.f_frsize).expect("mounted");
    let bytes = usize::try_from(free() - (8 << 20)).expect("it is small");
    fs::write(&ballast, vec![0; bytes]).expect("there is room for it");

    let profile = ExecutionProfile { retries: RetryPolicy::never(), ..ExecutionProfile::default() };
    let node = cluster.native(2).to_string();
    let alone = Client::builder().nodes([node]).profile(profile).build().await.expect("it greets");
    let large = Bytes::from(vec![7; 64 << 10]);
    // Where nobody but the full node may write, it says so, in every interface.
    let put = async || alone.put("only", &key, large.clone()).sort("s").strict(true).w(1).await;
    let mut fits = 0;
    let error = until("the full node says so", SOON, async || {
        let sort = format!("{fits}");
        match alone.put("only", &key, large.clone()).sort(sort).strict(true).await {
            Err(error) if error.code() == "disk_full" => Ok(error),
            Err(error) => Err(error.to_string()),
            Ok(_) => {
                fits += 1;
                Err("it still stores".into())
            }
        }
    })
    .await;
    println!("a full disk, after {fits} more writes: {error}");
    assert_eq!(put().await.expect_err("it is full").code(), "disk_full");
    let path = format!("/v1/kv/only/{key}?strict=true&sort=http");
    let answer = cluster.ask(2, "PUT", &path, &[], b"v").await;
    assert_eq!((answer.status, answer.code().as_str()), (507, "disk_full"), "{}", answer.text());
    until("it is not ready", SOON, async || {
        match cluster.ask(2, "GET", "/readyz", &[], b"").await {
            ready if ready.status == 503 && ready.text().contains("disk") => Ok(()),
            ready => Err(ready.text()),
        }
    })
    .await;
    // Two of three have it, and somebody asked for all: that is neither stored nor not stored.
    let all = alone.put("full", "all", "v").consistency(Consistency::All);
    let error = all.timeout(Duration::from_secs(2)).await.expect_err("one of three is full");
    let required = error.counts().map(|(required, _)| required);
    assert_eq!((error.code(), required), ("outcome_unknown", Some(3)), "{error}");
    // Reads go on there, and writes everywhere else: through the client library without a word of it.
    let got = alone.get("full", "before").await.expect("reads need no space");
    assert_eq!(got.value().expect("one").map(|v| &v[..]), Some(&b"kept"[..]));
    let others = cluster.client_of(&[1, 3]).await;
    for number in 0..20 {
        for (name, client) in [("others", &others), ("any", &client), ("n2", &alone)] {
            let put = client.put("full", format!("{name}-{number}"), large.clone());
            put.await
                .unwrap_or_else(|error| panic!("two of three have space, via {name}: {error}"));
        }
    }

    fs::remove_file(&ballast).expect("it was ours");
    cluster.ready(2).await;
    until("it takes writes again", SOON, async || {
        put().await.map(drop).map_err(|error| error.to_string())
    })
    .await;
    cluster.no_hints().await;
    let items = cluster.agree("full", 3).await;
    assert_eq!(items.len(), 62);
    assert_eq!(cluster.dump(2, "only").await.expect("it answers").len(), fits + 1);
    cluster.kill(&[2]);
}

#[test]
fn a_read_only_directory_is_refused_with_what_to_do() {
    let above = tempfile::tempdir().expect("a folder");
    let data = above.path().join("data");
    fs::create_dir(&data).expect("made");
    let mut permissions = fs::metadata(&data).expect("there").permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&data, permissions).expect("ours");
    let mut disk = None;
    if fs::write(data.join("probe"), "x").is_ok() {
        // Root may write anywhere but on a read-only disk.
        fs::remove_file(data.join("probe")).expect("ours");
        disk = SmallDisk::mount(&data, "1m,ro");
        if disk.is_none() {
            println!("SKIPPED: this user may write to read-only folders, and may not mount one");
            return;
        }
    }
    let base = free_base(1);
    let mut serve = Command::new(QUORATE);
    serve.args(["serve", "--name", "n1", "--bootstrap", "--data-dir"]).arg(&data);
    serve.args([
        "--listen",
        &format!("127.0.0.1:{}", base + 10),
        "--http",
        &format!("127.0.0.1:{}", base + 11),
        "--resp",
        "none",
    ]);
    let mut child = serve.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it runs");
    if !Process::open(Pid::from_child(&child)).ended(SOON) {
        child.kill().expect("ours");
    }
    let output = child.wait_with_output().expect("it has ended");
    assert_eq!(output.status.code(), Some(1));
    let last = complained(&output);
    let last = last.lines().last().unwrap_or_default();
    assert!(last.starts_with("unavailable: ") && last.contains("data"), "{last}");
    drop(disk);
}
