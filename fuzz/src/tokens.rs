//! `DPTK`: perturbed tokens or words with the manifest of their channel.

use perturb::tokens::{Part, join, read, read_manifest, write};
use perturb::{Manifest, Payload};

use crate::check::shown;
use crate::input::{parts, sealed};
use crate::memory::bounded;

/// The input is the manifest and, behind a separator, the records; magic, version, length and digest are put around them.
pub fn run(input: &[u8]) {
    bounded(input.len(), || shown(read(input)));
    let [json, body] = parts(input);
    let file = sealed(b"DPTK\x02\x00", &[&(json.len() as u32).to_le_bytes()[..], json, body].concat());
    let manifest = bounded(file.len(), || shown(read_manifest(&file)));
    let whole = bounded(file.len(), || shown(read(&file)));
    match (manifest, whole) {
        (None, Some(_)) => panic!("a file without a manifest was read"),
        (None, None) => {}
        (Some(manifest), whole) => check(&manifest, whole, body),
    }
}

fn check(manifest: &Manifest, whole: Option<(Manifest, Payload)>, body: &[u8]) {
    let (token, record) = (manifest.epsilon_per_token.get(), manifest.epsilon_of_longest_record());
    assert!(manifest.max_tokens_in_a_record == 0 || record >= token, "a record costs its tokens at least");
    assert!(manifest.epsilon_of_document() >= record, "a text costs its longest record at least");
    let part = Part { counts: manifest.counts(), body: body.to_vec() };
    let joined = bounded(body.len(), || join(manifest, &[part]));
    let Some((same, records)) = whole else {
        assert!(shown(joined).is_none(), "joined what cannot be read");
        return;
    };
    assert_eq!(same, *manifest);
    let written = write(manifest, &records).expect("what was read can be written");
    assert_eq!(joined.as_deref(), Ok(&*written), "parts join to what is written at once");
    assert!(read(&written) == Ok((same, records)), "what was written reads as it was");
}
