use super::*;
use crate::fixtures::request;
use dp::PrivacyUnit;
use finetune::RecordOptions;
use protocol::hyperparameters::DpLoraRequest;

fn records(count: usize) -> Records {
    let options = RecordOptions {
        unit: PrivacyUnit::Line,
        max_length: 16,
        max_chunks: 1,
        bos_token_id: None,
        eos_token_id: None,
        vocab_size: 300,
    };
    Records::from_sequences(&vec![vec![1, 2, 3]; count], &options).unwrap()
}

fn plan(request: DpLoraRequest, count: usize) -> Result<DpSgdPlan, SliceError> {
    privacy_plan(&request.validate().unwrap(), &records(count))
}

#[test]
fn the_plan_meets_the_target_and_is_the_same_every_time() {
    let first = plan(request(), 100).unwrap();
    assert_eq!(first, plan(request(), 100).unwrap());
    assert!(first.epsilon() <= 8.0 && first.epsilon() > 7.5, "{}", first.epsilon());
    assert_eq!((first.steps(), first.expected_batch_size()), (5, 2));
    assert_eq!(first.delta(), default_delta(100));
}

#[test]
fn a_batch_is_no_larger_than_the_data_and_epochs_count_from_it() {
    let settings = DpLoraRequest { steps: None, epochs: Some(2.0), batch_size: Some(64), ..request() };
    let plan = plan(settings, 10).unwrap();
    assert_eq!((plan.expected_batch_size(), plan.sampling_rate(), plan.steps()), (10, 1.0, 2));
}

#[test]
fn a_target_that_cannot_be_met_is_a_permanent_error_of_the_settings() {
    let settings =
        DpLoraRequest { epsilon: Some(1e-9), steps: Some(1_000_000), delta: Some(1e-12), ..request() };
    match plan(settings, 10) {
        Err(SliceError::Permanent(error)) => {
            assert_eq!(error.code.as_deref(), Some("invalid_hyperparameter"));
            assert!(error.message.contains("epsilon"), "{}", error.message);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn settings_reach_the_trainer() {
    let settings = DpLoraRequest {
        alpha: Some(3.0),
        target_modules: Some(vec!["down_proj".into(), "q_proj".into()]),
        learning_rate: Some(0.5),
        ..request()
    };
    let plan = plan(settings.clone(), 10).unwrap();
    let config = training_config(&settings.validate().unwrap(), plan, 8, 3).unwrap();
    assert_eq!((config.lora.rank, config.lora.alpha, config.threads), (2, 3.0, 3));
    assert_eq!(config.lora.target_modules, [TargetModule::DownProj, TargetModule::QProj]);
    assert_eq!(
        (config.learning_rate.peak, config.max_length),
        (0.5, 8),
        "no longer than the model's positions"
    );
}
