use super::*;

fn checkpoint() -> Checkpoint {
    let values = |start: f32| (0..10).map(|i| start + i as f32 / 3.0).collect::<Vec<f32>>();
    Checkpoint {
        weights: values(-1.0),
        optimizer: AdamW { first: values(2.0), second: values(5.0), steps: 1234 },
        progress: Progress {
            tokens: 99,
            epoch_tokens: 7,
            seconds: 1.5,
            held_out_loss: 4.25,
            bits_per_byte: 1.7,
        },
    }
}

#[test]
fn what_was_saved_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    checkpoint().save(folder.path()).unwrap();
    assert_eq!(Checkpoint::load(folder.path(), 10).unwrap(), checkpoint());
}

#[test]
fn a_later_save_replaces_the_file_and_leaves_nothing_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut state = checkpoint();
    state.save(folder.path()).unwrap();
    state.optimizer.steps += 1;
    state.save(folder.path()).unwrap();
    assert_eq!(Checkpoint::load(folder.path(), 10).unwrap().optimizer.steps, 1235);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn another_shape_a_cut_file_and_no_file_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let error = format!("{:#}", Checkpoint::load(folder.path(), 10).unwrap_err());
    assert!(error.contains(FILE), "{error}");
    checkpoint().save(folder.path()).unwrap();
    let error = format!("{:#}", Checkpoint::load(folder.path(), 11).unwrap_err());
    assert!(error.contains("expected 11"), "{error}");
    let bytes = fs::read(folder.path().join(FILE)).unwrap();
    fs::write(folder.path().join(FILE), &bytes[..bytes.len() - 1]).unwrap();
    assert!(Checkpoint::load(folder.path(), 10).is_err());
}
