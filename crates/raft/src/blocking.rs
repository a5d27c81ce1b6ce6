//! Keeping calls that wait for a device off the async runtime's threads.

use std::io;

/// Runs a call: on a thread made for waiting if it `blocks`, else right here.
///
/// Simulated stores do not block, so that a simulation stays on one thread.
pub(crate) async fn run_blocking<T: Send + 'static>(
    blocks: bool,
    call: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    if !blocks {
        return call();
    }
    match tokio::task::spawn_blocking(call).await {
        Ok(result) => result,
        Err(error) => Err(io::Error::other(format!("a storage task ended: {error}"))),
    }
}
