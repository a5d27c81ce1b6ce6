//! Small questions to a peer, on one stream: as many at a time as come, answered in any order.
//!
//! A call of its own for each would cost more than most of what is asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures::{StreamExt, TryFutureExt};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tonic::{Response, Status, Streaming};

use super::proto::{Answer, Question};
use super::proto::{answer::Told, question::Asked};
use crate::seams::NoAnswer;

/// Above so many open questions, those whose callers have left are looked for.
const MANY: usize = 1024;

/// Where questions to one peer are put. The stream is opened by the first one, and again by the
/// next one after it broke.
#[derive(Default)]
pub(super) struct Questions {
    stream: Arc<Mutex<Option<Open>>>,
}

struct Open {
    outgoing: UnboundedSender<Question>,
    last: u64,
    waiting: HashMap<u64, oneshot::Sender<Told>>,
}

impl Questions {
    /// Asks, and waits for the answer at most for `limit`. `open` makes the call whose stream of
    /// questions it is given.
    pub(super) async fn ask<C>(
        &self,
        asked: Asked,
        limit: Duration,
        open: impl FnOnce(UnboundedReceiver<Question>) -> Result<C, NoAnswer>,
    ) -> Result<Told, NoAnswer>
    where
        C: Future<Output = Result<Response<Streaming<Answer>>, Status>> + Send + 'static,
    {
        let answered = self.put(asked, open)?;
        match timeout(limit, answered).await {
            Ok(Ok(Told::Refused(why))) => Err(NoAnswer(why)),
            Ok(Ok(told)) => Ok(told),
            Ok(Err(_)) => Err(NoAnswer("the stream of questions ended".into())),
            Err(_) => Err(NoAnswer(format!("no answer within {limit:?}"))),
        }
    }

    fn put<C>(
        &self,
        asked: Asked,
        open: impl FnOnce(UnboundedReceiver<Question>) -> Result<C, NoAnswer>,
    ) -> Result<oneshot::Receiver<Told>, NoAnswer>
    where
        C: Future<Output = Result<Response<Streaming<Answer>>, Status>> + Send + 'static,
    {
        let mut stream = lock(&self.stream);
        let open = match &mut *stream {
            Some(open) => open,
            none => {
                let (outgoing, questions) = unbounded();
                let call = open(questions)?;
                tokio::spawn(receive(call, Arc::clone(&self.stream)));
                none.insert(Open { outgoing, last: 0, waiting: HashMap::new() })
            }
        };
        let (answer, answered) = oneshot::channel();
        open.last += 1;
        if open.waiting.len() >= MANY {
            open.waiting.retain(|_, answer| !answer.is_closed());
        }
        open.waiting.insert(open.last, answer);
        // A stream that has ended drops whoever waits.
        let _ = open.outgoing.unbounded_send(Question { id: open.last, asked: Some(asked) });
        Ok(answered)
    }
}

impl Drop for Questions {
    /// Ends the stream of questions, and with it that of the answers.
    fn drop(&mut self) {
        lock(&self.stream).take();
    }
}

/// Hands out the answers until there are no more; then everybody who waits is let go.
async fn receive(
    call: impl Future<Output = Result<Response<Streaming<Answer>>, Status>>,
    stream: Arc<Mutex<Option<Open>>>,
) {
    let answers = call.map_ok(Response::into_inner).try_flatten_stream();
    let mut answers = std::pin::pin!(answers);
    let ended = loop {
        match answers.next().await {
            Some(Ok(Answer { id, told: Some(told) })) => {
                let waiting = lock(&stream).as_mut().and_then(|open| open.waiting.remove(&id));
                if let Some(answer) = waiting {
                    // Whoever asked may have left.
                    let _ = answer.send(told);
                }
            }
            Some(Ok(Answer { told: None, .. })) => {}
            Some(Err(status)) => break Some(status),
            None => break None,
        }
    };
    tracing::debug!(?ended, "a stream of questions ended");
    lock(&stream).take();
}

fn lock(stream: &Mutex<Option<Open>>) -> MutexGuard<'_, Option<Open>> {
    stream.lock().unwrap_or_else(PoisonError::into_inner)
}
