//! `model.safetensors` of a tiny Llama, as the trainer and as the page's attacker read it.

use finetune::{BaseModel, ModelFiles};
use perturb::language_model::LanguageModel;

use crate::check::shown;
use crate::fixtures::model_config;
use crate::input::{parts, safetensors};
use crate::memory::bounded;

/// Tokens of the model: few, so that its weights are small.
pub const VOCABULARY: usize = 6;

/// The input is the file's header and, behind a separator, its data; the header's length is put in front.
pub fn run(input: &[u8]) {
    let [header, data] = parts(input);
    let weights = safetensors(header, data);
    let config_json = model_config(VOCABULARY).to_string().into_bytes();
    let page = bounded(weights.len(), || shown(LanguageModel::load(&config_json, &weights)));
    let files = ModelFiles {
        config_json,
        tokenizer_json: Vec::new(),
        tokenizer_config_json: None,
        chat_template_jinja: None,
        weights: vec![("model.safetensors".to_owned(), weights.into())],
    };
    let trainer = bounded(input.len(), || shown(BaseModel::load(&files)));
    if let Some(model) = &page {
        assert_eq!(model.vocab_size(), VOCABULARY);
        assert!(trainer.is_some(), "the page read what the trainer refuses");
    }
    let Some(model) = trainer else { return };
    let (values, width) = model.input_embeddings().expect("the file that was checked is read");
    assert_eq!(values.len(), VOCABULARY * width);
    assert!(values.iter().all(|value| value.is_finite()));
}
