use serde_json::{Value, json};

use super::*;
use crate::model::architecture::{Activation, AttentionKind, NormKind, Rope};

fn parse(changes: Value) -> Result<ModelConfig, ModelError> {
    let mut config = json!({
        "architectures": ["LlamaForCausalLM"], "vocab_size": 100, "hidden_size": 32, "intermediate_size": 48,
        "num_hidden_layers": 2, "num_attention_heads": 4
    });
    for (key, value) in changes.as_object().unwrap() {
        config[key] = value.clone();
    }
    ModelConfig::from_json(config.to_string().as_bytes())
}

fn plain_rope(channels: i32, theta: f64) -> Rope {
    let frequency = |i: i32| theta.powf(-f64::from(2 * i) / f64::from(channels));
    Rope { inverse_frequencies: (0..channels / 2).map(frequency).collect(), scale: 1.0 }
}

/// The configuration of another architecture over the same sizes.
fn parse_as(architecture: &str, changes: Value) -> Result<ModelConfig, ModelError> {
    let mut all = json!({"architectures": [architecture], "num_key_value_heads": 2});
    for (key, value) in changes.as_object().unwrap() {
        all[key] = value.clone();
    }
    parse(all)
}

fn windows(config: &ModelConfig) -> Vec<Option<usize>> {
    config.attention.iter().map(|kind| kind.window).collect()
}

#[test]
fn absent_keys_take_the_defaults_of_transformers() {
    let config = parse(json!({})).unwrap();
    assert_eq!((config.num_key_value_heads, config.head_dim), (4, 8));
    assert_eq!((config.max_position_embeddings, config.ropes[0].clone()), (2048, plain_rope(8, 10_000.0)));
    assert!(!config.tie_word_embeddings && config.modules.iter().all(|module| !module.bias));
    assert_eq!((config.norm.epsilon, config.activation), (1e-6, Activation::Silu));
    assert_eq!((config.bos_token_id, config.eos_token_ids), (None, Vec::<u32>::new()));
}

#[test]
fn special_tokens_may_be_one_or_many() {
    assert_eq!(parse(json!({"eos_token_id": 7})).unwrap().eos_token_ids, [7]);
    let config = parse(json!({"bos_token_id": 1, "eos_token_id": [7, 9]})).unwrap();
    assert_eq!((config.bos_token_id, config.eos_token_ids), (Some(1), vec![7, 9]));
    assert_eq!(parse(json!({"eos_token_id": null})).unwrap().eos_token_ids, Vec::<u32>::new());
}

