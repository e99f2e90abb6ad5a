//! `/v1/models`: the base models that can be fine-tuned, and what the page needs to perturb text for one.

use crate::ApiState;
use crate::auth::Tenant;
use crate::error::{Answer, Failure};
use crate::extract::IdText;
use crate::file_store::{LINK_VALID, READS_AT_A_TIME, all_keys, read_optional};
use axum::Json;
use axum::extract::State;
use futures::{StreamExt, TryStreamExt};
use protocol::api::{List, ModelFileLink, ModelIndex, ModelObject};
use protocol::error::ApiError;
use protocol::id::ModelId;
use protocol::keys::{self, MODEL_INDEX, MODEL_NEIGHBOURS, MODELS_PREFIX};
use std::collections::BTreeMap;

/// A model's tokenizer, by Hugging Face's name for it.
pub(crate) const TOKENIZER: &str = "tokenizer.json";

/// A model's configuration and its weights, if they are one file: with them the page tries to undo its own scrambling.
const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.safetensors";
/// A page that loads more, or works with it, would keep its reader waiting.
const MOST_BYTES: u64 = 16 << 20;

/// `GET /v1/models`.
pub(crate) async fn list(State(state): State<ApiState>, _: Tenant) -> Answer<Json<List<ModelObject>>> {
    let reads = known(&state).await?.into_iter().map(|id| {
        let state = state.clone();
        async move { Ok::<_, Failure>(read(&state, &id).await?.map(object)) }
    });
    let found: Vec<_> = futures::stream::iter(reads).buffered(READS_AT_A_TIME).try_collect().await?;
    let data: Vec<ModelObject> = found.into_iter().flatten().collect();
    let name = |model: Option<&ModelObject>| model.map(|model| model.id.to_string());
    let (first_id, last_id) = (name(data.first()), name(data.last()));
    Ok(Json(List { object: "list".into(), data, first_id, last_id, has_more: false }))
}

/// `GET /v1/models/{id}`: with links to the files that perturbation and the page's own attack on it need.
pub(crate) async fn retrieve(
    State(state): State<ApiState>,
    _: Tenant,
    IdText(id): IdText,
) -> Answer<Json<ModelObject>> {
    let index = load(&state, &id).await?;
    let mut files = BTreeMap::new();
    for name in [TOKENIZER, MODEL_NEIGHBOURS, CONFIG, WEIGHTS] {
        let entry = index.files.get(name).filter(|entry| entry.bytes <= MOST_BYTES || name != WEIGHTS);
        if let Some(entry) = entry {
            let url = state.store.presign_get(&keys::model_file(&index.id, name), LINK_VALID, None).await?;
            files.insert(
                name.to_owned(),
                ModelFileLink { url, bytes: entry.bytes, sha256: entry.sha256.clone() },
            );
        }
    }
    Ok(Json(ModelObject { files, ..object(index) }))
}

/// The model named `text`.
///
/// # Errors
/// 404 that lists the models there are.
pub(crate) async fn load(state: &ApiState, text: &str) -> Answer<ModelIndex> {
    if let Ok(id) = ModelId::parse(text)
        && let Some(index) = read(state, &id).await?
    {
        return Ok(index);
    }
    let names: Vec<String> = known(state).await?.into_iter().map(|id| format!("`{id}`")).collect();
    let known =
        if names.is_empty() { "none yet; add one with `dpft model add`".into() } else { names.join(", ") };
    let ApiError { message, .. } = ApiError::not_found("model", text);
    let message = format!("{message} Models of this service: {known}.");
    Err(ApiError { status: 404, message, param: Some("model"), code: "model_not_found" }.into())
}

async fn read(state: &ApiState, id: &ModelId) -> Answer<Option<ModelIndex>> {
    let stored = read_optional(&*state.store, &keys::model_file(id, MODEL_INDEX)).await?;
    Ok(stored.map(|bytes| serde_json::from_slice(&bytes)).transpose()?)
}

async fn known(state: &ApiState) -> Answer<Vec<ModelId>> {
    let keys = all_keys(&*state.store, MODELS_PREFIX).await?;
    let id = |key: &String| {
        let name = key.strip_prefix(MODELS_PREFIX)?.strip_suffix(MODEL_INDEX)?.strip_suffix('/')?;
        ModelId::parse(name).ok()
    };
    Ok(keys.iter().filter_map(id).collect())
}

fn object(index: ModelIndex) -> ModelObject {
    ModelObject {
        id: index.id,
        object: "model".into(),
        created: index.created,
        owned_by: "dpft".into(),
        description: index.description,
        files: BTreeMap::new(),
    }
}

#[cfg(test)]
#[path = "models_tests.rs"]
mod tests;
