//! What handlers take from a request, with every rejection in OpenAI's error shape.

use crate::body::too_large;
use crate::error::{Answer, Failure};
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Multipart, Path, Query, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use perturb::Shown;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;

/// Fields of a form, the file's apart. OpenAI's clients send up to four.
const MAX_FORM_FIELDS: usize = 32;

/// One path parameter as it came; an undecodable one is treated as a name nobody has.
pub(crate) struct IdText(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for IdText {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Answer<Self> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        path.map(|Path(text)| Self(text)).map_err(|_| Failure::not_found("object", "?"))
    }
}

/// The query's pairs, in order.
pub(crate) struct QueryPairs(pub(crate) Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for QueryPairs {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Answer<Self> {
        let query = Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let wrong = || Failure::invalid("invalid_query", None, "The query string cannot be read.");
        query.map(|Query(pairs)| Self(pairs)).map_err(|_| wrong())
    }
}

impl QueryPairs {
    /// The last value of `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// A JSON object from a request's body.
///
/// # Errors
/// 400 that says where the text stops being one.
pub(crate) fn json_object(body: &[u8]) -> Answer<serde_json::Map<String, Value>> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(Failure::invalid("invalid_json", None, "The body must be a JSON object.")),
        Err(error) => Err(unreadable(&error)),
    }
}

/// Reads `fields` as a `T`.
///
/// # Errors
/// 400 that names what is missing, unknown or of the wrong type, without the values themselves.
pub(crate) fn typed<T: DeserializeOwned>(fields: serde_json::Map<String, Value>) -> Answer<T> {
    serde_json::from_value(Value::Object(fields)).map_err(|error| unreadable(&error))
}

fn unreadable(error: &serde_json::Error) -> Failure {
    // serde repeats the names of fields and choices that it does not know, whatever is in them.
    let message = format!("The body cannot be used: {}.", Shown(&without_values(&error.to_string())));
    Failure::invalid("invalid_json", None, message)
}

/// `text` without the caller's values. Names of fields stay: they are what a caller has to correct.
fn without_values(text: &str) -> String {
    const VARIANT: &str = "unknown variant `";
    match (text.find(VARIANT), text.rfind("`, expected ")) {
        (Some(start), Some(end)) if start < end => {
            format!("{}unknown variant …{}", without_quoted(&text[..start]), &text[end + 1..])
        }
        _ => without_quoted(text),
    }
}

/// `text` with what stands between double quotes left out: serde quotes the caller's values so.
fn without_quoted(text: &str) -> String {
    let mut pieces = text.split('"');
    let mut kept = pieces.next().unwrap_or_default().to_owned();
    // Pieces with odd numbers stand inside quotes. An escaped quote within a value shifts the count, so from the second value on nothing is kept.
    if let (Some(_), Some(rest)) = (pieces.next(), pieces.next()) {
        kept.push('…');
        if pieces.next().is_none() {
            kept.push_str(rest);
        }
    }
    kept
}

/// True when the request says its body is `media_type`.
pub(crate) fn has_type(request: &Request, media_type: &str) -> bool {
    let header =
        request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    header.split(';').next().is_some_and(|named| named.trim().eq_ignore_ascii_case(media_type))
}

/// The buffered body.
pub(crate) async fn bytes(request: Request) -> Answer<Bytes> {
    Bytes::from_request(request, &()).await.map_err(|_| too_large())
}

/// A multipart form: its one file and its text fields.
pub(crate) struct Form {
    /// File name as sent, and content.
    pub(crate) file: Option<(Option<String>, Bytes)>,
    /// Text fields by name.
    pub(crate) fields: BTreeMap<String, String>,
}

impl Form {
    /// Reads the form; `file_field` is the name of the field that holds the file.
    pub(crate) async fn read(request: Request, file_field: &str) -> Answer<Self> {
        let wrong = |_| Failure::invalid("invalid_form", None, "The multipart form cannot be read.");
        let mut multipart =
            Multipart::from_request(request, &()).await.map_err(|rejection| wrong(rejection.to_string()))?;
        let mut form = Self { file: None, fields: BTreeMap::new() };
        while let Some(field) = multipart.next_field().await.map_err(|error| wrong(error.to_string()))? {
            let name = field.name().unwrap_or_default().to_owned();
            if name == file_field {
                let filename = field.file_name().map(str::to_owned);
                let content = field.bytes().await.map_err(|error| wrong(error.to_string()))?;
                if form.file.replace((filename, content)).is_some() {
                    return Err(Failure::invalid("invalid_form", None, "The form holds more than one file."));
                }
            } else {
                if form.fields.len() >= MAX_FORM_FIELDS {
                    return Err(Failure::invalid("invalid_form", None, "The form has too many fields."));
                }
                let text = field.text().await.map_err(|error| wrong(error.to_string()))?;
                form.fields.insert(name, text);
            }
        }
        Ok(form)
    }
}

#[cfg(test)]
#[path = "extract_tests.rs"]
mod tests;
