//! What the targets hold fixed: a vocabulary, tokenizers, a tiny model, a job and a certificate, all made by code.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use dp::{Budget, Clipping, Delta, DpSgdPlan, Epsilon, PrivacyUnit, SecretSeed};
use finetune::ModelFiles;
use perturb::{Domain, Sha256Digest, Vocabulary};
use protocol::certificate::{CERTIFICATE_VERSION, Certificate, Hashes, LocalGuarantee, TrainingGuarantee};
use protocol::hyperparameters::{DpLora, DpLoraRequest};
use protocol::id::{FileId, JobId, ModelId, TenantId};
use protocol::signature::CertificateKey;
use protocol::state::{JobSpec, JobState, Protection};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Map, Value, json};

/// Merges of the tokenizers.
const MERGES: [(&str, &str); 3] = [("h", "e"), ("l", "l"), ("he", "ll")];

/// Special tokens of the byte-level tokenizer, ids 0 to 2.
pub const SPECIAL: [&str; 3] = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];

/// What most chat models write, and what marks every turn by two control tokens.
pub const CHAT_ML: &str = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}\
                           {% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

/// A vocabulary of six words and the unknown one.
pub fn vocabulary() -> Vocabulary {
    let words = ["the", "of", "nine", "hello", "world", "grüße"];
    let counted = words.iter().enumerate().map(|(rank, word)| ((*word).to_owned(), 1000 / (rank as u64 + 1)));
    Vocabulary::new(counted, 77).expect("six plain words make a vocabulary")
}

/// A domain with gaps, as one of a tokenizer with special tokens has.
pub fn domain() -> Domain {
    Domain::new(vec![0, 2, 3, 5, 8], Sha256Digest::of(b"a tokenizer")).expect("small ids make a domain")
}

/// A byte-level BPE tokenizer.json: [`SPECIAL`], the 256 bytes, a few merges.
pub fn byte_level() -> Value {
    let mut vocabulary = Map::new();
    for (id, token) in SPECIAL.iter().enumerate() {
        vocabulary.insert((*token).to_owned(), json!(id));
    }
    for byte in 0..=255 {
        vocabulary.insert(byte_symbol(byte).to_string(), json!(u32::from(byte) + 3));
    }
    for (index, (left, right)) in MERGES.iter().enumerate() {
        vocabulary.insert(format!("{left}{right}"), json!(259 + index));
    }
    let byte_level =
        json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    let added: Vec<Value> = SPECIAL.iter().enumerate().map(|(id, token)| added_token(id, token)).collect();
    json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "post_processor": null,
        "added_tokens": added, "pre_tokenizer": byte_level, "decoder": byte_level,
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "vocab": vocabulary,
            "merges": MERGES.map(|(left, right)| [left, right])}
    })
}

/// A tokenizer.json with byte fallback: `<unk>`, the 256 bytes, a few letters.
pub fn byte_fallback() -> Value {
    let mut vocabulary = Map::from_iter([("<unk>".to_owned(), json!(0))]);
    for byte in 0..=255_u8 {
        vocabulary.insert(format!("<0x{byte:02X}>"), json!(u32::from(byte) + 1));
    }
    for (index, token) in ["▁", "h", "e", "l", "he", "ll", "hell"].into_iter().enumerate() {
        vocabulary.insert(token.to_owned(), json!(257 + index));
    }
    json!({
        "version": "1.0", "truncation": null, "padding": null, "post_processor": null,
        "added_tokens": [added_token(0, "<unk>")],
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
        "pre_tokenizer": null, "decoder": null,
        "model": {"type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "vocab": vocabulary,
            "merges": MERGES.map(|(left, right)| [left, right])}
    })
}

fn added_token(id: usize, content: &str) -> Value {
    json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": false, "special": true})
}

/// The character that byte-level BPE writes for a byte: itself where printable, else one from U+0100 on.
fn byte_symbol(byte: u8) -> char {
    let printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    if printable(byte) {
        return char::from(byte);
    }
    let rank = (0..byte).filter(|&other| !printable(other)).count() as u32;
    char::from_u32(0x100 + rank).expect("the first 512 code points are characters")
}

/// A Llama's config.json: width 4, one block, two heads over one, `vocabulary` tokens.
pub fn model_config(vocabulary: usize) -> Value {
    json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
        "vocab_size": vocabulary, "hidden_size": 4, "intermediate_size": 4, "num_hidden_layers": 1,
        "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 16,
        "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": true, "bos_token_id": 0,
        "eos_token_id": 0
    })
}

