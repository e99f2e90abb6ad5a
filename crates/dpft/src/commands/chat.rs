//! The template that chats in a file are written by.

use crate::args::UnitName;
use crate::edge;
use anyhow::{Context as _, bail};
use finetune::{ChatFormat, ModelFiles};
use std::path::Path;

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
