use super::*;
use crate::fixtures::{TinyModel, seed};
use dp::Purpose;

#[test]
fn the_layout_covers_every_value_once_in_order() {
    let config = TinyModel::new().parsed();
    let lora = LoraConfig { rank: 3, alpha: 5.0, target_modules: names(&[ALL_LINEAR]), use_rslora: false };
    let layout = LoraLayout::new(&config, &lora).unwrap();
    assert_eq!(layout.entries().len(), 14);
    let mut next = 0;
    for entry in layout.entries() {
        let module = &config.modules[entry.module];
        assert_eq!((entry.input, entry.output), (module.input, module.output));
        assert_eq!(entry.a_offset, next);
        assert_eq!(entry.b_offset, next + 3 * entry.input);
        next = entry.b_offset + 3 * entry.output;
    }
    assert_eq!(layout.parameters(), next);
}

#[test]
fn the_order_of_target_modules_does_not_change_the_layout() {
    let config = TinyModel::new().parsed();
    let with = |modules: &[&str]| {
        let lora = LoraConfig { target_modules: names(modules), ..Default::default() };
        LoraLayout::new(&config, &lora).unwrap()
    };
    assert_eq!(with(&["q_proj", "up_proj"]), with(&["up_proj", "q_proj"]));
}

#[test]
fn start_values_are_uniform_a_and_zero_b() {
    let layout = LoraLayout::new(&TinyModel::new().parsed(), &LoraConfig::default()).unwrap();
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
    assert_eq!(check(|l| l.target_modules = names(&["q_proj", "up_proj"])), Ok(()));
    for twice in [["q_proj", "q_proj"], ["self_attn.q_proj", "q_proj"], ["q_proj", ALL_LINEAR]] {
        let lora = LoraConfig { target_modules: names(&twice), ..Default::default() };
        assert_eq!(lora.check(&model), Err(LoraError::NamedTwice(twice[1].into())));
    }
    for unknown in ["lm_head", "c_attn", "proj", "", "model.layers.0.self_attn.q_proj"] {
        let lora = LoraConfig { target_modules: names(&[unknown]), ..Default::default() };
        let error = lora.check(&model).unwrap_err();
        assert!(matches!(&error, LoraError::UnknownModule { name, .. } if name == unknown), "{error}");
        assert!(error.to_string().contains("q_proj, k_proj") && error.to_string().contains("all-linear"));
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[test]
fn names_stand_for_modules_as_in_peft() {
    let resolved = |model: &ModelConfig, modules: &[&str]| -> Vec<&str> {
        let lora = LoraConfig { target_modules: names(modules), ..Default::default() };
        lora.resolve(model).unwrap().into_iter().map(|index| model.modules[index].path).collect()
    };
    let llama = TinyModel::new().parsed();
    let attention = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"];
    assert_eq!(resolved(&llama, &[]), attention, "the default");
    assert_eq!(resolved(&llama, &["mlp.down_proj", "q_proj"]), ["self_attn.q_proj", "mlp.down_proj"]);
    assert_eq!(resolved(&llama, &[ALL_LINEAR]).len(), 7);

    let gpt2 =
        br#"{"architectures": ["GPT2LMHeadModel"], "vocab_size": 9, "n_embd": 4, "n_head": 1, "n_layer": 1,
        "n_positions": 8}"#;
    let gpt2 = ModelConfig::from_json(gpt2).unwrap();
    assert_eq!(resolved(&gpt2, &[]), ["attn.c_attn", "attn.c_proj"]);
    assert_eq!(resolved(&gpt2, &["c_proj"]), ["attn.c_proj", "mlp.c_proj"], "PEFT means both");
    assert_eq!(resolved(&gpt2, &["attn.c_proj"]), ["attn.c_proj"]);
    // What is written stands for exactly the same modules again.
    for modules in
        [vec!["attn.c_proj"], vec!["c_proj"], vec!["c_attn", "mlp.c_proj"], vec![ALL_LINEAR], vec![]]
    {
        let lora = LoraConfig { rank: 1, target_modules: names(&modules), ..Default::default() };
        let written = LoraLayout::new(&gpt2, &lora).unwrap().target_modules();
        let written: Vec<&str> = written.iter().map(String::as_str).collect();
        assert_eq!(resolved(&gpt2, &written), resolved(&gpt2, &modules));
    }
}

#[test]
fn the_scale_is_alpha_by_rank_or_by_its_root() {
    let lora = LoraConfig { rank: 4, alpha: 10.0, ..Default::default() };
    assert_eq!(lora.scaling(), 2.5);
    assert_eq!(LoraConfig { use_rslora: true, ..lora }.scaling(), 5.0);
}

#[test]
fn a_stored_configuration_is_read_and_written_as_before() {
    let stored = r#"{"rank":8,"alpha":16.0,"target_modules":["q_proj","o_proj"]}"#;
    let lora: LoraConfig = serde_json::from_str(stored).unwrap();
    assert!(!lora.use_rslora);
    assert_eq!(serde_json::to_string(&lora).unwrap(), stored);
    let scaled = LoraConfig { use_rslora: true, ..lora };
    let text = serde_json::to_string(&scaled).unwrap();
    assert_eq!(serde_json::from_str::<LoraConfig>(&text).unwrap(), scaled);
    let unknown = r#"{"rank": 8, "alpha": 16, "target_modules": ["q_proj"], "dropout": 0.1}"#;
    assert!(serde_json::from_str::<LoraConfig>(unknown).is_err());
}
