//! Reading a TOML table whose keys may also be variables: texts, units, and what is misspelt.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use toml::{Table, Value};

/// A key: its section, its name, what it is for.
pub type Key = (&'static str, &'static str, &'static str);

/// A configuration whose keys are all known.
pub struct Reader(Table);

impl Reader {
    /// Reads a file's text and lays variables over it. `lists` are arrays of tables, which no
    /// variable can say.
    pub fn new(
        text: &str,
        keys: &[Key],
        lists: &[Key],
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self> {
        let mut table: Table = text.parse()?;
        refuse_unknown(&table, keys, lists)?;
        overlay(&mut table, keys, variable);
        Ok(Self(table))
    }

    fn get(&self, section: &str, name: &str) -> Option<&Value> {
        if section.is_empty() { self.0.get(name) } else { self.0.get(section)?.get(name) }
    }

    /// A text, if it is there.
    pub fn text(&self, section: &str, name: &str) -> Result<Option<String>> {
        match self.get(section, name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => {
                bail!("{} must be a text, not {}", full(section, name), other.type_str())
            }
        }
    }

    /// A text that must be there.
    pub fn required(&self, section: &str, name: &str) -> Result<String> {
        self.text(section, name)?.with_context(|| format!("{} is missing", full(section, name)))
    }

    /// A path, if it is there.
    pub fn path(&self, section: &str, name: &str) -> Result<Option<PathBuf>> {
        Ok(self.text(section, name)?.map(PathBuf::from))
    }

    /// What a text says, read by `read`.
    pub fn parsed<T>(
        &self,
        section: &str,
        name: &str,
        read: impl FnOnce(&str) -> Result<T>,
    ) -> Result<Option<T>> {
        let Some(text) = self.text(section, name)? else { return Ok(None) };
        let read = read(&text);
        read.with_context(|| format!("{} = {text:?}", full(section, name))).map(Some)
    }

    /// An address to listen on.
    pub fn address(&self, section: &str, name: &str) -> Result<Option<SocketAddr>> {
        self.parsed(section, name, |text| text.parse().context("that is no address"))
    }

    /// True or false; false where it is not there.
    pub fn flag(&self, section: &str, name: &str) -> Result<bool> {
        match self.get(section, name) {
            None => Ok(false),
            Some(Value::Boolean(flag)) => Ok(*flag),
            Some(Value::String(text)) if text == "true" || text == "false" => Ok(text == "true"),
            Some(_) => bail!("{} must be true or false", full(section, name)),
        }
    }

    /// A whole number.
    pub fn number(&self, section: &str, name: &str) -> Result<Option<usize>> {
        let wrong = || format!("{} must be a whole number", full(section, name));
        match self.get(section, name) {
            None => Ok(None),
            Some(Value::Integer(number)) => usize::try_from(*number).with_context(wrong).map(Some),
            Some(Value::String(text)) => text.parse().with_context(wrong).map(Some),
            Some(_) => bail!(wrong()),
        }
    }

    /// Texts: an array or, in a variable, separated by commas.
    pub fn texts(&self, section: &str, name: &str) -> Result<Vec<String>> {
        match self.get(section, name) {
            None => Ok(Vec::new()),
            Some(value) => texts(value, &full(section, name)),
        }
    }

    /// The tables of a list, which may be in a section: `section.list`.
    pub fn list(&self, name: &str) -> impl Iterator<Item = &Table> {
        let (section, name) = name.split_once('.').unwrap_or(("", name));
        let list = self.get(section, name).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_table)
    }
}

/// Texts: an array, or one text with commas between them.
pub fn texts(value: &Value, name: &str) -> Result<Vec<String>> {
    let wrong = || format!("{name} must be an array of texts");
    match value {
        Value::String(text) => Ok(text.split(',').map(|item| item.trim().to_owned()).collect()),
        Value::Array(items) => {
            items.iter().map(|item| item.as_str().map(str::to_owned).with_context(wrong)).collect()
        }
        _ => bail!(wrong()),
    }
}

fn full(section: &str, name: &str) -> String {
    if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") }
}

fn refuse_unknown(table: &Table, keys: &[Key], lists: &[Key]) -> Result<()> {
    let known: Vec<String> =
        keys.iter().chain(lists).map(|(section, name, _)| full(section, name)).collect();
    check_section("", table, lists, &known)
}

/// Checks the names in a section, which is none at the top.
fn check_section(section: &str, table: &Table, lists: &[Key], known: &[String]) -> Result<()> {
    for (name, value) in table {
        let path = full(section, name);
        if !value.is_array() && lists.iter().any(|(list, ..)| **list == *path) {
            bail!("{path} is a list of tables: write [[{path}]]");
        }
        match value {
            Value::Table(inner) => check_section(&path, inner, lists, known)?,
            // What is in a setting whose value is a list of tables, its reader knows.
            Value::Array(items) if items.iter().all(Value::is_table) && !known.contains(&path) => {
                let mut tables = items.iter().filter_map(Value::as_table);
                tables.try_for_each(|inner| check_section(&path, inner, lists, known))?;
            }
            _ => check_name(&path, known)?,
        }
    }
    Ok(())
}

fn check_name(name: &str, known: &[String]) -> Result<()> {
    if known.iter().any(|known| known == name) {
        return Ok(());
    }
    match known.iter().min_by_key(|known| distance(known, name)) {
        Some(nearest) => bail!("{name:?} is not a setting; did you mean {nearest:?}?"),
        None => bail!("{name:?} is not a setting"),
    }
}

fn overlay(table: &mut Table, keys: &[Key], variable: impl Fn(&str) -> Option<String>) {
    for (section, name, _) in keys {
        let variable_name = format!("KEYSTEAD_{}", full(section, name).replace('.', "_"));
        let Some(value) = variable(&variable_name.to_uppercase()) else { continue };
        let target = if section.is_empty() {
            Some(&mut *table)
        } else {
            let entry = table.entry(*section).or_insert_with(|| Value::Table(Table::new()));
            entry.as_table_mut()
        };
        if let Some(target) = target {
            target.insert((*name).to_owned(), Value::String(value));
        }
    }
}

/// Edits between two names (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// A duration with its unit.
pub fn duration(text: &str) -> Result<Duration> {
    let units = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];
    with_unit(text, &units).map(Duration::from_millis)
}

/// A size with its unit, in bytes.
pub fn size(text: &str) -> Result<u64> {
    let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40), ("B", 1)];
    with_unit(text, &units)
}

fn with_unit(text: &str, units: &[(&str, u64)]) -> Result<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = &text[digits.len()..];
    let Some((_, factor)) = units.iter().find(|(name, _)| *name == unit) else {
        let names: Vec<&str> = units.iter().map(|(name, _)| *name).collect();
        bail!("say a number and a unit, one of: {}", names.join(", "));
    };
    let number: u64 = digits.trim().parse().context("that is no whole number")?;
    number.checked_mul(*factor).context("that is too much")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations_carry_units() {
        assert_eq!(duration("250ms").unwrap(), Duration::from_millis(250));
        for text in ["10", "s", "1.5s", "-1s", "99999999999999999999h", "5 fortnights"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
