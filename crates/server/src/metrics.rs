//! Every metric there is, named and described here and nowhere else.

use std::cell::RefCell;
use std::collections::HashMap;

use keystead_types::Region;
use metrics::{
    Counter, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge,
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

/// Installs the recorder and describes the metrics.
///
/// # Errors
/// Another recorder is installed already.
pub fn install() -> Result<PrometheusHandle, metrics_exporter_prometheus::BuildError> {
    let handle = PrometheusBuilder::new().install_recorder()?;
    describe();
    Ok(handle)
}

fn describe() {
    describe_counter!(
        "keystead_requests_total",
        "Requests answered, by operation and error code (`none` for success)."
    );
    describe_counter!(
        "keystead_throttled_total",
        "Requests refused with ThrottlingException, by reason (`quota`: the account's of the class; \
         `share`: the account's part of what is worked on; `inside`: too many requests of all; \
         `slow_work`: too many wait for a slow key) and class (`none` but for quotas)."
    );
    describe_histogram!(
        "keystead_raft_sync_seconds",
        Unit::Seconds,
        "How long one sync of the write-ahead log took."
    );
    describe_histogram!(
        "keystead_raft_sync_batch",
        Unit::Count,
        "How many appends one sync made durable."
    );
    describe_gauge!(
        "keystead_erasure_pending_seconds",
        Unit::Seconds,
        "Age of the oldest key material that was lost and may still be on this node's disk."
    );
    describe_gauge!("keystead_raft_applied_index", "Log index of the last applied entry.");
    describe_counter!(
        "keystead_raft_barrier_rounds_total",
        "Rounds of the read barrier; each serves all requests that waited for it."
    );
    describe_histogram!(
        "keystead_raft_confirm_seconds",
        Unit::Seconds,
        "How long the leader waited until a majority confirmed it: one round trip."
    );
    describe_histogram!(
        "keystead_raft_read_index_seconds",
        Unit::Seconds,
        "How long a follower waited for the leader's confirmed index: its round trip to the leader, \
         and the leader's to a majority."
    );
    describe_counter!(
        "keystead_raft_forwarded_total",
        "Commands that this node handed to the leader, every attempt counted."
    );
    describe_counter!(
        "keystead_raft_snapshots_installed_total",
        "Snapshots of the leader that this node installed, because it lagged too far."
    );
    describe_gauge!(
        "keystead_region_lag_entries",
        "What waits in this region for another one, by peer."
    );
    describe_gauge!(
        "keystead_region_lag_seconds",
        Unit::Seconds,
        "How long the oldest of it has waited, by peer."
    );
    describe_counter!(
        "keystead_region_messages_total",
        "Messages that a peer has applied of what this node carried to it, by peer."
    );
    describe_counter!(
        "keystead_region_failures_total",
        "Exchanges with a peer that failed, by peer."
    );
    describe_gauge!(
        "keystead_raft_clock_offset_ms",
        Unit::Milliseconds,
        "By how much a voter's clock was off when it was last off by more than two seconds."
    );
}

thread_local! {
    // Looking a counter up by its labels costs more than counting.
    static THROTTLED: RefCell<HashMap<(&'static str, &'static str), Counter>> = RefCell::default();
    static REQUESTS: RefCell<HashMap<(&'static str, &'static str), Counter>> = RefCell::default();
}

/// Counts one answered request, by the code of its error if it had one.
pub(crate) fn request(operation: &'static str, error: Option<&'static str>) {
    let code = error.unwrap_or("none");
    REQUESTS.with_borrow_mut(|counters| {
        let register =
            || counter!("keystead_requests_total", "operation" => operation, "code" => code);
        counters.entry((operation, code)).or_insert_with(register).increment(1);
    });
}

/// Counts one request that was too much, by reason and class.
pub(crate) fn throttled(reason: &'static str, class: &'static str) {
    THROTTLED.with_borrow_mut(|counters| {
        let register =
            || counter!("keystead_throttled_total", "reason" => reason, "class" => class);
        counters.entry((reason, class)).or_insert_with(register).increment(1);
    });
}

/// How much waits for a peer, and for how long the oldest of it.
#[expect(clippy::cast_precision_loss, reason = "a gauge is a floating-point number")]
pub(crate) fn region_lag(peer: &Region, entries: u64, age_ms: u64) {
    gauge!("keystead_region_lag_entries", "peer" => peer.to_string()).set(entries as f64);
    gauge!("keystead_region_lag_seconds", "peer" => peer.to_string()).set(age_ms as f64 / 1000.0);
}

/// Counts messages that a peer has applied.
pub(crate) fn region_messages(peer: &Region, count: usize) {
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    counter!("keystead_region_messages_total", "peer" => peer.to_string()).increment(count);
}

/// Counts an exchange with a peer that failed.
pub(crate) fn region_failure(peer: &Region) {
    counter!("keystead_region_failures_total", "peer" => peer.to_string()).increment(1);
}
