use super::*;
use crate::fixtures::families::goldens;
use crate::fixtures::{TinyModel, random};
use serde_json::json;

fn adapter() -> Adapter {
    let lora = LoraConfig {
        rank: 2,
        alpha: 5.0,
        target_modules: ["v_proj", "q_proj", "down_proj"].map(String::from).to_vec(),
        use_rslora: false,
    };
    let layout = LoraLayout::new(&TinyModel::new().parsed(), &lora).unwrap();
    let parameters = random(5, layout.parameters(), 0.1);
    Adapter::new(lora, layout, parameters)
}

fn files_with(change: impl FnOnce(&mut Value)) -> Vec<(String, Vec<u8>)> {
    let mut files = adapter().to_files("base");
    let mut config: Value = serde_json::from_slice(&files[1].1).unwrap();
    change(&mut config);
    files[1].1 = config.to_string().into_bytes();
    files
}

#[test]
fn an_adapter_survives_its_files() {
    let adapter = adapter();
    let mut files = adapter.to_files("some/base");
    files.reverse();
    files.push(("README.md".into(), b"other files do not matter".to_vec()));
    let read = Adapter::from_files(&files).unwrap();
    assert_eq!((read.layout(), read.parameters()), (adapter.layout(), adapter.parameters()));
    assert_eq!((read.config().rank, read.config().alpha), (2, 5.0));
    // Files of the same adapter are the same bytes, which a resumed job relies on.
    assert_eq!(read.weights_file(), adapter.weights_file());
}

#[test]
fn names_shapes_and_configuration_are_those_of_peft() {
    let files = adapter().to_files("some/base");
    assert_eq!(files[0].0, "adapter_model.safetensors");
    let weights = SafeTensors::deserialize(&files[0].1).unwrap();
    assert_eq!(weights.len(), 12);
    let shape = |name: &str| weights.tensor(name).unwrap().shape().to_vec();
    assert_eq!(shape("base_model.model.model.layers.1.self_attn.v_proj.lora_A.weight"), [2, 32]);
    assert_eq!(shape("base_model.model.model.layers.1.self_attn.v_proj.lora_B.weight"), [16, 2]);
    assert_eq!(shape("base_model.model.model.layers.0.mlp.down_proj.lora_A.weight"), [2, 48]);
    assert!(weights.tensors().iter().all(|(_, view)| view.dtype() == Dtype::F32));

    let config: Value = serde_json::from_slice(&files[1].1).unwrap();
    let expected = json!({"peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": "some/base",
        "r": 2, "lora_alpha": 5, "bias": "none", "fan_in_fan_out": false, "inference_mode": true,
        "target_modules": ["q_proj", "v_proj", "down_proj"], "use_dora": false, "use_rslora": false});
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&config[key], value, "{key}");
    }
}

#[test]
fn a_fractional_alpha_is_kept() {
    let mut adapter = adapter();
    adapter.lora.alpha = 2.5;
    assert_eq!(Adapter::from_files(&adapter.to_files("b")).unwrap().config().alpha, 2.5);
}

#[test]
fn features_that_change_the_computation_are_refused() {
    let features = [
        ("peft_type", json!("LOHA")),
        ("bias", json!("all")),
        ("use_dora", json!(true)),
        ("fan_in_fan_out", json!(true)),
        ("modules_to_save", json!(["lm_head"])),
        ("rank_pattern", json!({"q_proj": 4})),
        ("alpha_pattern", json!({"q_proj": 4})),
    ];
    for (key, value) in features {
        let error = Adapter::from_files(&files_with(|config| config[key] = value.clone())).unwrap_err();
        assert!(matches!(error, AdapterError::Unsupported(_)), "{key}: {error}");
    }
    // What does not change it, and keys that later versions of PEFT may add, are taken.
    Adapter::from_files(&files_with(|config| config["lora_dropout"] = json!(0.1))).unwrap();
    Adapter::from_files(&files_with(|config| config["added_later"] = json!(true))).unwrap();
}

#[test]
fn broken_files_are_refused() {
    let files = adapter().to_files("base");
    for index in 0..2 {
        let mut missing = files.clone();
        let (name, _) = missing.remove(index);
        let error = Adapter::from_files(&missing).unwrap_err();
        assert!(matches!(error, AdapterError::MissingFile(file) if file == name), "{error}");
        let mut truncated = files.clone();
        truncated[index].1.pop();
        assert!(Adapter::from_files(&truncated).is_err());
    }
    for (key, value) in [("r", json!(0)), ("lora_alpha", json!(-1.0)), ("r", json!("two"))] {
        let error = Adapter::from_files(&files_with(|config| config[key] = value.clone())).unwrap_err();
        assert!(matches!(error, AdapterError::Config(_)), "{key}: {error}");
    }
    let error = Adapter::from_files(&files_with(|config| config["r"] = json!(3))).unwrap_err();
    assert!(matches!(error, AdapterError::Weights(_)), "{error}");
}

#[test]
fn weights_that_are_not_pairs_of_a_block_are_refused() {
    let with = |name: &str, values: [f32; 4]| {
        let bytes = encode(&values, Dtype::F32);
        let view = TensorView::new(Dtype::F32, vec![2, 2], &bytes).unwrap();
        let mut files = adapter().to_files("base");
        files[0].1 = safetensors::serialize([(name, view)], None).unwrap();
        Adapter::from_files(&files).unwrap_err().to_string()
    };
    let a = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight";
    assert!(with(a, [0.0; 4]).contains("lacks"), "B is missing");
    assert!(with(a, [f32::NAN; 4]).contains("finite"));
    for name in [
        "base_model.model.lm_head.lora_A.weight",
        "base_model.model.model.layers.0.mlp.q_proj.lora_A.weight",
        "base_model.model.model.layers.x.self_attn.q_proj.lora_A.weight",
        "model.layers.0.self_attn.q_proj.lora_A.weight",
    ] {
        assert!(with(name, [0.0; 4]).contains("not a LoRA matrix"), "{name}");
    }
}

