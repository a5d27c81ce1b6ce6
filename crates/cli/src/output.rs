//! What goes to standard output: a table for people, JSON for programs.

use std::io::Write;

use anyhow::Result;
use serde_json::{Value, json};

use crate::key::Output;

/// One line.
pub fn line(text: &str) -> Result<()> {
    writeln!(std::io::stdout(), "{text}")?;
    Ok(())
}

/// One line of text that others wrote parts of.
pub fn text(text: &str) -> Result<()> {
    line(printed(text).trim_end())
}

/// A text whose control characters never reach the terminal.
pub fn printed(text: &str) -> String {
    text.chars().flat_map(printable).collect()
}

/// One object: as JSON, or one member a line.
pub fn object(json: bool, value: &Value) -> Result<()> {
    match value {
        Value::Object(members) if !json => {
            let width = members.keys().map(String::len).max().unwrap_or_default();
            members
                .iter()
                .try_for_each(|(name, value)| line(&format!("{name:width$}  {}", cell(value))))
        }
        other => line(&serde_json::to_string_pretty(other)?),
    }
}

/// Rows of these columns, aligned.
pub fn table(columns: &[&str], rows: &[Value]) -> Result<()> {
    let mut cells: Vec<Vec<String>> = vec![columns.iter().map(|name| (*name).to_owned()).collect()];
    cells.extend(
        rows.iter().map(|row| columns.iter().map(|name| cell(&row[*name])).collect::<Vec<_>>()),
    );
    let widths: Vec<usize> = (0..columns.len())
        .map(|at| cells.iter().map(|row| row[at].chars().count()).max().unwrap_or_default())
        .collect();
    for row in cells {
        let padded: Vec<String> =
            row.iter().zip(&widths).map(|(text, width)| format!("{text:width$}")).collect();
        line(padded.join("  ").trim_end())?;
    }
    Ok(())
}

/// A value in a table. Control characters in it never reach the terminal.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => printed(text),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

fn printable(character: char) -> Vec<char> {
    if character.is_control() { character.escape_default().collect() } else { vec![character] }
}

/// Rows: a table for people, or one object with all of them under a name.
pub fn rows_of(shown: Output, name: &str, columns: &[&str], rows: Vec<Value>) -> Result<()> {
    match shown {
        Output::Table => table(columns, &rows),
        Output::Json => object(true, &json!({ name: rows })),
    }
}
