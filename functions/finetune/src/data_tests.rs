use super::*;
use crate::fixtures::{TEXT, model_file, request};
use dp::{Epsilon, Purpose, SecretSeed};
use perturb::{Mechanism, Perturber, PrivacyUnit};
use protocol::hyperparameters::DpLoraRequest;
use std::ops::ControlFlow;

fn tokenizer() -> Tokenizer {
    Tokenizer::from_bytes(&model_file("tokenizer.json")).unwrap()
}

fn config() -> ModelConfig {
    ModelConfig::from_json(&model_file("config.json")).unwrap()
}

fn prepared(bytes: &[u8], request: DpLoraRequest) -> Result<Prepared, SliceError> {
    prepared_with(bytes, request, &Ok(None))
}

fn prepared_with(
    bytes: &[u8],
    request: DpLoraRequest,
    chat: &Result<Option<ChatFormat>, ChatError>,
) -> Result<Prepared, SliceError> {
    let tokenizers = Tokenizers { plain: &tokenizer(), chat };
    prepare(bytes, &request.validate().unwrap(), &config(), tokenizers, None)
}

fn refusal(bytes: &[u8], request: DpLoraRequest) -> String {
    match prepared(bytes, request) {
        Err(SliceError::Permanent(error)) => {
            assert_eq!(error.code.as_deref(), Some("invalid_training_file"));
            error.message
        }
        Err(other) => panic!("{other:?}"),
        Ok(prepared) => panic!("{} records were taken", prepared.records.len()),
    }
}

fn perturbed(tokenizer: Tokenizer, unit: PrivacyUnit) -> Vec<u8> {
    let mechanism = Mechanism::KRr { epsilon: Epsilon::try_from(6.0).unwrap() };
    let perturber = Perturber::new(tokenizer, None, mechanism).unwrap();
    let mut rng = SecretSeed::from_bytes([3; 32]).stream(Purpose::Perturbation, 0);
    let text = TEXT.as_bytes().to_vec();
    let perturbed = perturber.perturb_text(text, unit, None, &mut rng, |_| ControlFlow::Continue(()));
    perturbed.unwrap().to_bytes().unwrap()
}

#[test]
fn records_follow_the_unit_that_was_asked_for() {
    let lines = prepared(TEXT.as_bytes(), request()).unwrap();
    assert_eq!((lines.records.len(), lines.records.unit()), (4, PrivacyUnit::Line));
    let unit = Some(PrivacyUnit::Paragraph);
    let paragraphs = prepared(TEXT.as_bytes(), DpLoraRequest { privacy_unit: unit, ..request() }).unwrap();
    assert_eq!((paragraphs.records.len(), paragraphs.records.unit()), (2, PrivacyUnit::Paragraph));
    let json = b"{\"text\": \"The cat sat.\"}\n{\"prompt\": \"Who?\", \"completion\": \"The dog.\"}\n";
    let unit = Some(PrivacyUnit::JsonRecord);
    let records = prepared(json, DpLoraRequest { privacy_unit: unit, ..request() }).unwrap();
    assert_eq!(records.records.len(), 2);
    assert!(lines.predicted_tokens > 0 && lines.manifest.is_none());
}

const CHAT: &[u8] =
    br#"{"messages": [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "The dog."}]}"#;

fn json() -> DpLoraRequest {
    DpLoraRequest { privacy_unit: Some(PrivacyUnit::JsonRecord), ..request() }
}

#[test]
fn a_chat_is_learned_where_the_assistant_speaks() {
    let template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}\
         {% if add_generation_prompt %}assistant: {% endif %}";
    let chat_template_jinja = Some(template.as_bytes().to_vec());
    let files = finetune::ModelFiles {
        config_json: Vec::new(),
        tokenizer_json: model_file("tokenizer.json"),
        tokenizer_config_json: None,
        chat_template_jinja,
        weights: Vec::new(),
    };
    let prepared = prepared_with(CHAT, json(), &ChatFormat::of(&files, None)).unwrap();
    let learned = tokenizer().encode("The dog.\n").unwrap().len() as u64;
    assert_eq!(prepared.records.len(), 1);
    assert!(prepared.predicted_tokens.abs_diff(learned) <= 1, "{} {learned}", prepared.predicted_tokens);
}

#[test]
fn a_template_that_cannot_be_read_is_in_the_way_of_chats_alone() {
    let broken = Err(ChatError::Template("it ends too soon".into()));
    assert!(prepared_with(TEXT.as_bytes(), request(), &broken).is_ok());
    let error = prepared_with(CHAT, json(), &broken).unwrap_err();
    assert!(matches!(error, SliceError::Permanent(error) if error.message.contains("too soon")));
}

#[test]
fn a_perturbed_file_says_itself_what_its_records_are() {
    let bytes = perturbed(tokenizer(), PrivacyUnit::Paragraph);
    let prepared = prepared(&bytes, request()).unwrap();
    assert_eq!((prepared.records.len(), prepared.records.unit()), (2, PrivacyUnit::Paragraph));
    assert_eq!(prepared.manifest.unwrap().epsilon_per_token.get(), 6.0);
}

#[test]
fn a_file_perturbed_for_another_tokenizer_is_refused() {
    // The same vocabulary with one more blank in the file: another tokenizer, as far as anybody can tell.
    let mut other = model_file("tokenizer.json");
    other.push(b' ');
    let bytes = perturbed(Tokenizer::from_bytes(&other).unwrap(), PrivacyUnit::Line);
    let message = refusal(&bytes, request());
    assert!(message.contains("another model's tokenizer"), "{message}");
}

#[test]
fn each_bad_file_gets_one_sentence_that_says_what_to_do() {
    let mut cut = perturbed(tokenizer(), PrivacyUnit::Line);
    cut.truncate(cut.len() - 1);
    let giant = "word ".repeat(300_000);
    let json = Some(PrivacyUnit::JsonRecord);
    let table: [(&str, &[u8], DpLoraRequest, &str); 9] = [
        ("empty", b"", request(), "no text"),
        ("blank", b" \n\t\n", request(), "no text"),
        ("not UTF-8", b"caf\xe9\n", request(), "UTF-8"),
        ("binary", b"ab\0cd", request(), "binary"),
        ("gigantic line", giant.as_bytes(), request(), "split it"),
        ("no JSON", b"hello\n", DpLoraRequest { privacy_unit: json, ..request() }, "not valid JSON"),
        ("odd JSON", b"{\"txt\": 1}\n", DpLoraRequest { privacy_unit: json, ..request() }, "Line 1"),
        ("chat", CHAT, self::json(), "no chat template"),
        ("cut tokens", &cut, request(), "upload it again"),
    ];
    for (name, bytes, request, expected) in table {
        let message = refusal(bytes, request);
        assert!(message.contains(expected), "{name}: {message}");
        assert!(
            message.ends_with('.') && !message.contains("caf") && !message.contains("hello"),
            "{name}: {message}"
        );
    }
}
