use super::*;
use crate::fixtures::{TinyModel, seed};
use dp::Purpose;

#[test]
fn the_layout_covers_every_value_once_in_order() {
    let config = TinyModel::new().parsed();
    let lora = LoraConfig { rank: 3, alpha: 5.0, target_modules: TargetModule::ALL.to_vec() };
    let layout = LoraLayout::new(&config, &lora);
    assert_eq!(layout.entries().len(), 14);
    let mut next = 0;
    for entry in layout.entries() {
        assert_eq!((entry.input, entry.output), entry.module.dimensions(&config));
        assert_eq!(entry.a_offset, next);
        assert_eq!(entry.b_offset, next + 3 * entry.input);
        next = entry.b_offset + 3 * entry.output;
    }
    assert_eq!(layout.parameters(), next);
}

#[test]
fn the_order_of_target_modules_does_not_change_the_layout() {
    let config = TinyModel::new().parsed();
    let one =
        LoraConfig { target_modules: vec![TargetModule::QProj, TargetModule::UpProj], ..Default::default() };
    let two =
        LoraConfig { target_modules: vec![TargetModule::UpProj, TargetModule::QProj], ..Default::default() };
    assert_eq!(LoraLayout::new(&config, &one), LoraLayout::new(&config, &two));
}

#[test]
fn start_values_are_uniform_a_and_zero_b() {
    let layout = LoraLayout::new(&TinyModel::new().parsed(), &LoraConfig::default());
    let flat = layout.initialise(&mut seed(1).stream(Purpose::AdapterInit, 0));
    assert_eq!(flat, layout.initialise(&mut seed(1).stream(Purpose::AdapterInit, 0)));
    assert_ne!(flat, layout.initialise(&mut seed(2).stream(Purpose::AdapterInit, 0)));
    let mut unit = Vec::new();
    for entry in layout.entries() {
        assert!(layout.b(entry, &flat).iter().all(|v| v.to_bits() == 0));
        unit.extend(layout.a(entry, &flat).iter().map(|v| f64::from(v * (entry.input as f32).sqrt())));
    }
    // Uniform in ±1: mean 0 and variance 1/3, each within five standard errors of 2,048 draws.
    assert!(unit.iter().all(|v| v.abs() <= 1.0));
    let mean = unit.iter().sum::<f64>() / unit.len() as f64;
    let variance = unit.iter().map(|v| v * v).sum::<f64>() / unit.len() as f64;
    assert_eq!(unit.len(), 2048);
    assert!(mean.abs() < 5.0 * (1.0f64 / 3.0 / 2048.0).sqrt(), "{mean}");
    assert!((variance - 1.0 / 3.0).abs() < 5.0 * (4.0f64 / 45.0 / 2048.0).sqrt(), "{variance}");
}

#[test]
fn unusable_configurations_are_refused() {
    let model = TinyModel::new().parsed();
    let check = |change: fn(&mut LoraConfig)| {
        let mut lora = LoraConfig::default();
        change(&mut lora);
        lora.check(&model)
    };
    assert_eq!(check(|_| {}), Ok(()));
    assert_eq!(check(|l| l.rank = 0), Err(LoraError::Rank { rank: 0, largest: 32 }));
    assert_eq!(check(|l| l.rank = 33), Err(LoraError::Rank { rank: 33, largest: 32 }));
    for bad in [0.0, -1.0, f64::INFINITY] {
        let lora = LoraConfig { alpha: bad, ..Default::default() };
        assert_eq!(lora.check(&model), Err(LoraError::Alpha(bad)));
    }
    assert!(matches!(check(|l| l.alpha = f64::NAN), Err(LoraError::Alpha(_))));
    assert_eq!(check(|l| l.target_modules.clear()), Err(LoraError::TargetModules));
    assert_eq!(check(|l| l.target_modules.push(TargetModule::QProj)), Err(LoraError::TargetModules));
}

#[test]
fn names_are_those_of_hugging_face_and_unknown_ones_are_refused() {
    for module in TargetModule::ALL {
        assert_eq!(TargetModule::from_name(module.name()), Some(module));
        assert_eq!(serde_json::to_string(&module).unwrap(), format!("\"{}\"", module.name()));
    }
    assert_eq!(TargetModule::from_name("c_attn"), None);
    assert_eq!(TargetModule::DownProj.path(3), "model.layers.3.mlp.down_proj");
    let unknown = r#"{"rank": 8, "alpha": 16, "target_modules": ["q_proj"], "dropout": 0.1}"#;
    assert!(serde_json::from_str::<LoraConfig>(unknown).is_err());
}
