//! The template that chats in a file are written by.

use crate::args::UnitName;
use crate::edge;
use anyhow::{Context as _, bail};
use finetune::{ChatFormat, ModelFiles};
use std::path::Path;

/// What a record is: as asked for, or a JSON object where the data begins with one, or a line.
pub(crate) fn unit_of(asked: Option<UnitName>, data: &[u8]) -> UnitName {
    let first = data.split(|byte| *byte == b'\n').find(|line| !line.trim_ascii().is_empty());
    let object = |line: &[u8]| serde_json::from_slice::<serde_json::Map<_, _>>(line).is_ok();
    match asked {
        Some(unit) => unit,
        None if first.is_some_and(object) => UnitName::JsonRecord,
        None => UnitName::Line,
    }
}

/// The model's own, or the file given in its place; none where the data is not JSON, and so has no chats.
pub(crate) fn format(
    folder: &ModelFiles,
    unit: UnitName,
    template: Option<&Path>,
) -> anyhow::Result<Option<ChatFormat>> {
    if unit != UnitName::JsonRecord {
        return match template {
            Some(_) => bail!("--chat-template is for chats in JSON records: add --unit json-record"),
            None => Ok(None),
        };
    }
    let template = template
        .map(|path| {
            let text = String::from_utf8(edge::read(path)?);
            text.with_context(|| format!("{} is not UTF-8 text", path.display()))
        })
        .transpose()?;
    Ok(ChatFormat::of(folder, template.as_deref())?)
}

#[cfg(test)]
#[path = "chat_tests.rs"]
mod tests;
