use super::model_id;

#[test]
fn a_model_is_named_after_its_folder_unless_told() {
    assert_eq!(model_id("some/where/tiny/", None).unwrap().as_str(), "tiny");
    assert_eq!(model_id("owner/Model-1.5B", None).unwrap().as_str(), "Model-1.5B");
    assert_eq!(model_id("x", Some("y")).unwrap().as_str(), "y");
    assert!(model_id("..", None).is_err());
    assert!(model_id("x", Some("../y")).is_err());
}
