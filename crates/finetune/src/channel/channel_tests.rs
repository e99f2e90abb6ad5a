use super::*;
use crate::fixtures::channel::{channel, correction, domain, manifest, matrix, mechanism, table};
use serde_json::json;

const VOCABULARY: usize = 40;

#[test]
fn the_sets_are_those_of_the_matrix() {
    for (epsilon, m) in [(1.0, 1), (4.0, 2), (9.0, 3)] {
        let whole = matrix(VOCABULARY, &channel(VOCABULARY, mechanism(epsilon, m)));
        let correction = correction(VOCABULARY, epsilon, m);
        let (hi, lo) = correction.weights();
        for y in 0..VOCABULARY {
            let Some(plausible) = correction.plausible(y as u32) else {
                assert!(correction.outside().contains(&(y as u32)));
                continue;
            };
            assert!(plausible.contains(&(y as u32)) && plausible.is_sorted_by(|a, b| a < b));
            for (x, row) in
                whole.iter().enumerate().filter(|(x, _)| !correction.outside().contains(&(*x as u32)))
            {
                let weight = if plausible.contains(&(x as u32)) { hi } else { lo };
                assert_eq!(row[y], weight / correction.total_weight(), "{x} {y}");
            }
        }
        let sizes: usize =
            (0..VOCABULARY as u32).filter_map(|y| correction.plausible(y)).map(<[u32]>::len).sum();
        assert_eq!(sizes, m as usize * domain(VOCABULARY).len());
    }
}

#[test]
fn ids_beyond_the_domain_are_outside() {
    let domain = domain(VOCABULARY);
    let padded = ChannelCorrection::for_mechanism(mechanism(4.0, 1), &domain, None, VOCABULARY + 3).unwrap();
    assert_eq!(padded.outside()[padded.outside().len() - 3..], [40, 41, 42]);
    assert_eq!(padded.plausible(42), None);
    let error = ChannelCorrection::for_mechanism(mechanism(4.0, 1), &domain, None, VOCABULARY - 1);
    assert_eq!(error, Err(CorrectionError::Vocabulary { max_id: 39, vocab_size: 39 }));
}

#[test]
fn a_manifest_must_name_these_tables() {
    let (domain, channel) = (domain(VOCABULARY), channel(VOCABULARY, mechanism(5.0, 3)));
    let table = table(&domain);
    let stated = manifest(&channel);
    let new = |manifest: &Manifest, table| ChannelCorrection::new(manifest, &domain, table, VOCABULARY);
    assert_eq!(new(&stated, Some(&table)).unwrap(), correction(VOCABULARY, 5.0, 3));

    let other = |change: fn(&mut Manifest)| {
        let mut manifest = stated.clone();
        change(&mut manifest);
        match new(&manifest, Some(&table)) {
            Err(CorrectionError::OtherDigest { what }) => what,
            other => panic!("{other:?}"),
        }
    };
    let wrong = || Sha256Digest::of(b"other");
    assert_eq!(other(|m| m.tokenizer_sha256 = Sha256Digest::of(b"other")), "tokenizer");
    assert_eq!(other(|m| m.domain_sha256 = Sha256Digest::of(b"other")), "vocabulary");
    assert_eq!(other(|m| m.neighbour_table_sha256 = Some(Sha256Digest::of(b"other"))), "neighbour table");
    assert_eq!(other(|m| m.weights.as_mut().unwrap().hi += 1), "mechanism");
    assert_ne!(stated.domain_sha256, wrong());
    assert_eq!(
        new(&stated, None),
        Err(CorrectionError::Channel(perturb::ChannelError::TableMissing)),
        "set-rr cannot be corrected for without its table"
    );
}

#[test]
fn each_channel_and_prior_has_a_digest_of_its_own() {
    let flat = vec![2.0; VOCABULARY];
    let uneven: Vec<f64> = (0..VOCABULARY).map(|id| id as f64).collect();
    let digests = [
        correction(VOCABULARY, 4.0, 1),
        correction(VOCABULARY, 4.0, 2),
        correction(VOCABULARY, 5.0, 2),
        correction(VOCABULARY + 1, 5.0, 2),
        correction(VOCABULARY, 5.0, 2).with_prior(&flat).unwrap(),
        correction(VOCABULARY, 5.0, 2).with_prior(&uneven).unwrap(),
    ]
    .map(|correction| correction.sha256().to_owned());
    for (index, digest) in digests.iter().enumerate() {
        assert!(!digests[..index].contains(digest), "{index}");
    }
    assert_eq!(digests[0], correction(VOCABULARY, 4.0, 1).sha256());
}

#[test]
fn a_prior_that_is_none_is_refused() {
    let with = |prior: &[f64]| correction(VOCABULARY, 4.0, 2).with_prior(prior);
    let refused = Err(CorrectionError::Prior { found: VOCABULARY, vocab_size: VOCABULARY });
    let mut only_outside = vec![0.0; VOCABULARY];
    only_outside[0] = 1.0;
    assert_eq!(with(&only_outside), refused);
    for bad in [-1.0, f64::NAN, f64::INFINITY] {
        let mut prior = vec![1.0; VOCABULARY];
        prior[7] = bad;
        assert_eq!(with(&prior), refused);
    }
    assert!(matches!(with(&[1.0; 3]), Err(CorrectionError::Prior { found: 3, .. })));
}

#[test]
fn corrections_are_written_as_documented_and_nothing_else_is_read() {
    let table = [
        (Correction::Off, json!({"type": "off"})),
        (
            Correction::Forward { context: Context::Received },
            json!({"type": "forward", "context": {"type": "received"}}),
        ),
        (
            Correction::Forward { context: Context::Denoised { passes: 2 } },
            json!({"type": "forward", "context": {"type": "denoised", "passes": 2}}),
        ),
    ];
    for (correction, written) in table {
        assert_eq!(serde_json::to_value(correction).unwrap(), written);
        assert_eq!(serde_json::from_value::<Correction>(written).unwrap(), correction);
    }
    for wrong in [
        json!({"type": "backward"}),
        json!({"type": "forward"}),
        json!({"type": "forward", "context": {"type": "denoised"}}),
    ] {
        assert!(serde_json::from_value::<Correction>(wrong.clone()).is_err(), "{wrong}");
    }
}
