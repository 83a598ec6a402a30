//! An answer that is coming.

use super::Reply;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::oneshot;

/// What becomes the answer of a command over several keys.
pub(super) type Combine = Box<dyn FnOnce(Vec<Reply>) -> Reply + Send>;

/// See the module.
pub enum Pending {
    /// It is there.
    Ready(Option<Reply>),
    /// A lane will give it.
    One(oneshot::Receiver<Reply>),
    /// Several lanes will, and it is made of all these.
    Many(Vec<Pending>, Vec<Reply>, Option<Combine>),
    /// It begins when it is waited for: all before it has been answered.
    Later(Pin<Box<dyn Future<Output = Reply> + Send>>),
}

impl Pending {
    /// One that is there.
    pub fn ready(reply: Reply) -> Pending {
        Pending::Ready(Some(reply))
    }

    /// Whether nothing behind it may begin before it has ended.
    pub fn is_barrier(&self) -> bool {
        matches!(self, Pending::Later(_))
    }
}

impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pending")
    }
}

impl Future for Pending {
    type Output = Reply;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Reply> {
        match &mut *self {
            Pending::Ready(reply) => Poll::Ready(reply.take().unwrap_or(Reply::Nil)),
            Pending::One(receiver) => Pin::new(receiver).poll(context).map(|reply| {
                reply.unwrap_or(Reply::error(
                    "UNAVAILABLE this node is stopping; it may have changed",
                ))
            }),
            Pending::Later(future) => future.as_mut().poll(context),
            Pending::Many(left, done, combine) => {
                while let Some(next) = left.get_mut(done.len()) {
                    match Pin::new(next).poll(context) {
                        Poll::Ready(reply) => done.push(reply),
                        Poll::Pending => return Poll::Pending,
                    }
                }
                let done = std::mem::take(done);
                Poll::Ready(combine.take().map_or(Reply::Nil, |combine| combine(done)))
            }
        }
    }
}
