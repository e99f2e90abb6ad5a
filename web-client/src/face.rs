//! What JavaScript sees. Answers with more than a number travel as JSON text, which the worker parses.

use dp::SecretSeed;
use perturb::text::InputError;
use perturb::tokens::Part;
use serde::Serialize;
use wasm_bindgen::prelude::*;

use crate::error::WorkbenchError;
use crate::workbench::{self, Counts, Workbench, check_size};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = console)]
    fn error(message: &str);
}

/// One vocabulary and one text: see [`Workbench`] for the order of calls. A `setting` is a [`Setting`] as JSON.
#[wasm_bindgen]
pub struct Session(Workbench);

#[wasm_bindgen]
impl Session {
    /// Word pieces: reads a model's files; an empty table means that it has none.
    #[wasm_bindgen(js_name = ofTokens)]
    pub fn of_tokens(tokenizer_json: &[u8], neighbours: &[u8], model: String) -> Result<Session, JsError> {
        std::panic::set_hook(Box::new(report_panic));
        Workbench::of_tokens(tokenizer_json, neighbours, model).map(Self).map_err(sentence)
    }

    /// Whole words: reads a vocabulary and its tables.
    #[wasm_bindgen(js_name = ofWords)]
    pub fn of_words(
        vocabulary: &[u8],
        embedding: &[u8],
        neighbours: &[u8],
        model: String,
    ) -> Result<Session, JsError> {
        std::panic::set_hook(Box::new(report_panic));
        Workbench::of_words(vocabulary, embedding, neighbours, model).map(Self).map_err(sentence)
    }

    /// Items that can be perturbed.
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

    /// Checks a whole file and says where to cut it for several workers: the end of each piece.
    pub fn split(bytes: &[u8], unit: &str, parts: usize) -> Result<Vec<usize>, JsError> {
        workbench::split(bytes, unit, parts).map_err(sentence)
    }

    /// Takes and checks the file's content, or this worker's piece of it.
    pub fn check(&mut self, bytes: Vec<u8>, unit: &str) -> Result<(), JsError> {
        self.0.check(bytes, unit).map_err(sentence)
    }

    /// `{"done", "total", "counts": {"records", "tokens", "longest"}}`; finished when `done` is `total`.
    #[wasm_bindgen(js_name = readChunk)]
    pub fn read_chunk(&mut self) -> Result<String, JsError> {
        answer(self.0.read_chunk())
    }

    /// What a setting means for a text of these counts.
    pub fn numbers(&mut self, setting: &str, counts: &str) -> Result<String, JsError> {
        let (setting, counts) = (parse(setting)?, parse(counts)?);
        answer(self.0.text_consequences(setting, counts, &fresh_seed()?))
    }

    /// What ε of training means for a text of so many records.
    #[wasm_bindgen(js_name = trainingNumbers)]
    pub fn training_numbers(&self, epsilon: f64, records: f64) -> Result<String, JsError> {
        // Saturates.
        answer(self.0.training_consequences(epsilon, records as u64))
    }

    /// `[{"original", "pieces": [{"text", "swapped"}], "cut"}]`.
    pub fn preview(&mut self, setting: &str) -> Result<String, JsError> {
        answer(self.0.preview(parse(setting)?, &fresh_seed()?))
    }

    /// Starts perturbing the text.
    pub fn begin(&mut self, setting: &str) -> Result<(), JsError> {
        self.0.begin(parse(setting)?, &fresh_seed()?).map_err(sentence)
    }

    /// `{"done", "total"}`; finished when they are the same.
    #[wasm_bindgen(js_name = perturbChunk)]
    pub fn perturb_chunk(&mut self) -> Result<String, JsError> {
        answer(self.0.perturb_chunk())
    }

    /// Takes the language model that attacks are tried with.
    #[wasm_bindgen(js_name = takeReader)]
    pub fn take_reader(
        &mut self,
        config: &[u8],
        weights: &[u8],
        tokenizer_json: &[u8],
    ) -> Result<(), JsError> {
        self.0.take_reader(config, weights, tokenizer_json).map_err(sentence)
    }

    /// Starts attacking a sample of the text.
    #[wasm_bindgen(js_name = beginAttack)]
    pub fn begin_attack(&mut self, setting: &str) -> Result<(), JsError> {
        self.0.begin_attack(parse(setting)?, &fresh_seed()?).map_err(sentence)
    }

    /// `{"done", "total"}`; finished when they are the same.
    #[wasm_bindgen(js_name = attackChunk)]
    pub fn attack_chunk(&mut self) -> Result<String, JsError> {
        answer(self.0.attack_chunk())
    }

    /// `{"records", "tokens", "unchanged": {"hits", "share", "low", "high"}, …}`.
    #[wasm_bindgen(js_name = finishAttack)]
    pub fn finish_attack(&mut self) -> Result<String, JsError> {
        answer(self.0.finish_attack())
    }

    /// Drops the run in progress.
    pub fn abandon(&mut self) {
        self.0.abandon();
    }

    /// This worker's piece.
    #[wasm_bindgen(js_name = finishPart)]
    pub fn finish_part(&mut self) -> Result<FinishedPart, JsError> {
        self.0.finish_part().map(FinishedPart).map_err(sentence)
    }

    /// The bytes to upload, of all workers' pieces in the order of the text: `counts` are theirs, as a JSON list, and `bodies` theirs
    /// one after another, of these lengths.
    pub fn join(
        &mut self,
        setting: &str,
        unit: &str,
        counts: &str,
        bodies: &[u8],
        lengths: &[usize],
    ) -> Result<Vec<u8>, JsError> {
        let counts: Vec<Counts> = parse(counts)?;
        let mut rest = bodies;
        let mut parts = Vec::new();
        for (counts, &length) in counts.into_iter().zip(lengths) {
            let (body, others) = rest.split_at_checked(length).ok_or_else(|| JsError::new(LOST))?;
            rest = others;
            parts.push(Part { counts: counts.into(), body: body.to_vec() });
        }
        self.0.join(parse(setting)?, unit, &parts).map_err(sentence)
    }
}

const LOST: &str = "A part of the scrambled text was lost between workers. Load the page again.";

/// One worker's piece of the scrambled text.
#[wasm_bindgen]
pub struct FinishedPart(Part);

#[wasm_bindgen]
impl FinishedPart {
    /// `{"records", "tokens", "longest"}`.
    #[wasm_bindgen(getter)]
    pub fn counts(&self) -> Result<String, JsError> {
        answer(Ok(Counts::from(self.0.counts)))
    }

    /// Its bytes; once.
    pub fn body(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.0.body)
    }
}

/// What the page's own code wrote as JSON.
fn parse<T: serde::de::DeserializeOwned>(json: &str) -> Result<T, JsError> {
    serde_json::from_str(json).map_err(|_| JsError::new("This setting is not known. Load the page again."))
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
