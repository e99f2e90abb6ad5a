//! Public tables from folders: a vocabulary of words with its tables, or a model's own tokens and embeddings.

use crate::{edge, files};
use anyhow::Context as _;
use finetune::{BaseModel, ModelFiles};
use perturb::{DEFAULT_NEIGHBOURS, Embedding, Lexicon, Needs, NeighbourTable, Tables, Tokenizer, Vocabulary};
use std::path::Path;

const VOCABULARY: &str = "vocabulary.bin";
const EMBEDDING: &str = "embedding.bin";
const NEIGHBOURS: &str = "neighbours.bin";

/// A vocabulary of words, and those of its tables that are needed.
pub(crate) fn of_words(folder: &Path, needs: Needs) -> anyhow::Result<(Lexicon, Tables)> {
    let read = |name: &str| edge::read(&folder.join(name));
    let wrong = |name: &str| format!("{} cannot be used", folder.join(name).display());
    let vocabulary = Vocabulary::from_bytes(&read(VOCABULARY)?).with_context(|| wrong(VOCABULARY))?;
    let domain = vocabulary.domain();
    let mut tables = Tables::default();
    if needs == Needs::Neighbours {
        let table =
            NeighbourTable::from_bytes(&read(NEIGHBOURS)?, domain).with_context(|| wrong(NEIGHBOURS))?;
        tables.neighbours = Some(table);
    }
    if needs == Needs::Embedding {
        let embedding = Embedding::from_bytes(&read(EMBEDDING)?, domain).with_context(|| wrong(EMBEDDING))?;
        tables.embedding = Some(embedding);
    }
    Ok((vocabulary.into(), tables))
}

/// A model's tokens, and tables from its input embeddings. The neighbour table has the given columns at least.
pub(crate) fn of_model(folder: &Path, needs: Needs, columns: u32) -> anyhow::Result<(Lexicon, Tables)> {
    let files = ModelFiles::from_dir(folder)?;
    let tokenizer = Tokenizer::from_bytes(&files.tokenizer_json)?;
    let domain = tokenizer.domain();
    let mut tables = Tables::default();
    if needs != Needs::Nothing {
        let (matrix, dim) = BaseModel::load(&files)?.input_embeddings()?;
        match needs {
            Needs::Neighbours => {
                let columns = columns.max(DEFAULT_NEIGHBOURS);
                tables.neighbours = Some(NeighbourTable::build(&matrix, dim, domain, columns)?);
            }
            _ => tables.embedding = Some(Embedding::quantise(&matrix, dim, domain)?),
        }
    }
    Ok((tokenizer.into(), tables))
}

/// Writes a vocabulary with both tables as one folder: whole or not at all.
pub(crate) fn write(
    out: &Path,
    vocabulary: &Vocabulary,
    embedding: &Embedding,
    neighbours: &NeighbourTable,
) -> anyhow::Result<()> {
    let files = [
        (VOCABULARY, vocabulary.to_bytes()),
        (EMBEDDING, embedding.to_bytes()),
        (NEIGHBOURS, neighbours.to_bytes(vocabulary.domain())?),
    ];
    files::write_folder(out, &files.map(|(name, bytes)| (name.to_owned(), bytes)))
}
