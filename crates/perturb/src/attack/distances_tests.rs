use super::*;
use crate::test_fixtures::{k_rr, vector_mechanisms, word_perturber};

#[test]
fn the_nearer_an_input_the_likelier_and_the_output_itself_is_likeliest() {
    for mechanism in vector_mechanisms() {
        let perturber = word_perturber(mechanism);
        let likelihood = of_channel(perturber.channel());
        assert_eq!(likelihood.items(), 33);
        for output in 0..33 {
            let row = likelihood.row(output);
            let best = row.likely.iter().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
            assert_eq!(*best, (output, 0.0), "{mechanism:?}");
            assert!(row.likely.iter().all(|(_, ln)| *ln >= row.others));
            assert_eq!(row.likely.len(), 33);
        }
    }
}

#[test]
fn the_exponential_mechanisms_is_its_own_formula() {
    let perturber = word_perturber(vector_mechanisms()[0]);
    let Sampler::Exponential { mechanism, index } = perturber.channel().sampler() else {
        panic!("exponential")
    };
    let row = of_channel(perturber.channel());
    let row = row.row(7);
    for input in 0..33 {
        let weight = mechanism.weight(index.distance(input, 7)) as f64 / mechanism.weight(0.0) as f64;
        assert!((row.of(input) - weight.ln()).abs() < 1e-4, "{input}");
    }
}

#[test]
fn two_level_mechanisms_have_their_own() {
    let perturber = word_perturber(k_rr(3.0));
    let row = of_channel(perturber.channel());
    let row = row.row(4);
    assert_eq!(row.likely.len(), 1);
    assert!((row.likely[0].1 - row.others - 3.0).abs() < 1e-6);
}
