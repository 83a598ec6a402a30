//! The floors of `lib.rs` hold: modules import from lower floors only, and not from their own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const FLOORS: &[(&str, u8)] = &[
    ("error", 0),
    ("guard", 0),
    ("id", 0),
    ("quorum", 0),
    ("seal", 0),
    ("time", 0),
    ("config", 1),
    ("version", 1),
    ("merkle", 1),
    ("ring", 1),
    ("store", 1),
    ("swim", 2),
    ("types", 2),
    ("register", 2),
    ("coordinator", 2),
    ("collection", 2),
    ("staleness", 2),
    ("message", 3),
    ("node", 4),
    ("client", 5),
    ("sim", 5),
    ("files", 6),
    ("logs", 6),
    ("redis", 6),
    ("server", 7),
    ("cli", 8),
];

fn rust_files(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            rust_files(&path, out);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            out.push(path);
        }
    }
}

/// The modules that a file names behind `crate::`, also inside braces.
fn imports(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with("//")) {
        for rest in line.split("crate::").skip(1) {
            let names = match rest.strip_prefix('{') {
                Some(list) => list.split(['}', ',']).map(str::trim).collect(),
                None => vec![rest],
            };
            for name in names {
                let end = name.find(|c: char| !c.is_ascii_lowercase() && c != '_');
                found.push(name[..end.unwrap_or(name.len())].to_owned());
            }
        }
    }
    found
}

#[test]
fn modules_import_from_lower_floors_only() {
    let floors: BTreeMap<&str, u8> = FLOORS.iter().copied().collect();
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    assert!(files.len() > 50, "the sources were not found");
    let mut wrong = Vec::new();
    for path in files {
        let inside = path.strip_prefix(&src).expect("below src");
        let first = inside.components().next().expect("a file").as_os_str().to_string_lossy();
        let module = first.trim_end_matches(".rs").to_owned();
        if module == "lib" || module == "main" {
            continue;
        }
        let own = floors.get(module.as_str());
        let own = own.unwrap_or_else(|| panic!("{module} stands on no floor: add it to the table"));
        let text = std::fs::read_to_string(&path).expect("a readable file");
        for name in imports(&text) {
            if let Some(floor) = floors.get(name.as_str())
                && name != module
                && (floor > own || (floor == own && *own > 0))
            {
                wrong.push(format!(
                    "{} (floor {own}) imports {name} (floor {floor})",
                    inside.display()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
