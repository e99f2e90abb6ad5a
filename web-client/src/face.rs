//! What JavaScript sees. Answers with more than a number travel as JSON text, which the worker parses.

use dp::SecretSeed;
use perturb::text::InputError;
use serde::Serialize;
use wasm_bindgen::prelude::*;

use crate::error::WorkbenchError;
use crate::workbench::{Workbench, check_size};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = console)]
    fn error(message: &str);
}

/// One model and one text: see [`Workbench`] for the order of calls.
#[wasm_bindgen]
pub struct Session(Workbench);

#[wasm_bindgen]
impl Session {
    /// Reads the model's files; an empty table means that it has none.
    #[wasm_bindgen(constructor)]
    pub fn new(tokenizer_json: &[u8], neighbours: &[u8], model: String) -> Result<Session, JsError> {
        std::panic::set_hook(Box::new(report_panic));
        Workbench::new(tokenizer_json, neighbours, model).map(Self).map_err(sentence)
    }

    /// Tokens that can be perturbed.
    #[wasm_bindgen(getter)]
    pub fn vocabulary(&self) -> usize {
        self.0.vocabulary()
    }

    /// Refuses a file by its size, before it is read.
    #[wasm_bindgen(js_name = checkSize)]
    pub fn check_size(bytes: f64) -> Result<(), JsError> {
        // Saturates: sizes beyond 4 GB are too large all the same.
        check_size(bytes as usize).map_err(|error: InputError| sentence(error.into()))
    }

    /// Takes and checks the file's content. Answers as `countChunk`.
    pub fn check(&mut self, bytes: Vec<u8>, unit: &str) -> Result<String, JsError> {
        answer(self.0.check(bytes, unit))
    }

    /// `{"done", "records", "tokens", "longest"}`; finished when `done` is `records`.
    #[wasm_bindgen(js_name = countChunk)]
    pub fn count_chunk(&mut self) -> Result<String, JsError> {
        answer(self.0.count_chunk())
    }

    /// What ε per token means.
    pub fn numbers(&self, epsilon: f64) -> Result<String, JsError> {
        answer(self.0.text_consequences(epsilon))
    }

    /// What ε of training means.
    #[wasm_bindgen(js_name = trainingNumbers)]
    pub fn training_numbers(&self, epsilon: f64) -> Result<String, JsError> {
        answer(self.0.training_consequences(epsilon))
    }

    /// `[{"original", "pieces": [{"text", "swapped"}], "cut"}]`.
    pub fn preview(&self, epsilon: f64) -> Result<String, JsError> {
        answer(self.0.preview(epsilon, &fresh_seed()?))
    }

    /// Starts perturbing the text.
    pub fn begin(&mut self, epsilon: f64) -> Result<(), JsError> {
        self.0.begin(epsilon, &fresh_seed()?).map_err(sentence)
    }

    /// `{"done", "total"}`; finished when they are the same.
    #[wasm_bindgen(js_name = perturbChunk)]
    pub fn perturb_chunk(&mut self) -> Result<String, JsError> {
        answer(self.0.perturb_chunk())
    }

    /// Drops the run in progress.
    pub fn abandon(&mut self) {
        self.0.abandon();
    }

    /// The bytes to upload.
    pub fn finish(&mut self) -> Result<Vec<u8>, JsError> {
        self.0.finish().map_err(sentence)
    }
}

/// 32 bytes of `crypto.getRandomValues`, for one run only.
fn fresh_seed() -> Result<SecretSeed, JsError> {
    let mut bytes = [0; 32];
    let no_source = |_| JsError::new("This browser gives no secure random numbers. Use a current browser.");
    getrandom::fill(&mut bytes).map_err(no_source)?;
    Ok(SecretSeed::from_bytes(bytes))
}

fn answer(result: Result<impl Serialize, WorkbenchError>) -> Result<String, JsError> {
    let value = result.map_err(sentence)?;
    serde_json::to_string(&value)
        .map_err(|_| JsError::new("The answer could not be written. Load the page again."))
}

/// An error as the page shows it: the crates' messages start in lower case and have no full stop.
fn sentence(error: WorkbenchError) -> JsError {
    let message = error.to_string();
    let mut letters = message.chars();
    let first: String = letters.next().map(|letter| letter.to_uppercase().collect()).unwrap_or_default();
    JsError::new(&format!("{first}{}.", letters.as_str()))
}

/// A panic ends in a trap, which the worker reports as such. The place alone goes to the console: a panic's message may repeat user text.
fn report_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    error(&format!("perturbation stopped at {place}"));
}
