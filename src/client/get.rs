//! Reading one item.

use super::attempts::Effect;
use super::options::{Options, request};
use super::{Client, Context, Got};
use crate::error::Result;
use crate::message::client::{Item, Reply, Request};
use bytes::Bytes;

/// A read, sent when it is awaited; made by [`Client::get`].
#[derive(Clone)]
#[must_use = "a request does nothing until it is awaited"]
pub struct Get {
    client: Client,
    item: Item,
    explain: bool,
    options: Options,
}

request!(timeout for Get);
request!(quorum for Get);
request!(await Get -> Got);

impl Get {
    pub(super) fn new(client: &Client, bucket: String, key: &[u8]) -> Get {
        let item = Item { bucket, key: Bytes::copy_from_slice(key), sort: Bytes::new() };
        Get { client: client.clone(), item, explain: false, options: Options::of(client) }
    }

    /// The item's sort key; none unless said.
    pub fn sort(mut self, sort: impl AsRef<[u8]>) -> Self {
        self.item.sort = Bytes::copy_from_slice(sort.as_ref());
        self
    }

    /// How many replicas must answer; beats the consistency level.
    pub fn r(mut self, count: u8) -> Self {
        self.options.quorum.count = Some(count);
        self
    }

    /// Lets the answer tell how it came about, in [`Info::explained`](super::Info::explained): who was asked, what each
    /// held and how long it took, why there is one value or several. A node from before this does not answer it.
    pub fn explain(mut self) -> Self {
        self.explain = true;
        self
    }

    /// What is read, and how.
    pub(super) fn parts(&mut self) -> (&Item, &mut Options) {
        (&self.item, &mut self.options)
    }

    async fn send(self) -> Result<Got> {
        let effect = Effect::Reads { required: self.options.required() };
        let (item, quorum) = (self.item, self.options.quorum);
        let request = match self.explain {
            true => Request::Explain { item, quorum },
            false => Request::Get { item, quorum },
        };
        match self.client.execute(&request, effect, self.options.deadline()).await? {
            Reply::Got { values, context, info } => {
                Ok(Got { siblings: values, context: Context::from_node(context), info })
            }
            other => Err(super::execute::unexpected(&other)),
        }
    }
}
