use crate::test_world::{MODEL, World};
use serde_json::json;

#[tokio::test]
async fn models_are_listed_and_retrieved_with_links() {
    let world = World::new().await;
    world.add_model("Other-1.5_b").await;
    let list = world.get("/v1/models").await.ok();
    let names: Vec<_> =
        list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert_eq!(names, ["Other-1.5_b", MODEL]);
    assert!(list["data"][0].get("files").is_none());

    let model = world.get(&format!("/v1/models/{MODEL}")).await.ok();
    assert_eq!((model["object"].as_str(), model["owned_by"].as_str()), (Some("model"), Some("dpft")));
    let files = model["files"].as_object().unwrap();
    assert_eq!(files.keys().collect::<Vec<_>>(), ["model.safetensors", "neighbours.bin", "tokenizer.json"]);
    assert_eq!(files["tokenizer.json"]["bytes"], 11);
    assert!(files["tokenizer.json"]["url"].as_str().unwrap().contains("models/tiny-model/tokenizer.json"));
}

#[tokio::test]
async fn an_unknown_model_is_told_which_there_are() {
    let world = World::new().await;
    for name in ["gpt-4o-mini", "ft:x", "..%2Fkeys", "models"] {
        let reply = world.get(&format!("/v1/models/{name}")).await;
        reply.assert_error(404, "model_not_found");
        assert!(reply.body["error"]["message"].as_str().unwrap().contains("`tiny-model`"));
    }
}

#[tokio::test]
async fn a_model_whose_index_is_missing_is_not_there() {
    let world = World::new().await;
    world.put_json("models/half-published/config.json", &json!({})).await;
    world.get("/v1/models/half-published").await.assert_error(404, "model_not_found");
    assert_eq!(world.get("/v1/models").await.ok()["data"].as_array().unwrap().len(), 1);
}
