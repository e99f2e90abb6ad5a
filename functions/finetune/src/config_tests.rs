use super::*;
use crate::fixtures::request;
use dp::PrivacyUnit;
use protocol::hyperparameters::{ALL_LINEAR, DpLoraRequest, OptimizerName};

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
    assert_eq!(config.lora.target_modules, ["down_proj", "q_proj"]);
    assert_eq!(
        (config.learning_rate.peak, config.max_length),
        (0.5, 8),
        "no longer than the model's positions"
    );
}

#[test]
fn every_choice_reaches_the_trainer() {
    let request = DpLoraRequest {
        use_rslora: Some(true),
        clipping: Some(dp::Clipping::Auto),
        optimizer: Some(OptimizerName::Sgd),
        momentum: Some(0.5),
        schedule: Some(asked::Schedule::Cosine),
        warmup_steps: Some(3),
        weight_decay: Some(0.1),
        precision: Some(asked::Precision::Bf16),
        target_modules: Some(vec![ALL_LINEAR.into()]),
        ..request()
    };
    let config = |request: DpLoraRequest| {
        let settings = request.validate().unwrap();
        training_config(&settings, Privacy::NonPrivate { batch_size: 1, steps: 1 }, 8, 1).unwrap()
    };
    let (chosen, default) = (config(request), config(self::request()));
    assert_eq!((chosen.clipping, chosen.optimizer), (dp::Clipping::Auto, Optimizer::Sgd { momentum: 0.5 }));
    let rate = &chosen.learning_rate;
    assert_eq!((rate.schedule, rate.warmup_steps, chosen.weight_decay), (Schedule::Cosine, 3, 0.1));
    assert_eq!((chosen.precision, chosen.lora.use_rslora), (Precision::Bf16, true));
    assert_eq!(chosen.lora.target_modules, [ALL_LINEAR]);
    // A job from before there were these choices trains as it did.
    let before = TrainingConfig::new(Privacy::NonPrivate { batch_size: 1, steps: 1 });
    assert_eq!(
        (default.optimizer, default.clipping, default.precision, default.weight_decay),
        (before.optimizer, before.clipping, before.precision, before.weight_decay)
    );
    assert_eq!((default.learning_rate.schedule, default.learning_rate.warmup_steps), (Schedule::Linear, 0));
}

#[test]
fn every_layer_that_the_api_takes_can_be_trained() {
    let names = protocol::hyperparameters::TARGET_MODULES.map(str::to_owned).to_vec();
    let settings = DpLoraRequest { target_modules: Some(names), ..request() }.validate().unwrap();
    assert_eq!(target_modules(&settings).unwrap(), protocol::hyperparameters::TARGET_MODULES);
    let default = request().validate().unwrap();
    assert_eq!(target_modules(&default).unwrap(), [""; 0], "the attention's, by the trainer's default");
    let unknown = DpLora { target_modules: vec!["lm_head".into()], ..settings };
    assert_eq!(target_modules(&unknown), Err(UnknownLayer("lm_head".into())));
}
