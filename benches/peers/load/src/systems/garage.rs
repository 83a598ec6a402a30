//! Garage: its K2V API over HTTP/1.1, signed as AWS does it (version 4), a connection that stays open.
//!
//! An insert does not answer with a new causality token, and a well-behaved writer would have to read before each write. It
//! does so before the run only: this spares Garage a read per write, and a key keeps every value that one run writes to it
//! until the next run replaces them: reads of a mixed run carry them all.

use super::Connection;
use crate::Load;
use anyhow::{Context as _, Result, bail};
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::net::TcpStream;
use tokio::sync::Mutex;

const BUCKET: &str = "bench";
const REGION: &str = "garage";
const TOKEN: &str = "x-garage-causality-token";

#[derive(Clone)]
pub struct Garage {
    node: String,
    identity: aws_smithy_runtime_api::client::identity::Identity,
    /// `None`: closed; the next request opens it again.
    sender: Arc<Mutex<Option<SendRequest<Full<Bytes>>>>>,
}

impl Garage {
    async fn connect(node: &str) -> Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect(node).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // When it ends, the next request says so.
        tokio::spawn(async move { connection.await.ok() });
        Ok(sender)
    }

    fn signed(
        &self,
        method: Method,
        key: &str,
        token: Option<&str>,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>> {
        let path = format!("/{BUCKET}/{key}?sort_key=v");
        let mut settings = SigningSettings::default();
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        let params = v4::SigningParams::builder()
            .identity(&self.identity)
            .region(REGION)
            .name("k2v")
            .time(SystemTime::now())
            .settings(settings)
            .build()?
            .into();
        let url = format!("http://{}{path}", self.node);
        let signable = SignableRequest::new(
            method.as_str(),
            url,
            std::iter::empty(),
            SignableBody::Bytes(&body),
        )?;
        let (instructions, _) = sign(signable, &params)?.into_parts();
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &self.node)
            .header(header::ACCEPT, "application/octet-stream, application/json");
        if let Some(token) = token {
            request = request.header(TOKEN, token);
        }
        for (name, value) in instructions.headers() {
            request = request.header(name, value);
        }
        Ok(request.body(Full::new(body))?)
    }

    /// Sends, and reads the answer to its end.
    async fn call(&self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>> {
        let mut place = self.sender.lock().await;
        // A request that is given up in the middle leaves the place empty: its answer must not be taken for the next one's.
        let mut sender = match place.take() {
            Some(sender) if !sender.is_closed() => sender,
            _ => Garage::connect(&self.node).await?,
        };
        sender.ready().await?;
        let response: Response<Incoming> = sender.send_request(request).await?;
        let (head, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        *place = Some(sender);
        Ok(Response::from_parts(head, body))
    }

    async fn read(&self, key: &str) -> Result<Response<Bytes>> {
        let response = self.call(self.signed(Method::GET, key, None, Bytes::new())?).await?;
        match response.status() {
            StatusCode::OK | StatusCode::NO_CONTENT | StatusCode::NOT_FOUND => Ok(response),
            status => bail!("ReadItem: {status} {}", String::from_utf8_lossy(response.body())),
        }
    }
}

impl Connection for Garage {
    type Seen = Option<String>;
    const MULTIPLEXES: bool = false;

    async fn open(node: &str, _load: &Load) -> Result<Self> {
        let variable = |name: &str| std::env::var(name).with_context(|| format!("set {name}"));
        let (id, secret) = (variable("GARAGE_KEY_ID")?, variable("GARAGE_SECRET_KEY")?);
        Ok(Garage {
            node: node.into(),
            identity: Credentials::new(id, secret, None, None, "environment").into(),
            sender: Arc::new(Mutex::new(Some(Garage::connect(node).await?))),
        })
    }

    async fn look(&mut self, key: &str) -> Result<Option<String>> {
        let response = self.read(key).await?;
        let token = response.headers().get(TOKEN);
        Ok(token.map(|token| token.to_str().map(String::from)).transpose()?)
    }

    async fn put(&mut self, key: &str, value: Bytes, seen: &mut Option<String>) -> Result<()> {
        let request = self.signed(Method::PUT, key, seen.as_deref(), value)?;
        let response = self.call(request).await?;
        if !response.status().is_success() {
            let said = String::from_utf8_lossy(response.body());
            bail!("InsertItem: {} {said}", response.status());
        }
        Ok(())
    }

    async fn get(&mut self, key: &str) -> Result<usize> {
        let response = self.read(key).await?;
        let found = response.status() == StatusCode::OK;
        Ok(if found { response.body().len() } else { 0 })
    }
}
