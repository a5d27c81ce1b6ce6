//! Callers that each make one call after the other, over a connection of their own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use prost::Message;
use tokio::sync::Barrier;
use tonic::Code;

use crate::client::Target;
use crate::grpc::{self, Answer, Client};
use crate::mutate::proto;

/// Before the next call when one failed: a node that is gone must not be asked in a tight loop.
const PAUSE: Duration = Duration::from_millis(10);

/// One connection to one node, and what is sent over it.
pub(super) struct Caller {
    node: usize,
    client: Client,
    next: Box<dyn FnMut() -> Result<Request<Full<Bytes>>> + Send>,
}

/// What the calls of some time came to.
#[derive(Debug, Default)]
pub(super) struct Load {
    /// The node and the microseconds of each call that succeeded within the time.
    replies: Vec<(usize, u32)>,
    seconds: f64,
    /// How many calls failed.
    pub(super) failed: usize,
    /// What the first of them ended with.
    pub(super) failure: Option<String>,
}

/// The middle and the bad end of how long calls took, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Percentiles {
    pub(super) p50: f64,
    pub(super) p99: f64,
}

impl Caller {
    /// A caller of one method of a node, with one message after the other.
    pub(super) fn new<M: Message>(
        (node, target): (usize, &Target),
        path: String,
        mut message: impl FnMut() -> M + Send + 'static,
    ) -> Self {
        let (client, target) = (Client::new(target.clone()), target.clone());
        let next = move || {
            let body = proto::frame(&message().encode_to_vec());
            grpc::request(&target, &path, body)
        };
        Self { node, client, next: Box::new(next) }
    }

    /// Connects, which takes a call.
    async fn connect(&mut self) -> Result<()> {
        let request = (self.next)()?;
        self.client.send(request).await.map(|_| ())
    }

    async fn call_for(mut self, time: Duration) -> Result<Load> {
        let end = Instant::now() + time;
        let mut load = Load { seconds: time.as_secs_f64(), ..Load::default() };
        while Instant::now() < end {
            let request = (self.next)()?;
            let start = Instant::now();
            let failure = match self.client.send(request).await {
                Ok(answer) if is_ok(&answer) => {
                    if Instant::now() < end {
                        let took = u32::try_from(start.elapsed().as_micros())?;
                        load.replies.push((self.node, took));
                    }
                    continue;
                }
                Ok(answer) => format!("{} {}", answer.code(), answer.message()),
                Err(error) => format!("{error:#}"),
            };
            load.failed += 1;
            load.failure.get_or_insert(failure);
            tokio::time::sleep(PAUSE).await;
        }
        Ok(load)
    }
}

fn is_ok(answer: &Answer) -> bool {
    answer.status.as_ref().is_some_and(|status| status.code() == Code::Ok)
}

impl Load {
    /// Lets all callers call for some time, from when the last of them is connected.
    ///
    /// # Errors
    /// One of them could not connect.
    pub(super) async fn run(callers: Vec<Caller>, time: Duration) -> Result<Self> {
        let connected = Arc::new(Barrier::new(callers.len()));
        let tasks: Vec<_> = callers
            .into_iter()
            .map(|mut caller| {
                let connected = connected.clone();
                tokio::spawn(async move {
                    let result = caller.connect().await;
                    // Also when it failed: the others wait.
                    connected.wait().await;
                    result?;
                    caller.call_for(time).await
                })
            })
            .collect();
        let mut all = Self { seconds: time.as_secs_f64(), ..Self::default() };
        for task in tasks {
            let one = task.await??;
            all.replies.extend(one.replies);
            all.failed += one.failed;
            all.failure = all.failure.or(one.failure);
        }
        Ok(all)
    }

    /// Calls that succeeded, per second.
    pub(super) fn rate(&self) -> f64 {
        self.replies.len() as f64 / self.seconds
    }

    /// How long the calls to some of the nodes took.
    pub(super) fn percentiles(&self, of: impl Fn(usize) -> bool) -> Percentiles {
        let chosen = self.replies.iter().filter(|(node, _)| of(*node));
        let mut took: Vec<u32> = chosen.map(|(_, took)| *took).collect();
        took.sort_unstable();
        let at = |hundredths: usize| {
            let index = took.len() * hundredths / 100;
            took.get(index).map_or(f64::NAN, |took| f64::from(*took) / 1000.0)
        };
        Percentiles { p50: at(50), p99: at(99) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_chosen_nodes() {
        let fast = (1..=1000).map(|took| (0, took));
        let slow = (1..=100).map(|took| (1, 10_000 * took));
        let load = Load { replies: slow.chain(fast).collect(), seconds: 2.0, ..Load::default() };
        assert_eq!(load.rate(), 550.0);
        let percentiles = load.percentiles(|node| node == 0);
        assert_eq!(percentiles, Percentiles { p50: 0.501, p99: 0.991 });
        let percentiles = load.percentiles(|node| node == 1);
        assert_eq!(percentiles, Percentiles { p50: 510.0, p99: 1000.0 });
        assert!(load.percentiles(|_| false).p50.is_nan());
    }

    #[tokio::test]
    async fn a_node_that_is_not_there_is_an_error_for_all() {
        let nobody = Target {
            address: ([127, 0, 0, 1], 1).into(),
            region: String::new(),
            access_key_id: String::new(),
            secret_access_key: String::new(),
            session_token: None,
            tls: None,
        };
        let callers = (0..3).map(|node| Caller::new((node, &nobody), "/a.B/C".into(), || ()));
        assert!(Load::run(callers.collect(), Duration::from_secs(60)).await.is_err());
    }
}
