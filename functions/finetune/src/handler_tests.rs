use super::*;
use crate::fixtures::{MODEL_FILES, RECORDS, TEXT, World, event, message, model_file, request};
use dp::{Epsilon, Purpose, SecretSeed};
use finetune::Adapter;
use jobs::Store;
use perturb::{Mechanism, Perturber, PrivacyUnit, Tokenizer};
use protocol::certificate::Certificate;
use protocol::hyperparameters::DpLoraRequest;
use protocol::keys;
use protocol::state::{JobState, Status};
use std::ops::ControlFlow;

fn body(job: &JobState, slice: u64) -> String {
    serde_json::to_string(&message(job, slice)).unwrap()
}

fn failures(response: &SqsBatchResponse) -> Vec<&str> {
    response.batch_item_failures.iter().map(|failure| failure.item_identifier.as_str()).collect()
}

async fn finished(world: &World, job: &JobState) -> JobState {
    let state = world.state(job).await;
    assert_eq!(state.status, Status::Succeeded, "{:?}", state.error);
    state
}

#[tokio::test]
async fn a_job_is_trained_through_many_slices_to_the_same_adapter_as_in_one() {
    let world = World::new().await;
    let file = world.upload(TEXT.as_bytes()).await;
    let job = world.submit(&file, request()).await;
    assert_eq!(world.work(0).await, 5, "no time at all still makes one step a slice");
    let state = finished(&world, &job).await;
    assert_eq!((state.progress.step, state.progress.total_steps, state.progress.slices), (5, 5, 5));
    assert!(state.progress.epsilon_spent <= 8.0 && state.progress.epsilon_spent > 7.5);
    assert_eq!(state.result_files.len(), 5);

    let other = World::new().await;
    let file = other.upload(TEXT.as_bytes()).await;
    let same = other.submit(&file, request()).await;
    assert_eq!(other.work(1_000).await, 1);
    finished(&other, &same).await;
    let adapter = world.result(&job, "adapter_model.safetensors").await;
    assert_eq!(adapter, other.result(&same, "adapter_model.safetensors").await, "bit for bit");
    let files = vec![
        ("adapter_model.safetensors".to_owned(), adapter),
        ("adapter_config.json".to_owned(), world.result(&job, "adapter_config.json").await),
    ];
    assert_eq!(Adapter::from_files(&files).unwrap().config().rank, 2);
}

#[tokio::test]
async fn a_perturbed_file_brings_its_local_guarantee_into_the_certificate() {
    let world = World::new().await;
    let tokenizer = Tokenizer::from_bytes(&model_file("tokenizer.json")).unwrap();
    let mechanism = Mechanism::KRr { epsilon: Epsilon::try_from(6.0).unwrap() };
    let perturber = Perturber::new(tokenizer, None, mechanism).unwrap();
    let mut rng = SecretSeed::from_bytes([3; 32]).stream(Purpose::Perturbation, 0);
    let text = TEXT.as_bytes().to_vec();
    let perturbed = perturber
        .perturb_text(text, PrivacyUnit::Line, None, &mut rng, |_| ControlFlow::Continue(()))
        .unwrap()
        .to_bytes()
        .unwrap();
    let file = world.upload(&perturbed).await;
    let job = world.submit(&file, request()).await;
    world.work(1_000).await;
    finished(&world, &job).await;
    let certificate: Certificate = serde_json::from_slice(&world.result(&job, "privacy.json").await).unwrap();
    let local = certificate.local.unwrap();
    assert_eq!((local.epsilon_per_token, &local.mechanism["type"]), (6.0, &"k-rr".into()));
    assert_eq!(local.epsilon_of_longest_record, 6.0 * local.max_tokens_in_a_record as f64);
    assert!(certificate.training.epsilon <= 8.0, "the two are not added up");
}

#[tokio::test]
async fn what_is_no_slice_message_is_dropped_and_does_not_hold_up_the_others() {
    let world = World::new().await;
    let file = world.upload(TEXT.as_bytes()).await;
    let job = world.submit(&file, request()).await;
    let (good, path) = (body(&job, 0), "{\"tenant\":\"../x\",\"job\":\"ftjob-1\",\"slice\":0}");
    let response = world.handle(event(&[("a", "hello", 1), ("b", path, 1), ("c", &good, 1)]), 1_000).await;
    assert!(failures(&response).is_empty());
    // The third came last with time left: it was run.
    finished(&world, &job).await;
}

