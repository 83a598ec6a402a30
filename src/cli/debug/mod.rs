//! `quorate debug PATH`: what a helper wants to know, in one file.
//!
//! ```text
//!   quorate-debug-20261123T011500Z/
//!     README.txt                what this is, and what is not in it
//!     versions.json             of this program, of each node, of the machine
//!     doctor.json               what `quorate doctor` says
//!     nodes/n1/status.json …    what each node answered
//!     config/0-node.toml        as --config named them, without secrets
//! ```
//!
//! No key, no value and no log line of anybody's is asked for. Names of nodes, zones and buckets and addresses are in it.

mod secrets;

use super::args::DebugArgs;
use super::doctor::{self, Exam};
use super::failure::{About, Failure, Result};
use super::output::{Format, json, say};
use super::progress;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long between the two looks at hints.
const BETWEEN: Duration = Duration::from_secs(3);
/// The longest configuration file that is taken, in bytes.
const CONFIG_BYTES: u64 = 1 << 20;

const README: &str = "\
What `quorate debug` gathered, for somebody who is to help.

versions.json     of the program that asked, of every node that answered, of the machine
doctor.json       what `quorate doctor` says about these answers
nodes/NAME/       what that node answered: info, status, members, ring, hints, partitions, buckets, metrics, clock;
                  or error.txt, why it did not
config/           configuration files that were named with --config: settings that Quorate knows and that hold no
                  secret; everything else is \"(removed)\", and comments are gone

There are no keys, no values and no log lines in it. There are names of nodes, zones and buckets, addresses, and
how many items each partition has.
";

/// Gathers everything into one new file.
pub(super) async fn debug(args: DebugArgs) -> Result<()> {
    // Before anybody is asked: a file that cannot be read, or is there already, should not cost a minute.
    let config = configurations(&args.config)?;
    let stamp = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let (path, folder) = destination(&args.path, &stamp);
    if path.exists() {
        let next = "name another file, or a folder";
        return Err(Failure::new("invalid", format!("{} is there already", path.display()), next));
    }
    let spinner = progress::spinner("asking every node");
    let exam =
        Exam::take(&args.look.target, BETWEEN, |text| spinner.set_message(text.to_owned())).await;
    spinner.finish_and_clear();
    let exam = exam?;
    let mut files = files(&exam);
    files.extend(config);
    write(&path, &folder, &files).about(path.display())?;
    match args.look.print.output {
        Format::Json => json(&json!({ "file": path.display().to_string(), "files": files.len() })),
        Format::Table => say(path.display()),
    }
}

/// The file, and the folder inside it.
fn destination(typed: &Path, stamp: &str) -> (PathBuf, String) {
    let folder = format!("quorate-debug-{stamp}");
    let name = typed.file_name().unwrap_or_default().to_string_lossy();
    if name.ends_with(".tar.gz") || name.ends_with(".tgz") {
        return (typed.to_owned(), folder);
    }
    (typed.join(format!("{folder}.tar.gz")), folder)
}

fn configurations(paths: &[PathBuf]) -> Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    for (at, path) in paths.iter().enumerate() {
        let size = fs::metadata(path).about(path.display())?.len();
        if size > CONFIG_BYTES {
            let next = "name the node's configuration file";
            return Err(Failure::new(
                "too_large",
                format!("{} has {size} bytes", path.display()),
                next,
            ));
        }
        let text = fs::read_to_string(path).about(path.display())?;
        let clean = secrets::removed(&text).map_err(|why| {
            // The parser's own words quote the line, and that line may hold a secret.
            Failure::new(
                "invalid",
                format!("{}: {why}", path.display()),
                "mend the file, or leave it out",
            )
        })?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let name: String =
            name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        files.push((format!("config/{at}-{name}.toml"), clean.into_bytes()));
    }
    Ok(files)
}

