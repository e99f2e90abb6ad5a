use crate::fetch::sha256;
use crate::fixtures::{TEXT, World, model_file, request};
use protocol::signature::CertificateKey;

#[tokio::test]
async fn the_certificate_states_the_plan_and_the_hashes_of_everything() {
    let world = World::new().await;
    let file = world.upload(TEXT.as_bytes()).await;
    let job = world.submit(&file, request()).await;
    world.work(1_000).await;
    let certificate = world.result(&job, "privacy.json").await;
    let verified = protocol::verify::verify(&String::from_utf8(certificate).unwrap()).unwrap();
    assert_eq!(verified.problems, Vec::<String>::new());
    assert_eq!(verified.signed_by, Ok(CertificateKey::from_bytes([5; 32]).public_key()));
    let certificate = verified.certificate;
    assert_eq!(certificate.dataset_budget, Some(job.protection.budget));
    let training = &certificate.training;
    assert!(training.epsilon <= 8.0 && training.epsilon > 7.5, "{}", training.epsilon);
    assert_eq!((training.steps, training.records, training.sampling_rate), (5, 4, 0.5));
    assert_eq!(training.delta, 1e-5);
    assert!(certificate.local.is_none(), "the text was not perturbed");
    assert_eq!(certificate.hyperparameters, job.spec.dp_lora);
    assert_eq!(certificate.hashes.training_file, file.sha256);
    for (name, hash) in &certificate.hashes.base_model {
        assert_eq!(*hash, sha256(&model_file(name)), "{name}");
    }
    let names: Vec<&str> = certificate.hashes.adapter.keys().map(String::as_str).collect();
    assert_eq!(names, ["README.md", "adapter_config.json", "adapter_model.safetensors", "tokenizer.json"]);
    for (name, hash) in &certificate.hashes.adapter {
        assert_eq!(*hash, sha256(&world.result(&job, name).await), "{name}");
    }
    let card = String::from_utf8(world.result(&job, "README.md").await).unwrap();
    assert!(card.starts_with("---\nbase_model: demo-llama-4m\nlibrary_name: peft\n"), "{card}");
    assert!(card.contains("the service saw it") && card.contains("one line of the file"), "{card}");
    assert!(!card.contains("cat"), "no text of the owner's");
}
