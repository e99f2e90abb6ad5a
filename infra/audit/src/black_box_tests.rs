use super::*;
use finetune::ModelFiles;
use std::path::Path;

/// Few and short canaries: what one can remember in seconds.
fn small() -> Setting {
    Setting { canaries: 80, tokens: 4, batch_size: 20, steps: 30, target_epsilon: 0.5, ..Setting::default() }
}

fn demo_model() -> Arc<BaseModel> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo-llama-4m");
    Arc::new(BaseModel::load(&ModelFiles::from_dir(&folder).unwrap()).unwrap())
}

#[test]
fn private_training_stays_below_its_claim_and_open_training_is_caught() {
    let model = demo_model();
    let private = audit(&model, &small(), true, 1).unwrap();
    assert!(!private.exceeds_claim(), "{private:?}");
    let open = audit(&model, &small(), false, 1).unwrap();
    assert!(open.exceeds_claim(), "{open:?}");
    assert_eq!(open.claim, private.claim);
}

#[test]
fn a_canary_that_is_out_is_a_record_with_nothing_to_learn() {
    let model = demo_model();
    let records = records(&model, &small(), &[vec![], vec![1, 2, 3, 4]]).unwrap();
    assert_eq!(records.get(0).predicted_tokens(), 0);
    assert_eq!(records.get(1).predicted_tokens(), 3);
}

#[test]
fn canaries_are_uniform_tokens_that_differ_by_seed_and_are_not_the_coins() {
    let setting = Setting { canaries: 2000, tokens: 10, ..small() };
    let sequences = random_sequences(1, &setting, 4096);
    assert_eq!(sequences, random_sequences(1, &setting, 4096));
    assert_ne!(sequences, random_sequences(2, &setting, 4096));
    let tokens: Vec<u32> = sequences.concat();
    assert!(tokens.iter().all(|token| *token < 4096));
    let mean = tokens.iter().map(|token| f64::from(*token)).sum::<f64>() / tokens.len() as f64;
    // A uniform token has deviation 1,182; the mean of 20,000 has 8.4.
    assert!((mean - 2047.5).abs() < 5.0 * 8.4, "{mean}");
    let agree =
        toss(1, 2000).iter().zip(&sequences).filter(|(coin, tokens)| **coin == (tokens[0] >= 2048)).count();
    assert!((agree as f64 - 1000.0).abs() < 120.0, "{agree} of 2000 first tokens follow the coins");
}

#[test]
fn settings_that_show_nothing_are_refused() {
    let error = Setting { canaries: 20, ..small() }
        .plan()
        .and(Setting { canaries: 20, target_epsilon: 4.0, ..small() }.plan());
    assert!(matches!(error, Err(AuditError::Powerless { canaries: 20, .. })));
    assert!(matches!(Setting { steps: 0, ..small() }.plan(), Err(AuditError::Plan(_))));
    assert!(Setting::default().plan().is_ok());
}
