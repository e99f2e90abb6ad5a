//! A stranger's chat template with its `tokenizer_config.json`, on chats of which nothing may be shown.

use std::sync::LazyLock;

use finetune::{ChatFormat, ModelFiles};
use perturb::Tokenizer;
use perturb::text::{Message, Role};

use crate::check::shown;
use crate::fixtures::{byte_level, model_files};
use crate::input::parts;
use crate::memory::{bounded, within};

/// Bytes that rendering may take, whatever the template: its work is bounded, and with it what it makes. Twice that, for
/// a text that grows has its old place beside the new one.
const RENDERING: usize = 640 << 20;

/// What no error may repeat.
const PRIVATE: &str = "Zoë owes 4711 €";

static TOKENIZER: LazyLock<Tokenizer> = LazyLock::new(|| {
    Tokenizer::from_bytes(byte_level().to_string().as_bytes()).expect("the tokenizer is byte-level")
});

/// The input is the template and, behind a separator, the configuration, which may be absent.
pub fn run(input: &[u8]) {
    LazyLock::force(&TOKENIZER);
    let [template, config] = parts(input);
    let files = ModelFiles {
        tokenizer_config_json: (!config.is_empty()).then(|| config.to_vec()),
        chat_template_jinja: (!template.is_empty()).then(|| template.to_vec()),
        ..model_files()
    };
    let Some(Some(format)) = bounded(input.len(), || shown(ChatFormat::of(&files, None))) else { return };
    let said = |role, content: &str| Message { role, content: content.to_owned() };
    let chat = [said(Role::System, "be brief"), said(Role::User, PRIVATE), said(Role::Assistant, "no")];
    for messages in [&chat[..], &chat[1..], &chat[1..2], &[]] {
        let written = within(RENDERING, || format.sequence(messages, &TOKENIZER, 7));
        if let Err(error) = &written {
            let leaks = error.to_string().contains(PRIVATE);
            assert!(!leaks || contains(input, PRIVATE), "an error repeats a message: {error}");
        }
        shown(written);
    }
}

fn contains(input: &[u8], text: &str) -> bool {
    input.windows(text.len()).any(|window| window == text.as_bytes())
}