/// Everything but the configuration: path inside the folder, and bytes.
fn files(exam: &Exam) -> Vec<(String, Vec<u8>)> {
    let mut files = vec![("README.txt".to_owned(), README.as_bytes().to_vec())];
    let mut add = |path: String, value: &Value| {
        let text = serde_json::to_string_pretty(value).unwrap_or_default();
        files.push((path, text.into_bytes()));
    };
    add("versions.json".into(), &versions(exam));
    add("doctor.json".into(), &doctor::opinion(exam));
    let mut errors = Vec::new();
    for (at, node) in exam.nodes.iter().enumerate() {
        // A name is anything; a path is not. The number keeps two of them apart.
        let name: String =
            node.name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let folder = format!("nodes/{at}-{name}");
        match &node.answered {
            Ok(answered) => {
                let clock = answered
                    .clock
                    .map(|c| json!({ "offset_ms": c.offset_ms, "error_ms": c.error_ms }));
                for (file, value) in [
                    ("info", &answered.info),
                    ("status", &answered.status),
                    ("members", &answered.members),
                    ("ring", &answered.ring),
                    ("hints", &answered.hints),
                    ("hints-later", &answered.hints_later),
                    ("partitions", &answered.partitions),
                    ("buckets", &answered.buckets),
                    ("metrics", &answered.metrics),
                    ("clock", &clock.unwrap_or_default()),
                ] {
                    add(format!("{folder}/{file}.json"), value);
                }
            }
            Err(why) => {
                errors.push((format!("{folder}/error.txt"), format!("{why}\n").into_bytes()))
            }
        }
    }
    files.extend(errors);
    files
}

fn versions(exam: &Exam) -> Value {
    let nodes =
        exam.answered().map(|(node, a)| json!({ "node": node.name, "version": a.info["version"] }));
    let system = rustix::system::uname();
    json!({
        "quorate": env!("CARGO_PKG_VERSION"),
        "nodes": nodes.collect::<Vec<_>>(),
        "system": format!("{} {} {}", system.sysname().to_string_lossy(), system.release().to_string_lossy(), system.machine().to_string_lossy()),
        "cores": std::thread::available_parallelism().map(usize::from).unwrap_or_default(),
    })
}

/// Written beside its place and renamed, so that a file of this name is whole. Nobody else may read it.
fn write(path: &Path, folder: &str, files: &[(String, Vec<u8>)]) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    pack(file, folder, files)?.sync_all()?;
    fs::rename(&new, path)
}

fn pack(file: File, folder: &str, files: &[(String, Vec<u8>)]) -> std::io::Result<File> {
    let mut tar = tar::Builder::new(GzEncoder::new(file, Compression::default()));
    let seconds = u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or_default();
    for (path, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(seconds);
        tar.append_data(&mut header, format!("{folder}/{path}"), &bytes[..])?;
    }
    let mut file = tar.into_inner()?.finish()?;
    file.flush()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::NodeExam;

    #[test]
    fn a_folder_gets_a_new_file_and_a_file_is_that_file() {
        let (path, folder) = destination(Path::new("out"), "S");
        assert_eq!(
            (path.as_path(), &*folder),
            (Path::new("out/quorate-debug-S.tar.gz"), "quorate-debug-S")
        );
        assert_eq!(destination(Path::new("a/b.tar.gz"), "S").0, Path::new("a/b.tar.gz"));
        assert_eq!(destination(Path::new("b.tgz"), "S").0, Path::new("b.tgz"));
    }

    #[test]
    fn a_bundle_is_for_its_owner_alone_and_unpacks_to_what_went_in() {
        use std::io::Read;
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/b.tar.gz");
        write(&path, "f", &[("a/b.json".into(), b"{}".to_vec())]).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let mut archive =
            tar::Archive::new(flate2::read::GzDecoder::new(File::open(&path).unwrap()));
        let mut entries = archive.entries().unwrap();
        let mut entry = entries.next().unwrap().unwrap();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        assert_eq!((entry.path().unwrap().to_str(), &*text), (Some("f/a/b.json"), "{}"));
        assert!(entries.next().is_none());
    }

    #[test]
    fn a_name_is_no_path() {
        let node = NodeExam {
            name: "../../etc/passwd".into(),
            address: "a:1".into(),
            believed: "dead".into(),
            answered: Err("refused".into()),
        };
        let exam = Exam { nodes: vec![node], ..Exam::default() };
        let files = files(&exam);
        assert!(files.iter().all(|(path, _)| !path.contains("..")), "{:?}", files.last());
        assert!(files.iter().any(|(path, _)| path.ends_with("error.txt")));
    }
}
