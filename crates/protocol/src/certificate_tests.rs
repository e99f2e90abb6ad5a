use super::*;
use crate::fixtures::{certificate, local_guarantee as local};

#[test]
fn a_certificate_comes_back_as_it_was_written() {
    for certificate in [certificate(None), certificate(Some(local()))] {
        let text = serde_json::to_string(&certificate).unwrap();
        assert_eq!(serde_json::from_str::<Certificate>(&text).unwrap(), certificate);
    }
}

#[test]
fn the_two_guarantees_are_kept_apart_and_words_are_those_of_the_field() {
    let json = serde_json::to_value(certificate(Some(local()))).unwrap();
    assert_eq!(
        (json["training"]["epsilon"].as_f64(), json["local"]["epsilon_per_token"].as_f64()),
        (Some(certificate(None).training.epsilon), Some(8.0))
    );
    assert_eq!(json["training"]["neighboring_relation"], "add-or-remove-one");
    assert_eq!(
        (&json["training"]["privacy_unit"], &json["training"]["accountant"]),
        (&"line".into(), &"pld".into())
    );
    assert_eq!(json["hyperparameters"]["max_grad_norm"], 1.0);
    assert!(serde_json::to_value(certificate(None)).unwrap()["local"].is_null());
}

#[test]
fn what_is_missing_or_added_is_noticed() {
    let json = serde_json::to_value(certificate(None)).unwrap();
    for name in ["training", "hashes", "hyperparameters", "code_version"] {
        let mut changed = json.clone();
        changed.as_object_mut().unwrap().remove(name);
        assert!(serde_json::from_value::<Certificate>(changed).is_err(), "without {name}");
    }
    let mut changed = json;
    changed["training"]["comment"] = "trust me".into();
    assert!(serde_json::from_value::<Certificate>(changed).is_err());
}

#[test]
fn a_guarantee_states_its_plan_whole() {
    for loss_curve in [false, true] {
        let plan = crate::fixtures::protection(loss_curve).plan;
        assert_eq!(TrainingGuarantee::of(&plan, Clipping::PerLayer, "1").plan().unwrap(), plan);
    }
}

#[test]
fn a_certificate_from_before_clipping_was_a_choice_means_flat() {
    let mut json = serde_json::to_value(certificate(None)).unwrap();
    assert_eq!(json["training"]["clipping"], "flat");
    assert!(json["hashes"].get("initial_adapter").is_none());
    json["training"].as_object_mut().unwrap().remove("clipping").unwrap();
    let settings = json["hyperparameters"].as_object_mut().unwrap();
    for later in
        ["clipping", "optimizer", "schedule", "warmup_steps", "weight_decay", "precision", "use_rslora"]
    {
        settings.remove(later).expect(later);
    }
    assert_eq!(serde_json::from_value::<Certificate>(json).unwrap(), certificate(None));
}