#[test]
fn an_adapter_for_another_model_is_refused() {
    let adapter = adapter();
    adapter.tensors(&TinyModel::new().load()).unwrap();
    for changes in [json!({"num_hidden_layers": 1}), json!({"intermediate_size": 64}), json!({"head_dim": 6})]
    {
        let other = TinyModel::with(&changes).load();
        assert!(matches!(adapter.tensors(&other), Err(AdapterError::OtherModel { .. })), "{changes}");
    }
}

#[test]
fn maps_stored_transposed_and_rank_stabilised_scales_are_told_to_peft() {
    let config = |name: &str, use_rslora: bool, modules: &[&str]| -> Value {
        let golden = goldens().into_iter().find(|golden| golden.name == name).unwrap();
        let target_modules = modules.iter().map(|&name| name.into()).collect();
        let lora = LoraConfig { rank: 2, alpha: 5.0, target_modules, use_rslora };
        let layout = LoraLayout::new(&golden.tiny().parsed(), &lora).unwrap();
        let parameters = vec![0.5; layout.parameters()];
        let files = Adapter::new(lora, layout, parameters).to_files("base");
        assert_eq!(Adapter::from_files(&files).unwrap().config().use_rslora, use_rslora);
        serde_json::from_slice(&files[1].1).unwrap()
    };
    let gpt2 = config("gpt2", false, &["c_attn", "attn.c_proj"]);
    assert_eq!((&gpt2["fan_in_fan_out"], &gpt2["use_rslora"]), (&json!(true), &json!(false)));
    assert_eq!(gpt2["target_modules"], json!(["c_attn", "attn.c_proj"]), "mlp.c_proj has no adapter");
    let both = config("gpt2", true, &["c_proj"]);
    assert_eq!((&both["target_modules"], &both["use_rslora"]), (&json!(["c_proj"]), &json!(true)));
    let phi3 = config("phi3", false, &[]);
    assert_eq!(
        (&phi3["fan_in_fan_out"], &phi3["target_modules"]),
        (&json!(false), &json!(["qkv_proj", "o_proj"]))
    );
}

/// Names that several families have are read without the model, and fit whichever it is.
#[test]
fn an_adapter_of_shared_names_fits_every_family_that_has_them() {
    let golden = goldens().into_iter().find(|golden| golden.name == "phi3").unwrap();
    let model = golden.tiny().load();
    let lora = LoraConfig { target_modules: vec!["o_proj".into(), "down_proj".into()], ..Default::default() };
    let layout = LoraLayout::new(model.config(), &lora).unwrap();
    let parameters = random(5, layout.parameters(), 0.1);
    let read = Adapter::from_files(&Adapter::new(lora, layout.clone(), parameters).to_files("base")).unwrap();
    assert_ne!(read.layout(), &layout, "the file does not name the family");
    assert_eq!(read.layout_on(model.config()).unwrap(), layout);
}

#[test]
fn matrices_of_different_families_are_refused() {
    let bytes = vec![0; 16];
    let names = ["self_attn.qkv_proj", "self_attn.q_proj"];
    let names = names.map(|path| format!("base_model.model.model.layers.0.{path}.lora_A.weight"));
    let view = || TensorView::new(Dtype::F32, vec![2, 2], &bytes).unwrap();
    let mut files = adapter().to_files("base");
    files[0].1 = safetensors::serialize(names.map(|name| (name, view())), None).unwrap();
    let error = Adapter::from_files(&files).unwrap_err().to_string();
    assert!(error.contains("different model families"), "{error}");
}

#[test]
fn two_spellings_of_one_layer_are_not_one_matrix() {
    let files = adapter().to_files("base");
    let read = |layers: &[&str]| {
        let name = |layer: &str, part| {
            format!("base_model.model.model.layers.{layer}.mlp.up_proj.lora_{part}.weight")
        };
        let names: Vec<String> =
            layers.iter().flat_map(|layer| ["A", "B"].map(|part| name(layer, part))).collect();
        let views = names
            .iter()
            .map(|name| (name.as_str(), TensorView::new(Dtype::F32, vec![2, 2], &[0; 16]).unwrap()));
        let weights = safetensors::serialize(views, None).unwrap();
        Adapter::from_files(&[files[1].clone(), (ADAPTER_WEIGHTS_FILE.to_owned(), weights)])
    };
    assert!(read(&["1"]).is_ok());
    for other in ["01", "+1"] {
        let error = read(&["1", other]).unwrap_err().to_string();
        assert!(error.contains(&format!("layers.{other}.")), "{error}");
    }
}

#[test]
fn an_error_repeats_a_files_names_in_one_short_line() {
    let name = "two\nlines".repeat(200);
    let view = TensorView::new(Dtype::F32, vec![1, 1], &[0; 4]).unwrap();
    let weights = safetensors::serialize([(name.as_str(), view)], None).unwrap();
    let files = [adapter().to_files("base").remove(1), (ADAPTER_WEIGHTS_FILE.to_owned(), weights)];
    let error = Adapter::from_files(&files).unwrap_err().to_string();
    assert!(!error.contains(char::is_control) && error.len() < 1000, "{error:?}");
    assert!(error.contains("supported: attn.c_attn"), "what would do is still said: {error}");
}
