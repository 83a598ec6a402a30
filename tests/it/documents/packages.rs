//! What can be said of the packages without the tools that build them: files that they name are there, flags that they
//! use are known, versions agree, and pages and completions come out of the binary under the names that are packed.

use super::{read, root};
use crate::processes::cluster::{QUORATE, complained, quorate, said};
use std::process::Command;

fn manifest() -> toml::Table {
    read(&root().join("Cargo.toml")).parse().expect("TOML")
}

#[test]
fn every_file_of_the_debian_package_is_there_or_is_made_by_its_script() {
    let folder = tempfile::tempdir().expect("a folder");
    let made = folder.path().join("files");
    let mut pages = Command::new(root().join("configs/package/pages"));
    let output = pages.arg(QUORATE).arg(&made).output().expect("bash");
    assert!(output.status.success(), "{}", complained(&output));
    for page in
        ["quorate.1.gz", "quorate-put.1.gz", "quorate-ring-plan.1.gz", "quorate-doctor.1.gz"]
    {
        assert!(made.join("man").join(page).exists(), "{page}");
    }
    let manifest = manifest();
    let deb = &manifest["package"]["metadata"]["deb"];
    let assets = deb["assets"].as_array().expect("a list");
    assert!(assets.len() > 5);
    for asset in assets {
        let source = asset[0].as_str().expect("a path");
        if let Some(generated) = source.strip_prefix("target/package-files/") {
            // The pages are a pattern.
            let generated = generated.replace('*', "quorate");
            assert!(
                made.join(&generated).exists(),
                "configs/package/pages does not make {generated}"
            );
        } else if source != "target/release/quorate" {
            assert!(root().join(source).exists(), "there is no {source}");
        }
    }
    let unit = read(&root().join("configs/quorate.service"));
    assert!(unit.contains("ExecStart=/usr/bin/quorate") && unit.contains("/etc/quorate/node.toml"));
}

#[test]
fn the_containers_say_what_the_binary_understands() {
    let help = said(&quorate(["serve", "--help"]));
    let compose = read(&root().join("compose.yaml"));
    let dockerfile = read(&root().join("Dockerfile"));
    let mut flags = 0;
    for word in compose.lines().chain(dockerfile.lines()).filter(|line| line.contains("--name")) {
        let words = word.split_whitespace().filter(|word| word.starts_with("--"));
        for flag in words {
            flags += 1;
            assert!(help.contains(flag), "serve does not know {flag}");
        }
    }
    assert!(flags > 20, "the commands were not found");
    for flag in ["--join", "--bootstrap"] {
        assert!(compose.contains(flag) && help.contains(flag), "{flag}");
    }
    let manifest = manifest();
    let oldest = manifest["package"]["rust-version"].as_str().expect("a version");
    assert!(
        dockerfile.contains(&format!("FROM rust:{oldest}-")),
        "the Dockerfile proves the oldest Rust: {oldest}"
    );
    assert!(read(&root().join("docs/packaging.md")).contains(&format!("cargo +{oldest} check")));
}

/// What the oldest Rust that is promised cannot build must not come in; what our own code uses of the standard library
/// is looked at by clippy (`incompatible_msrv`).
#[test]
fn no_dependency_wants_a_newer_rust_than_is_promised() {
    let version = |text: &str| -> Vec<u32> {
        text.split('.').map(|part| part.parse().expect("a number")).collect()
    };
    let cargo = |args: &[&str]| {
        let mut cargo = Command::new(env!("CARGO"));
        let output = cargo.args(args).current_dir(root()).output().expect("cargo");
        assert!(output.status.success(), "{}", complained(&output));
        String::from_utf8(output.stdout).expect("text")
    };
    // Of other platforms' dependencies nothing need be on this machine.
    let version_of_cargo = cargo(&["-vV"]);
    let host = version_of_cargo.lines().find_map(|line| line.strip_prefix("host: "));
    let here = ["--filter-platform", host.expect("a host")];
    let asked = ["metadata", "--locked", "--offline", "--format-version", "1"];
    let metadata: serde_json::Value =
        serde_json::from_str(&cargo(&[&asked[..], &here].concat())).expect("JSON");
    let manifest = manifest();
    let promised = version(manifest["package"]["rust-version"].as_str().expect("a version"));
    let mut told = 0;
    for package in metadata["packages"].as_array().expect("a list") {
        let Some(wanted) = package["rust_version"].as_str() else { continue };
        told += 1;
        assert!(version(wanted) <= promised, "{} wants Rust {wanted}", package["name"]);
    }
    assert!(told > 100, "{told} dependencies say what they want");
}
