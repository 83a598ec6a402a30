//! What is printed: a table for people, JSON for programs.
//!
//! Tables have no colours at all, so they look the same in a pipe; without a terminal they are not
//! squeezed to a width either.

use super::failure::{Failure, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use serde_json::Value;
use std::io::{ErrorKind, IsTerminal, Write};

/// For people or for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// An empty table with these columns.
pub(super) fn table(columns: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING);
    table.set_content_arrangement(if std::io::stdout().is_terminal() {
        ContentArrangement::Dynamic
    } else {
        ContentArrangement::Disabled
    });
    if !columns.is_empty() {
        table.set_header(columns.iter().map(|name| name.to_uppercase()));
    }
    table
}

/// Puts the numbers of a column under one another.
pub(super) fn align_right(table: &mut Table, columns: &[usize]) {
    for index in columns {
        if let Some(column) = table.column_mut(*index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

/// Prints lines.
pub(super) fn say(text: impl std::fmt::Display) -> Result<()> {
    raw(format!("{text}\n").as_bytes())
}

/// Prints a table without the blanks that pad its right edge.
pub(super) fn show(table: &Table) -> Result<()> {
    let text = table.to_string();
    let lines: Vec<&str> = text.lines().map(bare).collect();
    say(lines.join("\n"))
}

/// A line of a table without the cell's padding: one blank on the left, any number on the right.
pub(super) fn bare(line: &str) -> &str {
    let line = line.trim_end();
    line.strip_prefix(' ').unwrap_or(line)
}

/// Prints JSON on one line.
pub(super) fn json(value: &Value) -> Result<()> {
    say(value)
}

/// Prints bytes as they are.
pub(super) fn raw(bytes: &[u8]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        // Whoever reads us has seen enough, as `head` does: that is no failure.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        other => other.map_err(Failure::from),
    }
}

/// Bytes in JSON.
pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Bytes for people: text where it is text that a terminal can show, else base64.
pub(super) fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(|c| c.is_control() && c != '\t') => text.to_string(),
        _ => format!("base64:{}", base64(bytes)),
    }
}

/// A field of an answer, for a cell: text as it is, the rest as JSON, nothing as `-`.
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_string(),
        Value::String(text) if text.is_empty() => "-".to_string(),
        Value::String(text) => text.clone(),
        Value::Array(values) => {
            let cells: Vec<String> = values.iter().map(cell).collect();
            if cells.is_empty() { "-".to_string() } else { cells.join(", ") }
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn text_is_text_and_the_rest_cannot_harm_a_terminal() {
        assert_eq!(text("grüß\tdich".as_bytes()), "grüß\tdich");
        assert_eq!(text(b"\x1b[31m"), "base64:G1szMW0=");
        assert_eq!(text(&[0xff]), "base64:/w==");
        assert_eq!(text(b""), "");
    }

    #[test]
    fn a_cell_says_what_a_field_says() {
        assert_eq!(cell(&json!(null)), "-");
        assert_eq!(cell(&json!("n1")), "n1");
        assert_eq!(cell(&json!(1.5)), "1.5");
        assert_eq!(cell(&json!(["n1", "n2"])), "n1, n2");
        assert_eq!(cell(&json!([])), "-");
    }

    #[test]
    fn numbers_stay_under_one_another() {
        let mut table = table(&["n", "name"]);
        align_right(&mut table, &[0]);
        table.add_row(["9", "a"]).add_row(["10", "b"]);
        let text = table.to_string();
        let lines: Vec<&str> = text.lines().map(bare).collect();
        assert_eq!(lines, [" N  NAME", " 9  a", "10  b"]);
    }

    #[test]
    fn a_table_has_no_colours_and_no_frame() {
        let mut table = table(&["name", "state"]);
        table.add_row(["n1", "alive"]);
        let text = table.to_string();
        assert!(text.contains("NAME") && text.contains("alive"), "{text}");
        assert!(!text.contains('\u{1b}') && !text.contains('|'), "{text}");
    }
}
