//! Every route that needs a key, in one table: the router is built from it, and so are the tests that go over all routes. A route that stands
//! elsewhere does not exist, and one that stands here without a row in the isolation tests fails them.

use crate::{ApiState, files, jobs_api, models, privacy, uploads};
use axum::routing::{MethodFilter, MethodRouter, on};

/// One method of one path.
pub(crate) struct Route {
    /// HTTP method. GET answers HEAD, too.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "for the tests that go over all routes; `handler` knows it, too")
    )]
    pub(crate) method: &'static str,
    /// Path template.
    pub(crate) path: &'static str,
    /// What answers.
    pub(crate) handler: fn() -> MethodRouter<ApiState>,
}

macro_rules! routes {
    ($($method:ident $path:literal => $handler:path;)*) => {
        /// The API behind the key.
        pub(crate) const ROUTES: &[Route] = &[$(Route {
            method: stringify!($method),
            path: $path,
            handler: || on(MethodFilter::$method, $handler),
        }),*];
    };
}

routes! {
    POST   "/v1/files" => files::create;
    GET    "/v1/files" => files::list;
    GET    "/v1/files/{id}" => files::retrieve;
    DELETE "/v1/files/{id}" => files::delete;
    GET    "/v1/files/{id}/content" => files::content;
    GET    "/v1/files/{id}/privacy" => privacy::of_file;
    GET    "/v1/privacy/key" => privacy::key;
    POST   "/v1/uploads" => uploads::create;
    POST   "/v1/uploads/{id}/parts" => uploads::add_part;
    POST   "/v1/uploads/{id}/complete" => uploads::complete;
    POST   "/v1/uploads/{id}/cancel" => uploads::cancel;
    POST   "/v1/fine_tuning/jobs" => jobs_api::create;
    GET    "/v1/fine_tuning/jobs" => jobs_api::list;
    GET    "/v1/fine_tuning/jobs/{id}" => jobs_api::retrieve;
    DELETE "/v1/fine_tuning/jobs/{id}" => jobs_api::delete;
    GET    "/v1/fine_tuning/jobs/{id}/receipt" => jobs_api::receipt;
    GET    "/v1/fine_tuning/jobs/{id}/events" => jobs_api::events;
    GET    "/v1/fine_tuning/jobs/{id}/checkpoints" => jobs_api::checkpoints;
    POST   "/v1/fine_tuning/jobs/{id}/cancel" => jobs_api::cancel;
    GET    "/v1/models" => models::list;
    GET    "/v1/models/{id}" => models::retrieve;
}
