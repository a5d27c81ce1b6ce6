//! Named points at which a test lets the process die.
//!
//! With the feature `failpoints` and `KEYSTEAD_CRASH_AT=name:count` in the environment, the
//! process aborts when it passes the point of that name for the `count`-th time. Without the
//! feature the points cost nothing.

/// Every point, in the order in which a mutation passes them.
#[cfg(feature = "failpoints")]
pub const CRASH_POINTS: [&str; 19] = [
    LOG_BEFORE_WRITE,
    LOG_AFTER_WRITE,
    VOTE_BEFORE_WRITE,
    VOTE_AFTER_WRITE,
    SYNC_BEFORE,
    SYNC_AFTER,
    APPLY_BEFORE_WRITE,
    APPLY_AFTER_WRITE,
    SNAPSHOT_BEFORE_WRITE,
    SNAPSHOT_AFTER_WRITE,
    SNAPSHOT_AFTER_SYNC,
    SNAPSHOT_AFTER_RENAME,
    SNAPSHOT_AFTER_FOLDER_SYNC,
    PURGE_BEFORE_WRITE,
    PURGE_AFTER_WRITE,
    INSTALL_AFTER_MARK,
    INSTALL_AFTER_WIPE,
    INSTALL_AFTER_ROWS,
    INSTALL_AFTER_CLEAR,
];

pub(crate) const LOG_BEFORE_WRITE: &str = "log_before_write";
pub(crate) const LOG_AFTER_WRITE: &str = "log_after_write";
pub(crate) const VOTE_BEFORE_WRITE: &str = "vote_before_write";
pub(crate) const VOTE_AFTER_WRITE: &str = "vote_after_write";
pub(crate) const SYNC_BEFORE: &str = "sync_before";
pub(crate) const SYNC_AFTER: &str = "sync_after";
pub(crate) const APPLY_BEFORE_WRITE: &str = "apply_before_write";
pub(crate) const APPLY_AFTER_WRITE: &str = "apply_after_write";
pub(crate) const SNAPSHOT_BEFORE_WRITE: &str = "snapshot_before_write";
pub(crate) const SNAPSHOT_AFTER_WRITE: &str = "snapshot_after_write";
pub(crate) const SNAPSHOT_AFTER_SYNC: &str = "snapshot_after_sync";
pub(crate) const SNAPSHOT_AFTER_RENAME: &str = "snapshot_after_rename";
pub(crate) const SNAPSHOT_AFTER_FOLDER_SYNC: &str = "snapshot_after_folder_sync";
pub(crate) const PURGE_BEFORE_WRITE: &str = "purge_before_write";
pub(crate) const PURGE_AFTER_WRITE: &str = "purge_after_write";
pub(crate) const INSTALL_AFTER_MARK: &str = "install_after_mark";
pub(crate) const INSTALL_AFTER_WIPE: &str = "install_after_wipe";
pub(crate) const INSTALL_AFTER_ROWS: &str = "install_after_rows";
pub(crate) const INSTALL_AFTER_CLEAR: &str = "install_after_clear";

/// Dies here, if this is the place and the time.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub(crate) fn crash_point(_name: &str) {}

/// Dies here, if this is the place and the time.
#[cfg(feature = "failpoints")]
pub(crate) fn crash_point(name: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static TARGET: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static PASSED: AtomicU64 = AtomicU64::new(0);

    let target = TARGET.get_or_init(|| {
        let setting = std::env::var("KEYSTEAD_CRASH_AT").ok()?;
        let (name, count) = setting.split_once(':')?;
        Some((name.to_owned(), count.parse().ok()?))
    });
    if let Some((wanted, count)) = target
        && wanted == name
        && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == *count
    {
        std::process::abort();
    }
}