#[tokio::test]
async fn only_messages_that_must_come_again_are_given_back() {
    let world = World::new().await;
    let job = world.submit(&world.upload(TEXT.as_bytes()).await, request()).await;
    let busy = world.submit(&world.upload(b"Another text.\n").await, request()).await;
    let message_of_busy = message(&busy, 0);
    let jobs = jobs::JobStore::new(world.store.clone());
    let now = world.worker.context.clock.now();
    jobs::lease::acquire(&jobs, &message_of_busy, now + 60, now).await.unwrap();
    let events = event(&[("busy", &body(&busy, 0), 1), ("good", &body(&job, 0), 1)]);
    assert_eq!(failures(&world.handle(events, 1_000).await), ["busy"]);
    finished(&world, &job).await;
}

#[tokio::test]
async fn when_time_is_up_the_rest_of_a_batch_is_given_back_untouched() {
    let world = World::new().await;
    let first = world.submit(&world.upload(TEXT.as_bytes()).await, request()).await;
    let second = world.submit(&world.upload(b"Another text.\n").await, request()).await;
    let events = event(&[("first", &body(&first, 0), 1), ("second", &body(&second, 0), 1)]);
    assert_eq!(failures(&world.handle(events, 0).await), ["second"]);
    assert_eq!(world.state(&first).await.progress.step, 1);
    assert_eq!(world.state(&second).await, second);
}

#[tokio::test]
async fn duplicates_and_messages_of_deleted_jobs_do_nothing() {
    let world = World::new().await;
    let job = world.submit(&world.upload(TEXT.as_bytes()).await, request()).await;
    world.work(0).await;
    let done = finished(&world, &job).await;
    let duplicate = event(&[("a", &body(&job, 0), 1), ("b", &body(&job, 4), 2)]);
    assert!(failures(&world.handle(duplicate, 1_000).await).is_empty());
    assert_eq!(world.state(&job).await, done);
    world.store.delete(&keys::job_state(&job.tenant, &job.id)).await.unwrap();
    assert!(failures(&world.handle(event(&[("c", &body(&job, 0), 1)]), 1_000).await).is_empty());
    assert!(world.queue.is_empty());
}

/// Runs a job whose input was spoilt and returns what its owner reads.
async fn refusal(spoil: impl AsyncFnOnce(&World, &JobState)) -> (String, String) {
    let world = World::new().await;
    let job = world.submit(&world.upload(TEXT.as_bytes()).await, request()).await;
    spoil(&world, &job).await;
    world.work(1_000).await;
    let state = world.state(&job).await;
    assert_eq!(state.status, Status::Failed);
    assert!(state.result_files.is_empty());
    let error = state.error.unwrap();
    (error.code.unwrap(), error.message)
}

#[tokio::test]
async fn a_job_without_its_file_fails_with_one_sentence() {
    let (code, message) = refusal(async |world, job| {
        let meta = keys::file_meta(&job.tenant, &job.spec.training_file);
        world.store.delete(&meta).await.unwrap();
    })
    .await;
    assert!(code == "invalid_training_file" && message.contains("was deleted"), "{message}");
    let (code, message) = refusal(async |world, job| {
        let content = keys::file_content(&job.tenant, &job.spec.training_file);
        world.store.delete(&content).await.unwrap();
    })
    .await;
    assert!(code == "invalid_training_file" && message.contains("never uploaded"), "{message}");
    let (code, message) = refusal(async |world, job| {
        world.put(&keys::file_content(&job.tenant, &job.spec.training_file), b"Something else.\n").await;
    })
    .await;
    assert!(code == "invalid_training_file" && message.contains("not what was announced"), "{message}");
}

#[tokio::test]
async fn a_job_whose_model_is_spoilt_fails_with_one_sentence() {
    for name in MODEL_FILES {
        let (code, message) = refusal(async |world, _| {
            world.put(&keys::model_file(&world.model, name), b"damaged").await;
        })
        .await;
        assert!(code == "invalid_model" && message.contains(name), "{name}: {message}");
        let (code, message) = refusal(async |world, _| {
            let mut bytes = model_file(name);
            bytes.truncate(bytes.len() / 2);
            world.put(&keys::model_file(&world.model, name), &bytes).await;
            world.index_model().await;
        })
        .await;
        assert!(code == "invalid_model" && !message.contains("panicked"), "{name}: {message}");
    }
    let (code, message) = refusal(async |world, _| {
        world.store.delete(&keys::model_file(&world.model, keys::MODEL_INDEX)).await.unwrap();
    })
    .await;
    assert!(code == "invalid_model" && message.contains("choose another"), "{message}");
}

