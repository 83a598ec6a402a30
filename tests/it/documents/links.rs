//! Every link of README and docs/ leads to a file that is there, and to a heading of it; the book names every chapter.

use super::markdown::{anchors, links};
use super::{read, root};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Written by `.ci/full`, and only there where it has run.
const WRITTEN_BY_CI: &str = "full-report.md";

/// Every document below docs/, but the table of contents.
fn documents() -> Vec<PathBuf> {
    fn walk(folder: &Path, out: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, out);
            } else if path.extension().is_some_and(|ext| ext == "md") {
                out.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join("docs"), &mut found);
    found.retain(|path| !path.ends_with("SUMMARY.md") && !path.ends_with(WRITTEN_BY_CI));
    found.sort();
    assert!(found.len() > 15, "the documents were not found");
    found
}

#[test]
fn the_book_names_every_document_once_and_nothing_else() {
    let summary = read(&root().join("docs/SUMMARY.md"));
    let named: Vec<PathBuf> =
        links(&summary).iter().map(|link| root().join("docs").join(link)).collect();
    let once: BTreeSet<&PathBuf> = named.iter().collect();
    assert_eq!(once.len(), named.len(), "a chapter is named twice");
    let there = documents();
    assert_eq!(once, there.iter().collect::<BTreeSet<_>>());
}

#[test]
fn every_link_leads_somewhere() {
    let mut all = documents();
    all.extend(
        ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "docs/SUMMARY.md"]
            .map(|name| root().join(name)),
    );
    let (mut wrong, mut followed) = (Vec::new(), 0);
    for document in all {
        let text = read(&document);
        let folder = document.parent().expect("a file is in a folder");
        for link in links(&text) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            followed += 1;
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if path.is_empty() { document.clone() } else { folder.join(path) };
            if !target.exists() {
                wrong.push(format!("{}: {link}: there is no such file", document.display()));
            } else if !anchor.is_empty() && !anchors(&read(&target)).iter().any(|a| a == anchor) {
                wrong.push(format!("{}: {link}: there is no such heading", document.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(followed > 80, "only {followed} links were found");
}
