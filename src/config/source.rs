//! File, environment and flags: each setting with the place it came from, so that an error can name it.

use super::ServerConfig;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// One setting from outside the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Where it came from, for errors: `--listen`, `QUORATE_LISTEN__NATIVE`.
    pub origin: String,
    /// `section.key`.
    pub name: String,
    /// As typed.
    pub value: String,
}

impl Setting {
    /// What a flag says.
    pub fn flag(flag: &str, name: &str, value: impl Into<String>) -> Setting {
        Setting { origin: flag.into(), name: name.into(), value: value.into() }
    }
}

/// Why a configuration cannot be used. Nothing was started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("invalid: {}: {reason}; check the path", file.display())]
    Unreadable {
        /// Which file.
        file: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// A line of the file is wrong.
    #[error("invalid: {}:{line}: {reason}; configs/node.toml shows every setting", file.display())]
    Line {
        /// Which file.
        file: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A variable or a flag is wrong.
    #[error("invalid: {origin}: {reason}; configs/node.toml shows every setting")]
    Setting {
        /// The variable's or the flag's name.
        origin: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Settings that cannot be used together, or one beyond its range.
    #[error("invalid: {0}")]
    Wrong(String),
}

pub(super) fn load(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
    flags: &[Setting],
) -> Result<ServerConfig, ConfigError> {
    let mut table = match file {
        Some(file) => read(file)?,
        None => Table::new(),
    };
    // Sorted, so that of two wrong variables the same one is told every time.
    let mut variables: Vec<Setting> = environment.into_iter().filter_map(variable).collect();
    variables.sort_by(|a, b| a.origin.cmp(&b.origin));
    for setting in variables.iter().chain(flags) {
        table = with(&table, setting)?;
    }
    ServerConfig::deserialize(table).map_err(|e| ConfigError::Wrong(e.message().to_owned()))
}

fn read(file: &Path) -> Result<Table, ConfigError> {
    let text = std::fs::read_to_string(file)
        .map_err(|e| ConfigError::Unreadable { file: file.into(), reason: e.to_string() })?;
    let line = |error: toml::de::Error| {
        let at = error.span().map_or(0, |span| span.start).min(text.len());
        ConfigError::Line {
            file: file.into(),
            line: text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1,
            reason: error.message().to_owned(),
        }
    };
    // Read as what it is to be: only this way does an error know its line.
    toml::from_str::<ServerConfig>(&text).map_err(line)?;
    text.parse::<Table>().map_err(line)
}

/// `QUORATE_SECTION__KEY` is a setting; `QUORATE_NODE` and others are not ours.
fn variable((origin, value): (String, String)) -> Option<Setting> {
    let (section, key) = origin.strip_prefix("QUORATE_")?.split_once("__")?;
    let name = format!("{}.{}", section.to_ascii_lowercase(), key.to_ascii_lowercase());
    Some(Setting { origin, name, value })
}

/// The table with one more setting: read as a number or a truth value where the setting is one, else as text.
fn with(table: &Table, setting: &Setting) -> Result<Table, ConfigError> {
    let wrong = |reason: String| ConfigError::Setting { origin: setting.origin.clone(), reason };
    let (section, key) = setting
        .name
        .split_once('.')
        .ok_or_else(|| wrong(format!("`{}` is not section.key", setting.name)))?;
    let typed = setting
        .value
        .parse()
        .map(Value::Boolean)
        .or_else(|_| setting.value.parse().map(Value::Integer))
        .ok();
    let mut reason = String::new();
    for value in typed.into_iter().chain([Value::String(setting.value.clone())]) {
        let mut table = table.clone();
        let entry = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
        if let Value::Table(entries) = entry {
            entries.insert(key.to_owned(), value);
        }
        match ServerConfig::deserialize(table.clone()) {
            Ok(_) => return Ok(table),
            Err(error) => reason = error.message().to_owned(),
        }
    }
    Err(wrong(format!("{} = {}: {reason}", setting.name, setting.value)))
}