/// What was charged is a plan for a certain number of records; another number would be another sampling rate.
#[tokio::test]
async fn a_file_of_other_records_than_were_planned_for_is_not_trained_on() {
    let world = World::new().await;
    let file = world.upload(TEXT.as_bytes()).await;
    let job = world.submit_on(&file, request(), RECORDS + 1).await;
    world.work(1_000).await;
    let state = world.state(&job).await;
    assert_eq!(state.error.and_then(|error| error.code).as_deref(), Some("invalid_training_file"));
    assert_eq!(state.progress.step, 0);
}

#[tokio::test]
async fn a_loss_curve_is_released_as_it_was_paid_for_and_is_the_same_however_the_job_is_cut() {
    let curve = async |seconds| {
        let world = World::new().await;
        let file = world.upload(TEXT.as_bytes()).await;
        let job = world.submit(&file, DpLoraRequest { loss_curve: Some(true), ..request() }).await;
        world.work(seconds).await;
        let state = finished(&world, &job).await;
        let text = String::from_utf8(world.result(&job, "privacy.json").await).unwrap();
        let verified = protocol::verify::verify(&text).unwrap();
        assert_eq!(verified.problems, Vec::<String>::new());
        assert!(verified.certificate.training.loss_noise_multiplier.is_some());
        state.losses
    };
    let (cut, whole) = (curve(0).await, curve(1_000).await);
    assert_eq!(cut, whole);
    assert_eq!(cut.iter().map(|point| point.step).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert!(cut.iter().all(|point| point.steps == 1 && point.loss.is_finite()));
}

#[tokio::test]
async fn a_dead_letter_fails_its_job() {
    let world = World::new().await;
    let job = world.submit(&world.upload(TEXT.as_bytes()).await, request()).await;
    let dead = event(&[("a", &body(&job, 0), 6), ("b", "hello", 6)]);
    assert!(failures(&handle_dead_letters(&world.worker, dead).await).is_empty());
    let state = world.state(&job).await;
    assert_eq!(
        (state.status, state.error.unwrap().code.as_deref()),
        (Status::Failed, Some("internal_error"))
    );
}

/// Trains on three workers, taking messages as `pick` says, each as often as it says; the adapter and the certificate.
async fn by_three(pick: impl Fn(usize) -> (usize, usize)) -> (Vec<u8>, Vec<u8>) {
    let world = World::new().await;
    let file = world.upload(TEXT.as_bytes()).await;
    let job = world.submit(&file, DpLoraRequest { workers: Some(3), ..request() }).await;
    let (mut waiting, mut round) = (vec![], 0);
    loop {
        while let Some(delivery) = world.queue.try_receive() {
            waiting.push(delivery);
        }
        if waiting.is_empty() {
            break;
        }
        let (which, times) = pick(round);
        let delivery = waiting.remove(which % waiting.len());
        for _ in 0..times {
            let event = event(&[(&delivery.message_id, &delivery.body, delivery.receive_count)]);
            assert!(failures(&world.handle(event, 1_000).await).is_empty());
        }
        world.queue.ack(&delivery.receipt).unwrap();
        round += 1;
    }
    let state = finished(&world, &job).await;
    assert_eq!((state.progress.step, state.progress.slices), (5, 5), "each step is a slice");
    (world.result(&job, "adapter_model.safetensors").await, world.result(&job, "privacy.json").await)
}

#[tokio::test]
async fn three_workers_come_to_the_same_adapter_whatever_the_order_and_the_number_of_their_messages() {
    let (adapter, certificate) = by_three(|_| (0, 1)).await;
    let (backwards, _) = by_three(|_| (usize::MAX, 1)).await;
    assert!(adapter == backwards, "bit for bit");
    let (mixed, _) = by_three(|round| (round * 7 + 1, 1 + round % 3)).await;
    assert!(adapter == mixed, "bit for bit");

    let certificate: Certificate = serde_json::from_slice(&certificate).unwrap();
    let alone = World::new().await;
    let job = alone.submit(&alone.upload(TEXT.as_bytes()).await, request()).await;
    alone.work(1_000).await;
    finished(&alone, &job).await;
    let of_one: Certificate = serde_json::from_slice(&alone.result(&job, "privacy.json").await).unwrap();
    assert_eq!(certificate.training.epsilon, of_one.training.epsilon, "the adapter's guarantee is the same");
    assert!(adapter != alone.result(&job, "adapter_model.safetensors").await, "the noise is drawn otherwise");
}
