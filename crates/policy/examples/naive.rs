//! The naive evaluator as a program, for tests that ask a node the same: a case a line on standard
//! input, as the files under `tests/policies` have them with a single decision, and an answer a line
//! on standard output.

#[path = "../tests/support/mod.rs"]
mod support;

use std::io::{self, BufRead, Write};

use serde_json::Value;
use support::{given, naive};

fn main() -> io::Result<()> {
    let mut answers = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let file: Value = serde_json::from_str(&line?)?;
        let case = given::case(&file, &file["decision"]);
        writeln!(answers, "{}", naive::answer(&case).name())?;
        answers.flush()?;
    }
    Ok(())
}
