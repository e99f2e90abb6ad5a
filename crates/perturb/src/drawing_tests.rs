use super::*;
use crate::test_fixtures::{k_rr, rng, set_rr, vector_mechanisms, word_perturber};
use crate::{Mechanism, Perturber};

fn mechanisms() -> Vec<Mechanism> {
    [vec![set_rr(3.0, 4), k_rr(3.0)], vector_mechanisms().to_vec()].concat()
}

fn draw(perturber: &Perturber, ids: &[u32], nanoseconds: usize) -> Vec<u32> {
    let mut drawing = Drawing::new(perturber.channel(), ids.to_vec());
    let mut rng = rng(7);
    let mut before = 0;
    while !drawing.is_done() {
        drawing.step(perturber.channel(), &mut rng, nanoseconds);
        assert!(drawing.done() > before, "each step moves on");
        before = drawing.done();
    }
    drawing.into_ids()
}

#[test]
fn the_result_does_not_depend_on_the_steps() {
    let ids: Vec<u32> = (0..3000).map(|place| place * place % 33).collect();
    for mechanism in mechanisms() {
        let perturber = word_perturber(mechanism);
        assert_eq!(draw(&perturber, &ids, 1), draw(&perturber, &ids, usize::MAX), "{mechanism:?}");
    }
}

#[test]
fn each_place_gets_an_output_of_its_own_id() {
    // At this ε a token all but surely stays what it was, so a mix-up of places would show.
    let epsilon = 44.0.try_into().unwrap();
    let ids: Vec<u32> = (0..500).map(|place| place * 7 % 33).collect();
    for mechanism in [k_rr(30.0), Mechanism::Exponential { epsilon }] {
        let outputs = draw(&word_perturber(mechanism), &ids, 1);
        let same = outputs.iter().zip(&ids).filter(|(a, b)| a == b).count();
        assert!(same > 480, "{same} for {mechanism:?}");
    }
}

#[test]
fn unknown_ids_are_drawn_as_the_first_item() {
    for mechanism in mechanisms() {
        let perturber = word_perturber(mechanism);
        assert_eq!(draw(&perturber, &[u32::MAX, 33, 999], 1), draw(&perturber, &[0, 0, 0], 1));
    }
}

#[test]
fn nothing_is_done_at_once() {
    let perturber = word_perturber(k_rr(1.0));
    assert!(Drawing::new(perturber.channel(), Vec::new()).is_done());
}
