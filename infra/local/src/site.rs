//! The static page, with headers that let it load nothing foreign and send nothing anywhere but to this service.
//!
//! Every file gets them, the worker's and the WASM's too: a worker obeys the headers of its own file, not those of the page that started it.

use api_function::no_such_route;
use axum::Router;
use axum::handler::HandlerWithoutStateExt;
use http::header::{CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, header};
use std::path::Path;
use tower::ServiceBuilder;
use tower_http::services::ServeDir;
use tower_http::set_header::SetResponseHeaderLayer;

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// The page's content security policy; `s3_url` is where it may upload to.
pub(crate) fn content_security_policy(s3_url: &str) -> String {
    format!(
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data:; worker-src 'self'; \
         connect-src 'self' {s3_url}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

/// `router` with the files of `site_dir`, if given, under every path it does not know, and the strict headers on every answer.
pub(crate) fn with_site(router: Router, site_dir: Option<&Path>, s3_url: &str) -> Router {
    let router = match site_dir {
        Some(folder) => {
            router.fallback_service(ServeDir::new(folder).not_found_service(no_such_route.into_service()))
        }
        None => router,
    };
    // An origin and fixed words are always a valid header value.
    let policy = HeaderValue::from_str(&content_security_policy(s3_url)).expect("the policy is plain text");
    let fixed = |name, value| SetResponseHeaderLayer::overriding(name, HeaderValue::from_static(value));
    let headers = ServiceBuilder::new()
        .layer(SetResponseHeaderLayer::overriding(CONTENT_SECURITY_POLICY, policy))
        .layer(fixed(X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(fixed(REFERRER_POLICY, "no-referrer"))
        .layer(fixed(OPENER_POLICY, "same-origin"))
        // The page may change with every start, so a browser asks each time; the answer is mostly "not modified".
        .layer(SetResponseHeaderLayer::if_not_present(
            header::CACHE_CONTROL,
            HeaderValue::from_static("no-cache"),
        ));
    router.layer(headers)
}

#[cfg(test)]
#[path = "site_tests.rs"]
mod tests;