#[test]
fn rotary_parameters_may_be_nested() {
    let config = parse(json!({"rope_parameters": {"rope_type": "default", "rope_theta": 5e5}})).unwrap();
    assert_eq!(config.ropes, [plain_rope(8, 5e5)]);
    let scaling = json!({"type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192});
    let stretched = parse(json!({"rope_scaling": scaling})).unwrap().ropes;
    assert_ne!(stretched, [plain_rope(8, 1e4)]);
    let mut nested = scaling.clone();
    nested["rope_theta"] = json!(1e4);
    assert_eq!(parse(json!({"rope_parameters": nested})).unwrap().ropes, stretched);
}

#[test]
fn other_architectures_are_told_what_is_supported() {
    for architectures in [json!(["BertModel"]), json!(["A", "B"]), json!([]), json!(null)] {
        let error = parse(json!({"architectures": architectures})).unwrap_err();
        assert!(matches!(error, ModelError::Unsupported { .. }));
        for family in ["LlamaForCausalLM", "GPT2LMHeadModel", "Phi3ForCausalLM"] {
            assert!(error.to_string().contains(family), "{error}");
        }
    }
    // Another family's file may have none of Llama's keys: the architecture is still what is reported.
    let error = ModelConfig::from_json(br#"{"architectures": ["T5Model"], "d_model": 8}"#).unwrap_err();
    assert!(error.to_string().contains("T5Model"), "{error}");
}

#[test]
fn features_that_are_not_implemented_are_refused() {
    let features = [
        json!({"hidden_act": "relu"}),
        json!({"quantization_config": {"bits": 4}}),
        json!({"rope_scaling": {"type": "yarn", "factor": 2.0}}),
        json!({"rope_scaling": {"factor": 2.0}}),
    ];
    for feature in features {
        let error = parse(feature.clone()).unwrap_err();
        assert!(matches!(error, ModelError::Unsupported { .. }), "{feature}: {error}");
    }
}

#[test]
fn values_that_contradict_each_other_are_refused() {
    let broken = [
        json!({"num_key_value_heads": 3}),
        json!({"num_attention_heads": 0}),
        json!({"head_dim": 7}),
        json!({"vocab_size": 0}),
        json!({"rms_norm_eps": -1.0}),
        json!({"rope_theta": 0.0}),
        json!({"eos_token_id": 100}),
        json!({"bos_token_id": -1}),
        json!({"partial_rotary_factor": 1.5}),
        json!({"partial_rotary_factor": 0.4}),
        json!({"rope_scaling": {"type": "linear", "factor": 0.0}}),
        json!({"rope_scaling": {"type": "linear"}}),
        json!({"hidden_size": "wide"}),
        json!({"num_hidden_layers": 1_000_000_000_000u64}),
        json!({"head_dim": 1_000_000_000_000u64}),
        json!({"hidden_size": null}),
    ];
    for changes in broken {
        let error = parse(changes.clone()).unwrap_err();
        assert!(matches!(error, ModelError::Config { .. }), "{changes}: {error}");
    }
    assert!(matches!(ModelConfig::from_json(b"{"), Err(ModelError::Config { .. })));
    assert!(matches!(ModelConfig::from_json(b"[]"), Err(ModelError::Unsupported { .. })));
}

#[test]
fn biases_are_those_that_the_configuration_names() {
    let biased = |changes: Value| -> Vec<&str> {
        let config = parse(changes).unwrap();
        config.modules.iter().filter(|module| module.bias).map(|module| module.name).collect()
    };
    assert_eq!(biased(json!({"attention_bias": true})), ["q_proj", "k_proj", "v_proj", "o_proj"]);
    assert_eq!(biased(json!({"mlp_bias": true})), ["gate_proj", "up_proj", "down_proj"]);
    assert_eq!(biased(json!({"architectures": ["Qwen2ForCausalLM"]})), ["q_proj", "k_proj", "v_proj"]);
}

#[test]
fn a_window_is_that_of_the_family_unless_it_is_null() {
    let mistral = |changes| windows(&parse_as("MistralForCausalLM", changes).unwrap());
    assert_eq!(mistral(json!({"sliding_window": 7})), [Some(7); 2]);
    assert_eq!(mistral(json!({"sliding_window": null})), [None; 2]);
    assert_eq!(mistral(json!({})), [Some(4096); 2], "what transformers assumes");

    let qwen = |changes| windows(&parse_as("Qwen2ForCausalLM", changes).unwrap());
    assert_eq!(qwen(json!({"sliding_window": 7})), [None; 2], "use_sliding_window is false");
    let used = json!({"use_sliding_window": true, "sliding_window": 7, "max_window_layers": 1});
    assert_eq!(qwen(used), [None, Some(7)]);

    let gemma = |changes| windows(&parse_as("Gemma2ForCausalLM", changes).unwrap());
    assert_eq!(gemma(json!({"sliding_window": 7})), [Some(7), None]);
    let types = json!({"sliding_window": 7, "layer_types": ["full_attention", "sliding_attention"]});
    assert_eq!(gemma(types), [None, Some(7)]);

    for types in [json!(["full_attention"]), json!(["full_attention", "linear_attention"])] {
        assert!(parse_as("Gemma2ForCausalLM", json!({"layer_types": types})).is_err());
    }
    assert!(parse_as("MistralForCausalLM", json!({"sliding_window": 0})).is_err());
}

#[test]
fn gemma_scales_its_embeddings_and_queries_by_its_own_numbers() {
    let config = parse_as("Gemma2ForCausalLM", json!({"query_pre_attn_scalar": 16})).unwrap();
    assert_eq!((config.attention_scale, config.embedding_scale), (0.25, 32f64.sqrt()));
    assert_eq!((config.attention_softcap, config.logit_softcap), (Some(50.0), Some(30.0)));
    assert_eq!((config.norm.kind, config.head_dim), (NormKind::RmsPlusOne, 256));
    assert!(config.tie_word_embeddings);
    let uncapped = json!({"attn_logit_softcapping": null, "final_logit_softcapping": null});
    let config = parse_as("Gemma2ForCausalLM", uncapped).unwrap();
    assert_eq!((config.attention_softcap, config.logit_softcap), (None, None));
    assert!(parse_as("Gemma2ForCausalLM", json!({"final_logit_softcapping": -1.0})).is_err());
}

#[test]
fn gemma3_turns_local_and_global_blocks_by_their_own_bases() {
    let both = [
        json!({"head_dim": 8, "num_hidden_layers": 7, "rope_theta": 5e5, "rope_local_base_freq": 2e4}),
        json!({"head_dim": 8, "num_hidden_layers": 7, "rope_parameters": {
            "full_attention": {"rope_type": "default", "rope_theta": 5e5},
            "sliding_attention": {"rope_type": "default", "rope_theta": 2e4}}}),
    ];
    for changes in both {
        let config = parse_as("Gemma3ForCausalLM", changes).unwrap();
        assert_eq!(config.ropes, [plain_rope(8, 5e5), plain_rope(8, 2e4)]);
        let global = AttentionKind { rope: Some(0), window: None };
        let local = AttentionKind { rope: Some(1), window: Some(4096) };
        assert_eq!(config.attention, [local, local, local, local, local, global, local]);
    }
    for changes in [json!({"use_bidirectional_attention": true}), json!({"attn_logit_softcapping": 50.0})] {
        let error = parse_as("Gemma3ForCausalLM", changes).unwrap_err();
        assert!(matches!(error, ModelError::Unsupported { .. }), "{error}");
    }
}

/// The rule's values were computed by hand from its definition: attention √(1 + ln 32 / ln 4096).
#[test]
fn longrope_takes_the_short_factors_and_the_original_length() {
    let rule = json!({"type": "longrope", "short_factor": [1.0, 2.0, 4.0, 8.0], "long_factor": [9, 9, 9, 9]});
    let config = json!({"rope_scaling": rule, "original_max_position_embeddings": 4096,
        "max_position_embeddings": 131_072});
    let found = parse_as("Phi3ForCausalLM", config.clone()).unwrap();
    let plain = plain_rope(8, 1e4).inverse_frequencies;
    let expected: Vec<f64> = plain.iter().zip([1.0, 2.0, 4.0, 8.0]).map(|(f, s)| f / s).collect();
    assert_eq!(found.ropes[0].inverse_frequencies, expected);
    assert!((found.ropes[0].scale - 1.190_238).abs() < 1e-6, "{}", found.ropes[0].scale);
    assert_eq!(found.max_position_embeddings, 4096);

    let mut wrong = config;
    wrong["rope_scaling"]["short_factor"] = json!([1.0]);
    assert!(parse_as("Phi3ForCausalLM", wrong).is_err());
}

#[test]
fn gpt2_has_its_own_keys() {
    let gpt2 = |changes: Value| {
        let mut all = json!({"architectures": ["GPT2LMHeadModel"], "vocab_size": 50, "n_embd": 12, "n_head": 3,
            "n_layer": 2, "n_positions": 16});
        for (key, value) in changes.as_object().unwrap() {
            all[key] = value.clone();
        }
        ModelConfig::from_json(all.to_string().as_bytes())
    };
    let config = gpt2(json!({})).unwrap();
    assert_eq!((config.hidden_size, config.intermediate_size, config.head_dim), (12, 48, 4));
    assert_eq!((config.norm.kind, config.norm.epsilon, config.gated), (NormKind::Layer, 1e-5, false));
    assert_eq!((config.activation, config.attention_scale), (Activation::GeluTanh, 0.5));
    assert!(config.tie_word_embeddings && config.ropes.is_empty());
    assert!(config.modules.iter().all(|module| module.bias && module.transposed));
    assert_eq!(gpt2(json!({"n_inner": 20})).unwrap().intermediate_size, 20);
    assert_eq!(gpt2(json!({"scale_attn_weights": false})).unwrap().attention_scale, 1.0);
    for changes in [json!({"scale_attn_by_inverse_layer_idx": true}), json!({"activation_function": "relu"})]
    {
        assert!(matches!(gpt2(changes), Err(ModelError::Unsupported { .. })));
    }
    for changes in [json!({"n_head": 5}), json!({"n_positions": null}), json!({"layer_norm_epsilon": 0.0})] {
        assert!(matches!(gpt2(changes), Err(ModelError::Config { .. })));
    }
}
