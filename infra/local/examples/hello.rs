//! The plainest handler that axum can have, on a free port of 127.0.0.1, until it is killed: what `cargo xtask bench load` measures small calls beside.
#![allow(clippy::print_stdout, reason = "an example speaks to who started it")]

use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("http://{}", listener.local_addr()?);
    axum::serve(listener, Router::new().route("/hello", get(hello))).await
}

async fn hello() -> Json<Value> {
    Json(json!({ "hello": "world" }))
}
