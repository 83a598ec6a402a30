//! The dashboard: one page, the files it is made of, and one stream that all of it lives on.
//!
//! ```text
//!   GET /, /page/…  ─► Hosts ─► assets: what the binary carries
//!   POST /v1/demo   ─► Hosts ─► Token ─► demo/
//!   POST /v1/chaos/ ─► Hosts ─► Token ─► harm, where the node was started so
//!   GET /v1/events  ─► Hosts ─► a Seat ─► hello, then Moment after Moment; a slow reader misses some
//!                                            ▲ watch: only the newest is kept
//!   poller, while somebody listens, once a second: Status, Members, Hints; Ring when it has changed
//! ```
//!
//! - However many pages are open, the node is asked once a second. (What somebody opens on a page, that page asks for.)
//! - Nothing is queued for a reader: it gets the moment that is newest when it has room.
//! - The page may only run what this binary carries, and only under a name that is this node's.

mod arcs;
mod assets;
mod demo;
mod events;
mod harm;
mod host;
mod moment;
mod poller;
mod seats;
mod token;

pub(in crate::server) use host::Hosts;

use super::answer;
use super::bridge::Bridge;
use super::query::decode;
use super::routes::Routes;
use crate::Error;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Uri, header};
use demo::Demo;
use moment::Moment;
use seats::Seats;
use std::sync::Arc;
use token::Token;
use tokio::sync::{Notify, watch};

/// Scripts, styles and requests of this origin, and nothing else from anywhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What the page's handlers share.
pub(super) struct Page {
    bridge: Arc<Bridge>,
    hosts: Hosts,
    token: Token,
    demo: Demo,
    seats: Seats,
    /// The newest; none before somebody has listened.
    moments: watch::Sender<Option<Arc<Moment>>>,
    /// Somebody listens: the poller wakes.
    listened: Notify,
}

impl Page {
    /// Begins to poll as soon as somebody listens. To be called inside the HTTP thread's runtime.
    pub(super) fn begin(bridge: Arc<Bridge>, hosts: Hosts) -> Arc<Page> {
        let (moments, _) = watch::channel(None);
        let (seats, listened) = (Seats::default(), Notify::new());
        let (token, demo) = (Token::new(), Demo::default());
        let page = Arc::new(Page { bridge, hosts, token, demo, seats, moments, listened });
        tokio::spawn(poller::poll(page.clone()));
        page
    }
}

/// The page, its files and its stream.
pub(super) fn routes() -> Routes<Arc<Page>> {
    Routes::default()
        .get("/", index)
        .get("/page/{*file}", file)
        .get("/v1/events", events)
        .post("/v1/demo", demo)
        .post("/v1/chaos/{harm}", chaos)
}

async fn index(State(page): State<Arc<Page>>, headers: HeaderMap) -> Response<Body> {
    admitted(&page, &headers, || {
        let (kind, bytes) = assets::find("index.html").expect("the page is in the binary");
        let text = String::from_utf8_lossy(&bytes);
        answer::with_type(StatusCode::OK, kind, page.token.put_into(&text))
    })
}

async fn demo(State(page): State<Arc<Page>>, headers: HeaderMap) -> Response<Body> {
    acting(&page, &headers, || page.demo.begin(page.bridge.clone()))
}

async fn file(State(page): State<Arc<Page>>, uri: Uri, headers: HeaderMap) -> Response<Body> {
    admitted(&page, &headers, || asset(&name(&uri, "/page/")))
}

async fn events(State(page): State<Arc<Page>>, headers: HeaderMap) -> Response<Body> {
    admitted(&page, &headers, || match page.seats.take() {
        Some(seat) => answer::with_type(
            StatusCode::OK,
            "text/event-stream",
            events::body(
                page.moments.subscribe(),
                seat,
                &page.listened,
                page.bridge.chaos.is_some(),
            ),
        ),
        None => {
            page.bridge.reject("too_many_streams");
            let what = "as many pages as may be are open here: close one, or open another node's";
            answer::failed(&Error::Overloaded(what.into()))
        }
    })
}

fn asset(name: &str) -> Response<Body> {
    match assets::find(name) {
        Some((kind, bytes)) => answer::with_type(StatusCode::OK, kind, bytes),
        None => answer::refused(StatusCode::NOT_FOUND, "not_found", "the page has no such file"),
    }
}

async fn chaos(State(page): State<Arc<Page>>, uri: Uri, headers: HeaderMap) -> Response<Body> {
    acting(&page, &headers, || harm::begin(&page.bridge, &name(&uri, "/v1/chaos/")))
}

/// The last part of a path. What is no text is the name of nothing, and is answered as such: axum's own way of reading it
/// would answer without our JSON.
fn name(uri: &Uri, prefix: &str) -> String {
    let rest = uri.path().strip_prefix(prefix).unwrap_or_default();
    let bytes = decode(rest, false).unwrap_or_else(|_| rest.as_bytes().to_vec());
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Does it for whoever has read this node's page.
fn acting(
    page: &Page,
    headers: &HeaderMap,
    act: impl FnOnce() -> Response<Body>,
) -> Response<Body> {
    admitted(page, headers, || match page.token.admit(headers) {
        Ok(()) => act(),
        Err(why) => {
            page.bridge.reject("wrong_token");
            answer::failed(&Error::Forbidden(why))
        }
    })
}

/// Answers whoever asked for this node by one of its names, under the page's rules.
fn admitted(
    page: &Page,
    headers: &HeaderMap,
    answer: impl FnOnce() -> Response<Body>,
) -> Response<Body> {
    let mut response = match page.hosts.admit(headers) {
        Ok(()) => answer(),
        Err(why) => {
            page.bridge.reject("wrong_host");
            answer::failed(&Error::Forbidden(why))
        }
    };
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &'static str| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    set(header::CONTENT_SECURITY_POLICY, POLICY);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::REFERRER_POLICY, "no-referrer");
    // Another binary may answer next: nothing of this one's page is to be mixed with that one's.
    set(header::CACHE_CONTROL, "no-store");
    response
}
