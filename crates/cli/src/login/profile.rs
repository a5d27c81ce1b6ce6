//! Profiles in the shared credentials file of AWS's tools. All that is in the file beside the profile
//! stays as it is, byte by byte.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::client::text;

/// The first line of a profile that `keystead login` wrote.
const MARK: &str = "# written by keystead login";
/// Members of a profile, and of what `credential_process` prints.
const MEMBERS: [(&str, &str); 3] = [
    ("aws_access_key_id", "AccessKeyId"),
    ("aws_secret_access_key", "SecretAccessKey"),
    ("aws_session_token", "SessionToken"),
];

/// A profile that may be written.
pub struct Profile {
    name: String,
    path: PathBuf,
}

impl Profile {
    /// The profile of this name, in the file that AWS's tools read.
    ///
    /// # Errors
    /// Somebody else wrote a profile of this name, or the file cannot be read.
    pub fn open(name: &str) -> Result<Self> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.@".contains(&b);
        ensure!(
            !name.is_empty() && name.bytes().all(allowed),
            "a profile is named by letters, digits and -_.@, not {name:?}"
        );
        let path = path()?;
        // A link stays one: what it points to is replaced.
        let path = fs::canonicalize(&path).unwrap_or(path);
        if replaced(&read(&path)?, name, "").is_none() {
            bail!(
                "{} has a profile [{name}] of somebody else; name another one with --profile",
                path.display()
            );
        }
        Ok(Self { name: name.to_owned(), path })
    }

    /// Writes credentials into the profile.
    pub fn put(&self, credentials: &Value) -> Result<()> {
        let mut section = Zeroizing::new(format!("[{}]\n{MARK}\n", self.name));
        for (member, named) in MEMBERS {
            let value = text(credentials, named);
            let plain = !value.is_empty() && value.bytes().all(|b| b.is_ascii_graphic());
            ensure!(plain, "the {named} that came is none");
            section.push_str(&format!("{member} = {value}\n"));
        }
        let Some(file) = replaced(&read(&self.path)?, &self.name, &section) else {
            bail!("somebody else wrote the profile [{}] meanwhile", self.name);
        };
        replace(&self.path, &file).with_context(|| format!("write {}", self.path.display()))
    }
}

/// Where AWS's tools look for credentials.
fn path() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("AWS_SHARED_CREDENTIALS_FILE") {
        return Ok(path.into());
    }
    let home = std::env::var_os("HOME").context("HOME is not set")?;
    Ok(Path::new(&home).join(".aws/credentials"))
}

fn read(path: &Path) -> Result<Zeroizing<String>> {
    match fs::read_to_string(path) {
        Ok(file) => Ok(Zeroizing::new(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Zeroizing::default()),
        Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
    }
}

/// The file with this section in the place of the profile's, or at its end; `None` if there is a
/// profile of this name that `keystead login` did not write.
fn replaced(file: &str, name: &str, section: &str) -> Option<Zeroizing<String>> {
    let mut new = Zeroizing::new(String::with_capacity(file.len() + section.len() + 2));
    let mut lines = file.split_inclusive('\n').peekable();
    let mut found = false;
    while let Some(line) = lines.next() {
        if header(line) != Some(name) {
            new.push_str(line);
            continue;
        }
        if found || lines.next().map(str::trim) != Some(MARK) {
            return None;
        }
        found = true;
        // Only what stands in the section is replaced, not the lines before the next one.
        let members = |line: &str| MEMBERS.iter().any(|(member, _)| line.starts_with(member));
        while lines.next_if(|line| members(line)).is_some() {}
        new.push_str(section);
    }
    if !found {
        if !new.is_empty() && !new.ends_with('\n') {
            new.push('\n');
        }
        new.push_str(section);
    }
    Some(new)
}

/// The profile that a line begins.
fn header(line: &str) -> Option<&str> {
    line.trim().strip_prefix('[')?.split_once(']').map(|(name, _)| name.trim())
}

/// Replaces a file at once, by one that only its owner reads.
fn replace(path: &Path, contents: &str) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let beside = path.with_extension(format!("keystead-{}", std::process::id()));
    let written = || {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(contents.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    written().inspect_err(|_| {
        let _ = fs::remove_file(&beside);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "[own]\n# written by keystead login\naws_access_key_id = A\n\
                       aws_secret_access_key = B\naws_session_token = C\n";

    #[test]
    fn only_the_profile_is_replaced() {
        let new = |file: &str| replaced(file, "own", "[own]\nnew\n").map(|new| new.to_string());
        assert_eq!(new("").as_deref(), Some("[own]\nnew\n"));
        assert_eq!(new("[a]\nb = c").as_deref(), Some("[a]\nb = c\n[own]\nnew\n"));
        let around = format!("# first\n[a]\nb = c\n\n{OWN}\n# last\n [d] # own\ne=f\n");
        let expected = "# first\n[a]\nb = c\n\n[own]\nnew\n\n# last\n [d] # own\ne=f\n";
        assert_eq!(new(&around).as_deref(), Some(expected));
    }

    #[test]
    fn what_somebody_else_wrote_is_left_alone() {
        for file in ["[own]\naws_access_key_id = A\n", "[own]", " [ own ]\n\n", "[own]#\n"] {
            assert!(replaced(file, "own", "").is_none(), "{file:?}");
        }
        assert!(replaced(&OWN.repeat(2), "own", "").is_none(), "twice");
    }
}
