use super::*;
use crate::checkpoint::Progress;
use crate::config::initialise;
use crate::optimizer::AdamW;

const TINY: ModelConfig =
    ModelConfig { vocab_size: 270, hidden_size: 16, heads: 4, layers: 2, ..ModelConfig::DEMO };

fn exported() -> (tempfile::TempDir, Checkpoint) {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::new(&TINY);
    let weights = initialise(&TINY, &layout, 2);
    let progress = Progress {
        tokens: 3_000_000,
        epoch_tokens: 2_000_000,
        seconds: 120.0,
        held_out_loss: 4.0,
        bits_per_byte: 1.5,
    };
    let checkpoint = Checkpoint { weights, optimizer: AdamW::new(layout.total), progress };
    let tokenizer = tokenizer::train(["a small text with a few small words"; 3].into_iter(), 270).unwrap();
    export(&TINY, &checkpoint, &tokenizer, folder.path()).unwrap();
    (folder, checkpoint)
}

#[test]
fn names_and_shapes_are_hugging_faces() {
    let (folder, _) = exported();
    let bytes = fs::read(folder.path().join("model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let shape = |name: &str| tensors.tensor(name).unwrap().shape().to_vec();
    assert_eq!(
        tensors.len(),
        2 + 9 * TINY.layers,
        "nothing but the embedding, the final norm and the layers"
    );
    assert_eq!(shape("model.embed_tokens.weight"), [270, 16]);
    assert_eq!(shape("model.layers.1.self_attn.k_proj.weight"), [8, 16]);
    assert_eq!(shape("model.layers.0.mlp.gate_proj.weight"), [688, 16]);
    assert_eq!(shape("model.layers.0.mlp.down_proj.weight"), [16, 688]);
    assert!(tensors.names().iter().all(|name| !name.contains("lm_head")), "the head is tied");
}

#[test]
fn stacked_matrices_are_split_in_order() {
    let (folder, checkpoint) = exported();
    let bytes = fs::read(folder.path().join("model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let stacked: Vec<u8> = ["q_proj", "k_proj", "v_proj"]
        .iter()
        .flat_map(|p| {
            tensors.tensor(&format!("model.layers.1.self_attn.{p}.weight")).unwrap().data().to_vec()
        })
        .collect();
    let range = Layout::new(&TINY).layers[1].qkv.clone();
    let expected: Vec<u8> =
        checkpoint.weights[range].iter().flat_map(|w| bf16::from_f32(*w).to_le_bytes()).collect();
    assert_eq!(stacked, expected);
}

#[test]
fn loading_gives_the_rounded_weights() {
    let (folder, checkpoint) = exported();
    let rounded: Vec<f32> = checkpoint.weights.iter().map(|w| bf16::from_f32(*w).to_f32()).collect();
    assert_eq!(load(&TINY, folder.path()).unwrap(), rounded);
    assert!(load(&ModelConfig { layers: 3, ..TINY }, folder.path()).is_err());
    assert!(load(&ModelConfig { vocab_size: 271, ..TINY }, folder.path()).is_err());
}

#[test]
fn configuration_says_what_the_model_is() {
    let (folder, _) = exported();
    let config: Value =
        serde_json::from_slice(&fs::read(folder.path().join("config.json")).unwrap()).unwrap();
    assert_eq!(config["architectures"][0], "LlamaForCausalLM");
    assert_eq!(config["num_key_value_heads"], 2);
    assert_eq!(config["rms_norm_eps"], 1e-5, "not the f32's digits");
    assert_eq!(config["tie_word_embeddings"], true);
    assert_eq!(config["eos_token_id"], 0);
}

#[test]
fn the_card_has_no_placeholder_left() {
    let (folder, _) = exported();
    let card = fs::read_to_string(folder.path().join("README.md")).unwrap();
    assert!(!card.contains('{') && !card.contains('}'), "{card}");
    assert!(card.contains("3.00 M tokens (1.5 epochs)") && card.contains("perplexity 54.6"), "{card}");
}