/// The weights of [`model_config`] as safetensors.
pub fn weights(vocabulary: usize) -> Vec<u8> {
    let shapes: [(&str, &[usize]); 11] = [
        ("model.embed_tokens.weight", &[vocabulary, 4]),
        ("model.layers.0.input_layernorm.weight", &[4]),
        ("model.layers.0.mlp.down_proj.weight", &[4, 4]),
        ("model.layers.0.mlp.gate_proj.weight", &[4, 4]),
        ("model.layers.0.mlp.up_proj.weight", &[4, 4]),
        ("model.layers.0.post_attention_layernorm.weight", &[4]),
        ("model.layers.0.self_attn.k_proj.weight", &[2, 4]),
        ("model.layers.0.self_attn.o_proj.weight", &[4, 4]),
        ("model.layers.0.self_attn.q_proj.weight", &[4, 4]),
        ("model.layers.0.self_attn.v_proj.weight", &[2, 4]),
        ("model.norm.weight", &[4]),
    ];
    let parts = shapes.map(|(name, shape)| {
        let values = (0..shape.iter().product::<usize>()).map(|index| 0.25 - 0.125 * (index % 5) as f32);
        (name, shape, values.flat_map(f32::to_le_bytes).collect::<Vec<u8>>())
    });
    let views = parts.iter().map(|(name, shape, bytes)| {
        let view = TensorView::new(Dtype::F32, shape.to_vec(), bytes);
        (*name, view.expect("as many values as the shape says"))
    });
    safetensors::serialize(views, None).expect("a small header is written")
}

/// The tiny model's folder, its tokenizer the byte-level one.
pub fn model_files() -> ModelFiles {
    ModelFiles {
        config_json: model_config(300).to_string().into_bytes(),
        tokenizer_json: byte_level().to_string().into_bytes(),
        tokenizer_config_json: None,
        chat_template_jinja: None,
        weights: vec![("model.safetensors".to_owned(), weights(300).into())],
    }
}

fn settings() -> DpLora {
    let request = DpLoraRequest { steps: Some(10), ..DpLoraRequest::default() };
    request.validate().expect("defaults are valid")
}

fn plan() -> &'static DpSgdPlan {
    static PLAN: LazyLock<DpSgdPlan> =
        LazyLock::new(|| settings().plan(1024, PrivacyUnit::Line).expect("the defaults can be planned"));
    &PLAN
}

fn budget() -> Budget {
    Budget {
        epsilon: Epsilon::try_from(20.0).expect("20 is an epsilon"),
        delta: Delta::try_from(1e-5).expect("1e-5 is a delta"),
    }
}

/// A queued job.
pub fn job() -> JobState {
    let spec = JobSpec {
        model: ModelId::parse("demo").expect("a plain name"),
        training_file: FileId::from_entropy([1; 12]),
        suffix: None,
        dp_lora: settings(),
        metadata: BTreeMap::new(),
    };
    let protection = Protection { plan: plan().clone(), dataset: "ab".repeat(32), budget: budget() };
    let tenant = TenantId::parse("acme").expect("a plain name");
    let seed = SecretSeed::from_bytes([7; 32]);
    JobState::new(JobId::from_entropy([2; 12]), tenant, spec, protection, seed, 100)
}

/// Signs the certificates.
pub fn key() -> CertificateKey {
    CertificateKey::from_bytes([5; 32])
}

/// A certificate with a local part, unsigned.
pub fn certificate() -> Certificate {
    let local = LocalGuarantee {
        notion: "pure-epsilon-ldp".into(),
        delta: None,
        unit: "token".into(),
        mechanism: json!({"type": "set-rr", "epsilon": 8.0, "neighbours": 16}),
        epsilon_per_token: 8.0,
        epsilon_of_longest_record: 800.0,
        max_tokens_in_a_record: 100,
        tokens: 5000,
        domain_size: 4096,
        domain_sha256: "11".into(),
        neighbour_table_sha256: None,
        embedding_sha256: None,
    };
    let hashes = Hashes {
        training_file: "00".into(),
        base_model: BTreeMap::new(),
        adapter: BTreeMap::new(),
        initial_adapter: BTreeMap::new(),
    };
    Certificate {
        version: CERTIFICATE_VERSION,
        created_at: 1_790_000_000,
        job: Some(JobId::from_entropy([1; 12])),
        base_model: "demo".into(),
        training: TrainingGuarantee::of(plan(), Clipping::Flat, "0.1.0"),
        local: Some(local),
        dataset_budget: Some(budget()),
        hyperparameters: settings(),
        hashes,
        code_version: "0.1.0".into(),
        signature: None,
    }
}
