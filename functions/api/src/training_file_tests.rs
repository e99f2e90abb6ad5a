use super::sentence;
use crate::test_world::{MODEL, TOKENIZER_JSON, World};
use jobs::{PutCondition, Store};
use serde_json::json;

const JOBS: &str = "/v1/fine_tuning/jobs";

/// Error message of a job on a file with this content; none when the job is taken.
async fn refusal(world: &World, content: &[u8]) -> Option<String> {
    let file = world.upload(content).await;
    let reply = world.post(JOBS, json!({"model": MODEL, "training_file": file})).await;
    if reply.status.is_success() {
        return None;
    }
    reply.assert_error(400, "invalid_training_file");
    assert_eq!(reply.body["error"]["param"], "training_file");
    Some(reply.body["error"]["message"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn files_that_are_no_text_are_refused_when_the_job_is_created() {
    let world = World::new().await;
    let long_line = vec![b'a'; 2 * 1024 * 1024];
    let cases: [(&[u8], &str); 6] = [
        (b"\n \n\t\n", "no text"),
        (b"caf\xe9\n", "UTF-8"),
        (b"a\0b\n", "zero byte"),
        (b"\x89PNG\r\n\x1a\n\0\0", "zero byte"),
        (&long_line, "at most"),
        (b"\xef\xbb\xbf\n", "no text"),
    ];
    for (content, part) in cases {
        let message = refusal(&world, content).await.expect("the job is refused");
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(world.get(JOBS).await.ok()["data"], json!([]));
    assert!(world.queue.sent.lock().unwrap().is_empty());
    assert_eq!(refusal(&world, "plain text, naïve café\n".as_bytes()).await, None);
}

#[tokio::test]
async fn a_file_over_the_limit_is_refused_even_if_it_got_into_the_store() {
    let world = World::new().await;
    let file = world.upload(b"a\n").await;
    let tenant = "tenants/tenant-a/files";
    let meta_key = format!("{tenant}/{file}/meta.json");
    let mut meta: serde_json::Value =
        serde_json::from_slice(&world.store.get(&meta_key).await.unwrap().bytes).unwrap();
    let content = "a\n".repeat(11 * 1024 * 1024);
    meta["bytes"] = json!(content.len());
    world.put_json(&meta_key, &meta).await;
    let key = format!("{tenant}/{file}/content");
    world.store.put(&key, content.into(), PutCondition::Always).await.unwrap();
    let reply = world.post(JOBS, json!({"model": MODEL, "training_file": file})).await;
    reply.assert_error(400, "invalid_training_file");
    assert!(reply.body["error"]["message"].as_str().unwrap().contains("20 MiB"));
}

#[tokio::test]
async fn a_file_without_content_waits() {
    let world = World::new().await;
    let ticket = json!({"filename": "a", "bytes": 3, "sha256": "00".repeat(32), "purpose": "fine-tune"});
    let file = world.post("/v1/files", ticket).await.ok()["id"].clone();
    let reply = world.post(JOBS, json!({"model": MODEL, "training_file": file})).await;
    reply.assert_error(409, "file_pending");
}

#[tokio::test]
async fn unknown_models_and_files_are_not_found() {
    let world = World::new().await;
    let file = world.upload(b"a\n").await;
    for model in ["gpt-4o-mini", "", "../keys", "a/b"] {
        let reply = world.post(JOBS, json!({"model": model, "training_file": file})).await;
        reply.assert_error(404, "model_not_found");
        assert!(reply.body["error"]["message"].as_str().unwrap().contains("`tiny-model`"));
    }
    for file in ["file-0", "", "../meta.json", "file-000000000000000000000000"] {
        world.post(JOBS, json!({"model": MODEL, "training_file": file})).await.assert_error(404, "not_found");
    }
}

#[tokio::test]
async fn damaged_token_files_are_refused() {
    let world = World::new().await;
    for content in [
        &b"DPTK"[..],
        b"DPTK\x01\x00\xff\xff\xff\xff",
        b"DPTK\x02\x00aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ] {
        refusal(&world, content).await.expect("the job is refused");
    }
}

#[tokio::test]
async fn tokens_of_another_tokenizer_are_refused() {
    let world = World::new().await;
    assert_eq!(refusal(&world, &token_file(TOKENIZER_JSON)).await, None);
    let message = refusal(&world, &token_file(b"another tokenizer")).await.expect("the job is refused");
    assert!(message.contains("another tokenizer"), "{message}");
}

#[tokio::test]
async fn perturbed_words_suit_every_model() {
    use perturb::{Mechanism, Perturber, Vocabulary};
    let words = ["one", "two", "three"].map(|word| (word.to_owned(), 1));
    let mechanism = Mechanism::KRr { epsilon: dp::Epsilon::try_from(4.0).unwrap() };
    let perturber = Perturber::new(Vocabulary::new(words, 0).unwrap(), None, mechanism).unwrap();
    let mut rng = dp::SecretSeed::from_bytes([1; 32]).stream(dp::Purpose::Perturbation, 0);
    let go_on = |_| std::ops::ControlFlow::Continue(());
    let file =
        perturber.perturb_text("one two\nzebra".into(), perturb::PrivacyUnit::Line, None, &mut rng, go_on);
    assert_eq!(refusal(&World::new().await, &file.unwrap().to_bytes().unwrap()).await, None);
}

/// Two records, perturbed over a vocabulary of four tokens that belongs to the tokenizer `json`.
fn token_file(json: &[u8]) -> Vec<u8> {
    use perturb::{Channel, ChannelUnit, Domain, Manifest, Mechanism, Payload, PrivacyUnit, Sha256Digest};
    let domain = Domain::new(vec![0, 1, 2, 3], Sha256Digest::of(json)).unwrap();
    let epsilon = dp::Epsilon::try_from(4.0).unwrap();
    let channel = Channel::new(Mechanism::KRr { epsilon }, domain, None).unwrap();
    let records = Payload::Tokens(vec![vec![0, 3], vec![1]]);
    let manifest = Manifest::new(&channel, ChannelUnit::Token, PrivacyUnit::Line, records.counts(), None);
    perturb::tokens::write(&manifest, &records).unwrap()
}

#[test]
fn reasons_become_sentences() {
    assert_eq!(sentence("the file is empty"), "The file is empty.");
    assert_eq!(sentence("Done."), "Done.");
    assert_eq!(sentence(""), ".");
}
