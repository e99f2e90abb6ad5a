use super::*;
use crate::fixtures::request;
use dp::PrivacyUnit;
use protocol::hyperparameters::DpLoraRequest;

#[test]
fn settings_reach_the_trainer() {
    let request = DpLoraRequest {
        alpha: Some(3.0),
        target_modules: Some(vec!["down_proj".into(), "q_proj".into()]),
        learning_rate: Some(0.5),
        ..request()
    };
    let settings = request.validate().unwrap();
    let plan = settings.plan(10, PrivacyUnit::Line).unwrap();
    let config = training_config(&settings, Privacy::DpSgd(plan), 8, 3).unwrap();
    assert_eq!((config.lora.rank, config.lora.alpha, config.threads), (2, 3.0, 3));
    assert_eq!(config.lora.target_modules, [TargetModule::DownProj, TargetModule::QProj]);
    assert_eq!(
        (config.learning_rate.peak, config.max_length),
        (0.5, 8),
        "no longer than the model's positions"
    );
}

#[test]
fn every_layer_that_the_api_takes_can_be_trained() {
    let names = protocol::hyperparameters::TARGET_MODULES.map(str::to_owned).to_vec();
    let settings = DpLoraRequest { target_modules: Some(names), ..request() }.validate().unwrap();
    assert_eq!(target_modules(&settings).unwrap().len(), 7);
    let unknown = DpLora { target_modules: vec!["lm_head".into()], ..settings };
    assert_eq!(target_modules(&unknown), Err(UnknownLayer("lm_head".into())));
}
