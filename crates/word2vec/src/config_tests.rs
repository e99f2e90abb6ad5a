//! Ranges, and the written form.

use super::*;

/// Changes one setting to something that will not do.
type Spoil = fn(&mut Settings);

#[test]
fn settings_out_of_range_are_refused_by_name() {
    let spoils: [(&str, Spoil); 20] = [
        ("dim", |s| s.dim = 0),
        ("dim", |s| s.dim = 513),
        ("window", |s| s.window = 0),
        ("window", |s| s.window = 101),
        ("negative", |s| s.negative = 0),
        ("negative", |s| s.negative = 16),
        ("min_count", |s| s.min_count = 0),
        ("max_words", |s| s.max_words = 1),
        ("sample", |s| s.sample = -1e-9),
        ("sample", |s| s.sample = f64::NAN),
        ("epochs", |s| s.epochs = 0),
        ("learning_rate", |s| s.learning_rate = 0.0),
        ("learning_rate", |s| s.learning_rate = f64::NAN),
        ("beta1", |s| s.beta1 = 1.0),
        ("beta2", |s| (s.beta1, s.beta2) = (0.9, 0.81)),
        ("epsilon", |s| s.epsilon = 0.0),
        ("weight_decay", |s| s.weight_decay = -0.1),
        ("step_words", |s| s.step_words = 15),
        ("threads", |s| s.threads = 0),
        ("threads", |s| s.threads = 257),
    ];
    for (name, spoil) in spoils {
        let mut settings = Settings::default();
        spoil(&mut settings);
        match Config::new(settings) {
            Err(Word2VecError::Setting { name: found, .. }) => assert_eq!(found, name),
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn defaults_are_what_was_asked_for() {
    let config = Config::new(Settings::default()).unwrap();
    assert_eq!(config, Config::default());
    let s = config.settings();
    assert_eq!((s.dim, s.window, s.negative, s.min_count, s.max_words), (50, 5, 8, 3, 100_000));
    assert_eq!(s.clip, Clip::Box);
}

#[test]
fn json_round_trips_and_refuses_what_it_does_not_know() {
    let config = Config::new(Settings { clip: Clip::UnitBall, dim: 7, ..Settings::default() }).unwrap();
    let text = serde_json::to_string(&config).unwrap();
    assert!(text.contains(r#""clip":"unit_ball""#), "{text}");
    assert_eq!(serde_json::from_str::<Config>(&text).unwrap(), config);
    assert_eq!(serde_json::from_str::<Config>("{}").unwrap(), Config::default());
    for bad in [r#"{"dim":0}"#, r#"{"dims":50}"#, r#"{"clip":"sphere"}"#, r#"{"beta2":1.0}"#] {
        assert!(serde_json::from_str::<Config>(bad).is_err(), "{bad}");
    }
}

#[test]
fn the_message_says_what_would_do() {
    let error = Config::new(Settings { negative: 99, ..Settings::default() }).unwrap_err();
    assert_eq!(error.to_string(), "negative is 99, and must be 1 to 15: change it in the configuration");
}
