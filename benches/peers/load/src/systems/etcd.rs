//! etcd: gRPC, version 3. Puts are agreed by Raft and synced, gets are linearizable: both are the defaults.
//!
//! Four messages of its API stand here by hand, as far as they are used, so that nobody needs `protoc` to build this. What is
//! left out of a message is at its default; what an answer has beyond it is skipped.

use super::Connection;
use crate::Load;
use anyhow::Result;
use bytes::Bytes;
use http::uri::PathAndQuery;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

/// `etcdserverpb.PutRequest`
#[derive(Clone, PartialEq, prost::Message)]
struct PutRequest {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

/// `etcdserverpb.PutResponse`
#[derive(Clone, PartialEq, prost::Message)]
struct PutResponse {}

/// `etcdserverpb.RangeRequest`; `serializable`, which would not be linearizable, is left at false.
#[derive(Clone, PartialEq, prost::Message)]
struct RangeRequest {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
}

/// `etcdserverpb.RangeResponse`
#[derive(Clone, PartialEq, prost::Message)]
struct RangeResponse {
    #[prost(message, repeated, tag = "2")]
    kvs: Vec<KeyValue>,
}

/// `mvccpb.KeyValue`
#[derive(Clone, PartialEq, prost::Message)]
struct KeyValue {
    #[prost(bytes = "bytes", tag = "5")]
    value: Bytes,
}

const PUT: &str = "/etcdserverpb.KV/Put";
const RANGE: &str = "/etcdserverpb.KV/Range";

#[derive(Clone)]
pub struct Etcd(Grpc<Channel>);

impl Etcd {
    async fn call<Q, A>(&mut self, path: &'static str, request: Q) -> Result<A>
    where
        Q: prost::Message + 'static,
        A: prost::Message + Default + 'static,
    {
        self.0.ready().await?;
        let codec = ProstCodec::<Q, A>::default();
        let path = PathAndQuery::from_static(path);
        Ok(self.0.unary(tonic::Request::new(request), path, codec).await?.into_inner())
    }
}

impl Connection for Etcd {
    type Seen = ();

    async fn open(node: &str, _load: &Load) -> Result<Self> {
        let channel = Endpoint::from_shared(format!("http://{node}"))?.connect().await?;
        Ok(Etcd(Grpc::new(channel)))
    }

    async fn look(&mut self, _key: &str) -> Result<()> {
        Ok(())
    }

    async fn put(&mut self, key: &str, value: Bytes, _seen: &mut ()) -> Result<()> {
        let PutResponse {} = self.call(PUT, PutRequest { key: key.into(), value }).await?;
        Ok(())
    }

    async fn get(&mut self, key: &str) -> Result<usize> {
        let range: RangeResponse = self.call(RANGE, RangeRequest { key: key.into() }).await?;
        Ok(range.kvs.first().map_or(0, |pair| pair.value.len()))
    }
}
