//! Streams of HTTP/2 as tasks, so that each can be given up by itself.
//!
//! A caller that opens no window for its answer holds the answer's memory. Cutting the connection would take the
//! streams of others with it, who may share it behind a load balancer; dropping the stream's task resets it alone.

use std::sync::Arc;
use std::time::Duration;

use hyper::rt::Executor;
use tokio_util::task::TaskTracker;

use super::activity::Activity;
use crate::metrics::{Limit, Metrics};
use crate::shed::Turn;

tokio::task_local! {
    static TURN: Arc<Turn>;
}

/// Runs the streams of one connection.
#[derive(Debug, Clone)]
pub(super) struct Streams {
    tasks: TaskTracker,
    activity: Arc<Activity>,
    patience: Duration,
    metrics: Metrics,
}

impl Streams {
    pub(super) fn new(activity: Arc<Activity>, patience: Duration, metrics: Metrics) -> Self {
        Self { tasks: TaskTracker::new(), activity, patience, metrics }
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let (turn, run) = (Arc::new(Turn::default()), self.activity.run());
        let (patience, metrics) = (self.patience, self.metrics.clone());
        let watched = Arc::clone(&turn);
        self.tasks.spawn(TURN.scope(turn, async move {
            let _run = run;
            tokio::select! {
                biased;
                () = stream => {}
                () = watched.stalled(patience) => metrics.limit(Limit::AnswerTime),
            }
        }));
    }
}

/// Whose turn it is on the stream that is being worked on; none where the connection is no HTTP/2.
pub(super) fn turn() -> Option<Arc<Turn>> {
    TURN.try_with(Arc::clone).ok()
}
