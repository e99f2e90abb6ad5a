//! Chat templates: where a model keeps its own, and rendering it as `transformers` does.
//!
//! A template is Jinja with blocks trimmed, Python's string methods, `raise_exception`, `strftime_now` and a `tojson` that writes what
//! Python's `json.dumps` writes. It sees `messages`, `add_generation_prompt`, the special tokens by name (`bos_token`, …), and `tools`
//! and `documents`, which are none.
//!
//! `strftime_now` tells [`RENDER_DATE`], always: with today's date the same file would make other tokens tomorrow, and a run could not
//! be resumed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Serde};
use minijinja::{Environment, Error, ErrorKind, Value};
use minijinja_contrib::pycompat;
use perturb::text::Message;
use serde::{Deserialize, Serialize};

use super::ChatError;
use super::guard::{TURN, TURN_END};

/// Holds the template in most models, and the special tokens in all.
pub const TOKENIZER_CONFIG_FILE: &str = "tokenizer_config.json";
/// Holds the template of newer models; where it is there, it comes first.
pub const CHAT_TEMPLATE_FILE: &str = "chat_template.jinja";
/// The day that templates are told it is: the one that Llama 3.2's own template names where it is told none.
pub const RENDER_DATE: &str = "2024-07-26";

/// Special tokens that templates know by name.
const SPECIAL_TOKENS: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];
/// Widest indentation of `tojson`: every level of every line costs it in memory.
const MAX_INDENT: usize = 16;
/// What a template is called where it has no name.
const DEFAULT: &str = "default";
/// Work that one rendering may do: an end to a loop that has none, and to a string that is doubled again and again. A unit pays for one
/// instruction or for 64 bytes, so a template never makes more than 256 MB; a record of 1 MiB in ten thousand messages takes a quarter.
const FUEL: u64 = 4_000_000;

/// A compiled template with the special tokens that it may write.
#[derive(Clone)]
pub struct ChatTemplate {
    source: Arc<str>,
    environment: Arc<Environment<'static>>,
    special_tokens: BTreeMap<String, Value>,
    marks_turns: bool,
}

impl fmt::Debug for ChatTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatTemplate").field("source", &self.source).finish_non_exhaustive()
    }
}

/// What is read of `tokenizer_config.json`.
#[derive(Default, Deserialize)]
struct TokenizerConfig {
    #[serde(default)]
    chat_template: Option<Templates>,
    #[serde(flatten)]
    other: BTreeMap<String, serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Templates {
    One(String),
    Named(Vec<NamedTemplate>),
}

#[derive(Deserialize)]
struct NamedTemplate {
    name: String,
    template: String,
}

impl ChatTemplate {
    /// The template of a model by its `tokenizer_config.json` and `chat_template.jinja`, or `given` in their place; none where there is
    /// no template anywhere.
    ///
    /// # Errors
    /// [`ChatError`] says which of them cannot be read.
    pub fn of(
        tokenizer_config: Option<&[u8]>,
        chat_template: Option<&[u8]>,
        given: Option<&str>,
    ) -> Result<Option<Self>, ChatError> {
        let unusable = |error: serde_json::Error| ChatError::Config(error.to_string());
        let config: Option<TokenizerConfig> =
            tokenizer_config.map(serde_json::from_slice).transpose().map_err(unusable)?;
        let config = config.unwrap_or_default();
        let file = chat_template.map(std::str::from_utf8).transpose();
        let file = file.map_err(|_| ChatError::Template(format!("{CHAT_TEMPLATE_FILE} is not UTF-8")))?;
        let source = match (given.or(file), config.chat_template) {
            (Some(source), _) => source.to_owned(),
            (None, Some(templates)) => templates.choose()?,
            (None, None) => return Ok(None),
        };
        let token = |name: &str| {
            let value = config.other.get(name)?;
            let text = value.as_str().or_else(|| value.get("content")?.as_str())?;
            Some((name.to_owned(), Value::from(text)))
        };
        let special_tokens = SPECIAL_TOKENS.into_iter().filter_map(token).collect();
        Self::compile(source, special_tokens).map(Some)
    }

    fn compile(source: String, special_tokens: BTreeMap<String, Value>) -> Result<Self, ChatError> {
        let (jinja, marks_turns) = with_marked_turns(&source);
        let unreadable = |error: Error| ChatError::Template(error.to_string());
        let mut environment = environment().map_err(unreadable)?;
        environment.add_template_owned(DEFAULT, jinja).map_err(unreadable)?;
        let environment = Arc::new(environment);
        Ok(Self { source: source.into(), environment, special_tokens, marks_turns })
    }

    /// Whether the template says itself what the assistant said.
    pub(super) fn marks_turns(&self) -> bool {
        self.marks_turns
    }

    /// What the template makes of a chat, with or without the words that make the model answer.
    pub(super) fn render(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
        line: usize,
    ) -> Result<String, ChatError> {
        let mut context = self.special_tokens.clone();
        context.insert("messages".into(), Value::from(Serde(messages)));
        context.insert("add_generation_prompt".into(), add_generation_prompt.into());
        context.insert("tools".into(), Value::from(()));
        context.insert("documents".into(), Value::from(()));
        let rendered = self.environment.get_template(DEFAULT).and_then(|template| template.render(context));
        rendered.map_err(|error| ChatError::Refused { line, reason: self.reason(&error) })
    }

