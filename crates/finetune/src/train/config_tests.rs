use super::*;

fn rate(warmup_steps: u64, schedule: Schedule) -> LearningRate {
    LearningRate { peak: 0.1, warmup_steps, schedule }
}

#[test]
fn the_rate_rises_to_its_peak_and_falls_towards_zero() {
    for schedule in [Schedule::Constant, Schedule::Linear, Schedule::Cosine] {
        let rate = rate(3, schedule);
        let course: Vec<f64> = (0..10).map(|step| rate.at(step, 10)).collect();
        assert!(course[..4].is_sorted_by(|a, b| a < b), "{schedule:?}: {course:?}");
        assert_eq!(course[3], 0.1);
        assert!(course[3..].is_sorted_by(|a, b| a >= b), "{schedule:?}: {course:?}");
        assert!(course.iter().all(|r| *r > 0.0));
    }
}

#[test]
fn schedules_have_their_known_values() {
    assert_eq!(rate(0, Schedule::Constant).at(99, 100), 0.1);
    assert!((rate(0, Schedule::Linear).at(50, 100) - 0.05).abs() < 1e-12);
    assert!((rate(0, Schedule::Cosine).at(50, 100) - 0.05).abs() < 1e-12);
    assert!((rate(0, Schedule::Cosine).at(25, 100) - 0.1 * 0.853_553_390_593_273_8).abs() < 1e-12);
    assert!((rate(9, Schedule::Linear).at(0, 100) - 0.01).abs() < 1e-12);
}

#[test]
fn a_warm_up_longer_than_the_run_never_reaches_the_peak() {
    assert!((0..10).all(|step| rate(20, Schedule::Linear).at(step, 10) < 0.1));
}

#[test]
fn settings_out_of_range_are_named() {
    let base = TrainingConfig::new(Privacy::NonPrivate { batch_size: 2, steps: 2 });
    assert!(base.check(512).is_ok());
    type Change = fn(&mut TrainingConfig);
    let broken: [(&str, Change); 12] = [
        ("learning_rate", |c| c.learning_rate.peak = 0.0),
        ("learning_rate", |c| c.learning_rate.peak = f64::NAN),
        ("weight_decay", |c| c.weight_decay = -0.1),
        ("weight_decay", |c| c.weight_decay = 1.0),
        ("momentum", |c| c.optimizer = Optimizer::Sgd { momentum: 1.0 }),
        ("momentum", |c| c.optimizer = Optimizer::Sgd { momentum: f64::NAN }),
        ("max_length", |c| c.max_length = 1),
        ("max_length", |c| c.max_length = 513),
        ("max_chunks_per_record", |c| c.max_chunks_per_record = 0),
        ("threads", |c| c.threads = 0),
        ("batch_size", |c| c.privacy = Privacy::NonPrivate { batch_size: 0, steps: 2 }),
        ("steps", |c| c.privacy = Privacy::NonPrivate { batch_size: 2, steps: 0 }),
    ];
    for (setting, change) in broken {
        let mut config = base.clone();
        change(&mut config);
        let error = config.check(512).unwrap_err().to_string();
        assert!(error.starts_with(setting), "{setting}: {error}");
    }
}

#[test]
fn the_configuration_survives_json_and_refuses_unknown_keys() {
    let config = TrainingConfig::new(Privacy::NonPrivate { batch_size: 2, steps: 2 });
    let mut json = serde_json::to_value(&config).unwrap();
    assert_eq!(serde_json::from_value::<TrainingConfig>(json.clone()).unwrap(), config);
    json["momentum"] = 0.9.into();
    assert!(serde_json::from_value::<TrainingConfig>(json).is_err());
}

#[test]
fn later_settings_survive_json_and_are_named_as_on_the_command_line() {
    let mut config = TrainingConfig::new(Privacy::NonPrivate { batch_size: 2, steps: 2 });
    config.optimizer = Optimizer::Sgd { momentum: 0.5 };
    config.clipping = dp::Clipping::PerLayer;
    config.precision = Precision::Bf16;
    let json = serde_json::to_value(&config).unwrap();
    assert_eq!(json["optimizer"]["sgd"]["momentum"], 0.5);
    assert_eq!((&json["clipping"], &json["precision"]), (&"per-layer".into(), &"bf16".into()));
    assert_eq!(serde_json::from_value::<TrainingConfig>(json).unwrap(), config);
    assert_eq!(serde_json::to_value(Optimizer::AdamW).unwrap(), "adamw");
}
