//! Between the values of this service and those of the wire.

use keystead_types::UnixMillis;

/// A point in time as the wire's timestamp.
pub(crate) fn timestamp(time: UnixMillis) -> keystead_api::Timestamp {
    let seconds = i64::try_from(time.seconds()).unwrap_or(i64::MAX);
    let nanos = i32::try_from(time.0 % 1000).unwrap_or_default() * 1_000_000;
    keystead_api::Timestamp { seconds, nanos }
}

/// An enum member as its number on the wire.
pub(crate) fn member<E: Into<i32>>(member: Option<E>) -> Option<i32> {
    member.map(Into::into)
}
