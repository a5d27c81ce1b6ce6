//! `keystead key schedule-deletion`: shows when a key was last used and asks before it goes.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};
use keystead_types::UnixMillis;
use serde_json::{Map, Value};

use crate::client::{Client, ServiceError};
use crate::output;

/// A key that was used so short a time ago is likely to be missed.
const RECENT_MS: u64 = 30 * UnixMillis::DAY;

/// Schedules the deletion of a key, unless whoever is asked does not agree.
pub async fn schedule(
    client: &Client,
    json: bool,
    key_id: &str,
    window: Option<u32>,
    agreed: bool,
) -> Result<()> {
    let mut input = Map::new();
    input.insert("KeyId".into(), key_id.into());
    let mut notes = std::io::stderr();
    for note in last_use(client, &input).await? {
        writeln!(notes, "{}", output::printed(&note))?;
    }
    if !agreed {
        let days = window.unwrap_or(30);
        write!(
            notes,
            "Schedule the deletion of {} in {days} days? [y/N] ",
            output::printed(key_id)
        )?;
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer)?;
        if !matches!(answer.trim(), "y" | "Y" | "yes") {
            bail!("nothing was done; answer y, or say --yes");
        }
    }
    if let Some(days) = window {
        input.insert("PendingWindowInDays".into(), days.into());
    }
    let answer = client.call("ScheduleKeyDeletion", &Value::Object(input)).await?;
    if json {
        return output::object(true, &answer);
    }
    let key = answer["KeyId"].as_str().unwrap_or(key_id);
    let when = time(&answer["DeletionDate"]).map_or_else(String::new, |time| format!(" at {time}"));
    output::text(&format!("{key} cannot be used any more and will be deleted{when}"))
}

/// What to know of the use of a key before it goes.
async fn last_use(client: &Client, input: &Map<String, Value>) -> Result<Vec<String>> {
    let answer = match client.call("GetKeyLastUsage", &Value::Object(input.clone())).await {
        Ok(answer) => answer,
        // Who may delete a key need not be allowed to ask for its use.
        Err(error) if is_denial(&error) => {
            return Ok(vec![format!("When the key was last used is not known: {error}")]);
        }
        Err(error) => return Err(error),
    };
    let last = &answer["KeyLastUsage"];
    let Some(at) = time(&last["Timestamp"]) else {
        let since = time(&answer["TrackingStartDate"]).unwrap_or_default();
        return Ok(vec![format!("The key was not used since {since}.")]);
    };
    let operation = last["Operation"].as_str().unwrap_or_default();
    let mut notes = vec![format!("The key was last used at {at} by {operation}.")];
    if at.plus(RECENT_MS) > now() {
        let text = "WARNING: that is less than 30 days ago. Nothing that was encrypted under the \
                    key can be decrypted once it is deleted.";
        notes.push(text.into());
    }
    Ok(notes)
}

fn is_denial(error: &anyhow::Error) -> bool {
    let code = error.downcast_ref::<ServiceError>().map(|error| error.code.as_str());
    code == Some("AccessDeniedException")
}

/// A point in time, in seconds since the epoch.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "dates are far below")]
fn time(value: &Value) -> Option<UnixMillis> {
    Some(UnixMillis((value.as_f64()?.max(0.0) * 1000.0) as u64))
}

fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
