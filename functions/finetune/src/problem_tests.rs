use super::*;

#[test]
fn the_owner_reads_a_sentence_that_names_the_field() {
    let error = permanent(Subject::TrainingFile, "the file is empty: upload one with text");
    let SliceError::Permanent(error) = error else { panic!("{error:?}") };
    assert_eq!(error.message, "The file is empty: upload one with text.");
    assert_eq!(
        (error.param.as_deref(), error.code.as_deref()),
        (Some("training_file"), Some("invalid_training_file"))
    );
    assert_eq!(sentence("Done."), "Done.");
    assert_eq!(sentence(""), ".");
}
