//! A stream that keeps what ended it.
//!
//! A gRPC channel whose connection broke connects again, and tells why that failed. What an
//! operator wants to know is why the first one broke, e.g. that the node refused a certificate: in
//! TLS 1.3 that comes after the handshake, and may come as nothing but a reset.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What the first failed read said.
#[derive(Debug, Clone, Default)]
pub(super) struct Note(Arc<OnceLock<String>>);

impl Note {
    /// Why there is no connection any more.
    pub(super) fn error(&self) -> io::Error {
        match self.0.get() {
            Some(text) => io::Error::other(text.clone()),
            None => io::ErrorKind::NotConnected.into(),
        }
    }
}

/// A stream and where it keeps what ended it.
pub(super) struct Noted<S> {
    stream: S,
    note: Note,
    /// What is likely while the node has not said anything.
    hint: Option<&'static str>,
}

impl<S> Noted<S> {
    /// A stream on which a failure of the first read most likely means what `hint` says.
    pub(super) fn new(stream: S, note: Note, hint: &'static str) -> Self {
        Self { stream, note, hint: Some(hint) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Noted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        match (&read, self.hint) {
            (Poll::Pending, _) => {}
            (Poll::Ready(Ok(())), Some(hint)) if buffer.filled().len() == before => {
                self.note.0.get_or_init(|| format!("the node closed the connection; {hint}"));
            }
            (Poll::Ready(Ok(())), _) => self.hint = None,
            (Poll::Ready(Err(error)), None) => {
                self.note.0.get_or_init(|| error.to_string());
            }
            (Poll::Ready(Err(error)), Some(hint)) => {
                self.note.0.get_or_init(|| format!("{error}; {hint}"));
            }
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Noted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
