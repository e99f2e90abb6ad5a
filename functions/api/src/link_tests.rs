//! What the API signs: links to the caller's own content and to public model files, for a quarter of an hour and no longer.

use crate::isolation_tests::objects_of_a;
use crate::test_store::{SIGNATURE, SignedLink};
use crate::test_world::{KEY_A, KEY_B, MODEL, World, json_request};
use jobs::Clock;
use protocol::api::PRESIGN_SECONDS;
use serde_json::json;
use std::time::Duration;

const SHA256: &str = "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9";

fn ticket(bytes: u64, more: &[(&str, &str)]) -> String {
    let mut body = json!({"filename": "a", "bytes": bytes, "sha256": SHA256, "purpose": "fine-tune"});
    for (name, value) in more {
        body[*name] = json!(value);
    }
    body.to_string()
}

#[tokio::test]
async fn an_upload_link_is_for_one_new_object_of_the_caller() {
    let world = World::new().await;
    for (key, tenant) in [(KEY_A, "tenant-a"), (KEY_B, "tenant-b")] {
        world.watched.forget();
        let reply = world.send(key, json_request("/v1/files", ticket(11, &[]))).await.ok();
        let [SignedLink { key, valid, terms: Some(terms) }] = &world.watched.links()[..] else {
            panic!("one PUT is signed")
        };
        assert_eq!(*key, format!("tenants/{tenant}/files/{}/content", reply["id"].as_str().unwrap()));
        assert_eq!(*valid, Duration::from_secs(PRESIGN_SECONDS));
        assert_eq!((terms.bytes, terms.sha256.as_str(), terms.now), (11, SHA256, world.clock.now()));
        assert_eq!(reply["upload"]["expires_at"].as_u64(), Some(world.clock.now() + PRESIGN_SECONDS));
    }
}

#[tokio::test]
async fn a_caller_cannot_choose_what_is_signed() {
    let world = World::new().await;
    for (name, value) in [
        ("key", "tenants/tenant-a/files/x/content"),
        ("content_key", "keys/x.json"),
        ("id", "file-000000000000000000000000"),
        ("tenant", "tenant-a"),
        ("content_type", "text/html"),
        ("expires_in", "604800"),
        ("headers", "x-amz-acl"),
    ] {
        world.watched.forget();
        let reply = world.send(KEY_B, json_request("/v1/files", ticket(11, &[(name, value)]))).await;
        reply.assert_error(400, "invalid_json");
        assert!(world.watched.links().is_empty(), "{name}");
    }
}

#[tokio::test]
async fn download_links_lead_to_the_callers_file_and_to_models_alone() {
    let world = World::new().await;
    let owned = objects_of_a(&world).await;
    let content = format!("tenants/tenant-a/files/{}/content", owned.file);
    for path in [format!("/v1/files/{}", owned.file), format!("/v1/files/{}/content", owned.file)] {
        world.watched.forget();
        world.get(&path).await;
        let [link] = &world.watched.links()[..] else { panic!("{path} signs one link") };
        assert!(link.key == content && link.terms.is_none(), "{path}");
        assert_eq!(link.valid, Duration::from_secs(PRESIGN_SECONDS), "{path}");
        world.watched.forget();
        world.call(KEY_B, "GET", &path).await;
        assert!(world.watched.links().is_empty(), "{path} of another tenant");
    }
    world.watched.forget();
    world.get(&format!("/v1/models/{MODEL}")).await.ok();
    let links = world.watched.links();
    let fine = |link: &SignedLink| link.key.starts_with(&format!("models/{MODEL}/")) && link.terms.is_none();
    assert!(!links.is_empty() && links.iter().all(fine));
    assert!(links.iter().all(|link| link.valid <= Duration::from_secs(PRESIGN_SECONDS)));
}

/// A list is shown on screens and kept by clients for long: it carries no links.
#[tokio::test]
async fn lists_and_jobs_carry_no_links() {
    let world = World::new().await;
    let owned = objects_of_a(&world).await;
    let job = format!("/v1/fine_tuning/jobs/{}", owned.job);
    for path in ["/v1/files", "/v1/fine_tuning/jobs", "/v1/models", &job, &format!("{job}/events")] {
        world.watched.forget();
        let shown = world.get(path).await.ok().to_string();
        assert!(world.watched.links().is_empty() && !shown.contains(SIGNATURE), "{path}");
    }
}

/// Page and API share an origin; on AWS the gateway adds what a page elsewhere needs. Were the API itself to allow an origin, any site could
/// call a service on its reader's own machine.
#[tokio::test]
async fn the_api_allows_no_foreign_origin() {
    let world = World::new().await;
    for origin in ["https://evil.example", "null", "http://127.0.0.1:8787", "http://localhost:8787"] {
        for method in ["OPTIONS", "GET", "POST"] {
            let mut request = json_request("/v1/files", "{}");
            *request.method_mut() = method.parse().unwrap();
            request.headers_mut().insert("origin", origin.parse().unwrap());
            request.headers_mut().insert("access-control-request-method", "POST".parse().unwrap());
            request.headers_mut().insert("access-control-request-headers", "authorization".parse().unwrap());
            let key = if method == "OPTIONS" { "" } else { KEY_A };
            let (status, headers, _) = {
                if !key.is_empty() {
                    request.headers_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
                }
                world.respond(request).await
            };
            let allowed = headers.keys().filter(|name| name.as_str().starts_with("access-control-"));
            assert_eq!(allowed.count(), 0, "{method} from {origin}");
            assert!(method != "OPTIONS" || status == 405, "{status}");
        }
    }
}
