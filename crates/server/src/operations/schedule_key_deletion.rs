//! ScheduleKeyDeletion: unusable at once, gone when the window ends.

use keystead_api::{Error, ErrorCode, kms, messages};
use keystead_state::proto::{self, outcome};
use keystead_types::UnixMillis;

use super::{Operation, StateRule};
use crate::audit::Parameters;
use crate::convert;
use crate::pipeline::{Call, Failure};
use crate::propose;
use crate::resolve::Target;

pub(crate) struct ScheduleKeyDeletion;

/// The waiting period in days: what it may be, and what it is when nobody says.
const WINDOW_DAYS: std::ops::RangeInclusive<i32> = 7..=30;
const DEFAULT_WINDOW_DAYS: i32 = 30;
/// A key that was used so short a time ago is likely to be missed.
const RECENT_MS: u64 = 30 * UnixMillis::DAY;

impl Operation for ScheduleKeyDeletion {
    type Input = kms::ScheduleKeyDeletionRequest;
    type Output = kms::ScheduleKeyDeletionResponse;

    const NAME: &'static str = "ScheduleKeyDeletion";
    const READ_ONLY: bool = false;
    const STATES: StateRule = StateRule::Deletable;

    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        let days = window_days(input).to_string();
        Ok(vec![
            Target::id_or_arn(input.key_id(), "kms:ScheduleKeyDeletion")
                .fact("kms:ScheduleKeyDeletionPendingWindowInDays", days),
        ])
    }

    fn check(_: &Call<'_>, input: &Self::Input) -> Result<(), Error> {
        if WINDOW_DAYS.contains(&window_days(input)) {
            return Ok(());
        }
        let text = "PendingWindowInDays must be between 7 and 30 (inclusive).";
        Err(Error::new(ErrorCode::ValidationException, text))
    }

    async fn execute(call: &Call<'_>, input: &Self::Input) -> Result<Self::Output, Failure> {
        let key = call.key(0)?;
        let window_days = u32::try_from(window_days(input)).map_err(|_| messages::internal())?;
        let command = proto::ScheduleKeyDeletion { key: propose::key_ref(key), window_days };
        let result = propose::result(call, command).await?;
        Ok(Self::again(call, input, &result).ok_or_else(messages::internal)?)
    }

    fn again(
        call: &Call<'_>,
        input: &Self::Input,
        first: &outcome::Result,
    ) -> Option<Self::Output> {
        // A primary with replicas waits for them to be gone, nobody knows how long.
        let (date, state) = match first {
            outcome::Result::DeletionScheduled(scheduled) => {
                (Some(UnixMillis(scheduled.deletion_ms)), kms::KeyState::PendingDeletion)
            }
            outcome::Result::Done(_) => (None, kms::KeyState::PendingReplicaDeletion),
            _ => return None,
        };
        Some(kms::ScheduleKeyDeletionResponse {
            key_id: Some(call.key_arn(call.key(0).ok()?).to_string()),
            deletion_date: date.map(convert::timestamp),
            key_state: Some(state.into()),
            pending_window_in_days: Some(window_days(input)),
        })
    }

    fn warning(call: &Call<'_>) -> Option<String> {
        let last = call.last_use(call.key(0).ok()?)?;
        let recent = last.at.plus(RECENT_MS) > call.time();
        let (at, operation) = (last.at, last.operation);
        recent.then(|| format!("The key was used in the last 30 days: at {at} by {operation}."))
    }

    fn record(input: &Self::Input) -> Parameters {
        Parameters::new()
            .text("keyId", &input.key_id)
            .number("pendingWindowInDays", Some(window_days(input)))
    }

    fn record_response(_: &Call<'_>, output: &Self::Output) -> Parameters {
        Parameters::new()
            .text("keyId", &output.key_id)
            .name("keyState", output.key_state().as_text())
            .time("deletionDate", output.deletion_date)
            .number("pendingWindowInDays", output.pending_window_in_days)
    }
}

fn window_days(input: &kms::ScheduleKeyDeletionRequest) -> i32 {
    input.pending_window_in_days.unwrap_or(DEFAULT_WINDOW_DAYS)
}