    /// Why rendering failed, without what the messages say: an exception's text where the template has it word for word, else the place.
    fn reason(&self, error: &Error) -> String {
        match error.detail() {
            Some(detail) if self.source.contains(detail) => detail.to_owned(),
            _ => format!("{} in line {} of the template", error.kind(), error.line().unwrap_or_default()),
        }
    }
}

impl Templates {
    fn choose(self) -> Result<String, ChatError> {
        match self {
            Self::One(source) => Ok(source),
            Self::Named(templates) => {
                let names: Vec<String> = templates.iter().map(|template| template.name.clone()).collect();
                let default = templates.into_iter().find(|template| template.name == DEFAULT);
                default.map(|template| template.template).ok_or_else(|| {
                    let names = names.join(", ");
                    ChatError::Config(format!(
                        "of its chat templates ({names}) none is called {DEFAULT}: give one with --chat-template FILE"
                    ))
                })
            }
        }
    }
}

/// The template with `{% generation %}` as a filter that puts marks around what it is given, and whether it has any. Whitespace control
/// stays as it is: both are block tags.
fn with_marked_turns(source: &str) -> (String, bool) {
    let (mut jinja, mut rest, mut found) = (String::with_capacity(source.len()), source, false);
    while let Some((before, tag)) = rest.split_once("{%") {
        jinja.push_str(before);
        jinja.push_str("{%");
        let Some((inside, after)) = tag.split_once("%}") else {
            rest = tag;
            break;
        };
        let name = inside.trim_matches(|c: char| c.is_whitespace() || c == '-' || c == '+');
        let replaced = match name {
            "generation" => inside.replace(name, "filter assistant_turn"),
            "endgeneration" => inside.replace(name, "endfilter"),
            _ => inside.to_owned(),
        };
        found |= name == "generation";
        jinja.push_str(&replaced);
        jinja.push_str("%}");
        rest = after;
    }
    jinja.push_str(rest);
    (jinja, found)
}

fn environment() -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.set_fuel(Some(FUEL));
    environment.set_unknown_method_callback(pycompat::unknown_method_callback);
    environment.add_function("raise_exception", |message: String| {
        Err::<Value, _>(Error::new(ErrorKind::InvalidOperation, message))
    });
    environment.add_function("strftime_now", |format: String| strftime(&format));
    environment.add_filter("assistant_turn", |said: String| format!("{TURN}{said}{TURN_END}"));
    environment.add_filter("tojson", |value: Value, options: Kwargs| {
        let indent: Option<usize> = options.get("indent")?;
        if indent.is_some_and(|width| width > MAX_INDENT) {
            let reason = format!("tojson indents by at most {MAX_INDENT}");
            return Err(Error::new(ErrorKind::InvalidOperation, reason));
        }
        json(&value, indent).map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))
    });
    Ok(environment)
}

/// [`RENDER_DATE`] at midnight, a Friday, by a format as of C's `strftime`. What it does not know stays as it is.
fn strftime(format: &str) -> String {
    let (mut out, mut characters) = (String::new(), format.chars());
    while let Some(character) = characters.next() {
        if character != '%' {
            out.push(character);
            continue;
        }
        match characters.next() {
            Some('Y') => out.push_str("2024"),
            Some('y') => out.push_str("24"),
            Some('m') => out.push_str("07"),
            Some('B') => out.push_str("July"),
            Some('b' | 'h') => out.push_str("Jul"),
            Some('d' | 'e') => out.push_str("26"),
            Some('j') => out.push_str("208"),
            Some('A') => out.push_str("Friday"),
            Some('a') => out.push_str("Fri"),
            Some('F') => out.push_str(RENDER_DATE),
            Some('H' | 'M' | 'S') => out.push_str("00"),
            Some('I') => out.push_str("12"),
            Some('p') => out.push_str("AM"),
            Some('T') => out.push_str("00:00:00"),
            Some('%') => out.push('%'),
            other => out.extend(['%'].into_iter().chain(other)),
        }
    }
    out
}

/// JSON as Python writes it: a blank after `,` and `:`, nothing escaped but what must be.
fn json(value: &Value, indent: Option<usize>) -> Result<String, serde_json::Error> {
    let mut out = Vec::new();
    match indent {
        None => value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, Spaced))?,
        Some(width) => {
            let indent = " ".repeat(width);
            let formatter = serde_json::ser::PrettyFormatter::with_indent(indent.as_bytes());
            value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, formatter))?;
        }
    }
    // The serialiser writes UTF-8 only.
    Ok(String::from_utf8_lossy(&out).into_owned())
}

/// Compact JSON with blanks.
struct Spaced;

impl serde_json::ser::Formatter for Spaced {
    fn begin_array_value<W: ?Sized + std::io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, out: &mut W) -> std::io::Result<()> {
        out.write_all(b": ")
    }
}

#[cfg(test)]
#[path = "template_tests.rs"]
mod tests;
