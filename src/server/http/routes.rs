//! The table of paths: what the router is built from, and what the OpenAPI document is checked against.
//!
//! ```text
//!   Routes::default().get("/v1/status", look::status) ─┬─► axum's router, which cannot say what is in it
//!                                                      └─► (GET, /v1/status), for the test in openapi/
//! ```
//!
//! Whoever adds a path here adds it to `openapi/document.json` too, or the test fails. A GET takes HEAD, without being listed.

use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodFilter, MethodRouter, on};

/// Paths of one kind of state.
pub(super) struct Routes<S> {
    router: Router<S>,
    /// Method and path, as often as there are methods.
    listed: Vec<(&'static str, &'static str)>,
}

impl<S: Clone + Send + Sync + 'static> Default for Routes<S> {
    fn default() -> Routes<S> {
        Routes { router: Router::new(), listed: Vec::new() }
    }
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// What is read, at a path as axum writes it.
    pub(super) fn get<H: Handler<T, S>, T: 'static>(self, path: &'static str, handler: H) -> Self {
        self.listed("GET", path, on(MethodFilter::GET, handler))
    }

    /// What is put under a name.
    pub(super) fn put<H: Handler<T, S>, T: 'static>(self, path: &'static str, handler: H) -> Self {
        self.listed("PUT", path, on(MethodFilter::PUT, handler))
    }

    /// What is sent to be done.
    pub(super) fn post<H: Handler<T, S>, T: 'static>(self, path: &'static str, handler: H) -> Self {
        self.listed("POST", path, on(MethodFilter::POST, handler))
    }

    /// What is taken away.
    pub(super) fn delete<H: Handler<T, S>, T: 'static>(
        self,
        path: &'static str,
        handler: H,
    ) -> Self {
        self.listed("DELETE", path, on(MethodFilter::DELETE, handler))
    }

    /// A path with something left out, which is answered so that whoever asked sees what. The document has no such path.
    pub(super) fn incomplete(mut self, path: &str, methods: MethodRouter<S>) -> Self {
        self.router = self.router.route(path, methods);
        self
    }

    /// The router of all of them. A method that a path does not take is answered with `Allow`.
    pub(super) fn router(self) -> Router<S> {
        self.router
    }

    /// What the document must name, and nothing else.
    #[cfg(test)]
    pub(super) fn list(&self) -> &[(&'static str, &'static str)] {
        &self.listed
    }

    fn listed(
        mut self,
        method: &'static str,
        path: &'static str,
        handler: MethodRouter<S>,
    ) -> Self {
        self.router = self.router.route(path, handler);
        self.listed.push((method, path));
        self
    }
}
