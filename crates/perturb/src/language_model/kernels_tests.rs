use proptest::prelude::*;

use super::*;
use crate::language_model::fixtures::random;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn products_equal_f64_sums_for_any_shape(rows in 0_usize..11, width in 1_usize..70, outputs in 1_usize..9, seed: u64) {
        let (x, weight) = (random(seed, rows * width, 1.0), random(seed ^ 1, outputs * width, 1.0));
        let mut plain = vec![0.0; rows * outputs];
        linear_inline::<false>(&x, &weight, width, &mut plain);
        let fast = linear(&x, &weight, width);
        prop_assert_eq!(fast.len(), rows * outputs);
        for row in 0..rows {
            for output in 0..outputs {
                let (x, w) = (&x[row * width..][..width], &weight[output * width..][..width]);
                let exact: f64 = x.iter().zip(w).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum();
                for found in [fast[row * outputs + output], plain[row * outputs + output]] {
                    prop_assert!((f64::from(found) - exact).abs() < 1e-4, "{} {}", found, exact);
                }
            }
        }
    }

    #[test]
    fn a_rotation_keeps_lengths_and_depends_on_the_distance_alone(a in 0_usize..300, b in 0_usize..300, shift in 0_usize..300) {
        let frequencies = [1.0, 0.1, 0.003];
        let turned = |seed, position| {
            let mut row = random(seed, 12, 1.0);
            rotate(&mut row, position, &frequencies);
            row
        };
        let inner = |a, b| dot(&turned(1, a), &turned(2, b));
        prop_assert!((inner(a, b) - inner(a + shift, b + shift)).abs() < 1e-4);
        let plain = random(1, 12, 1.0);
        prop_assert!((dot(&turned(1, a), &turned(1, a)) - dot(&plain, &plain)).abs() < 1e-5);
    }
}

#[test]
fn attention_is_a_mean_weighted_by_likeness() {
    let (keys, values) = ([[100.0, 0.0], [0.0, 100.0]], [[1.0, 2.0], [3.0, 4.0]]);
    let attended = |query: [f32; 2]| {
        let mut output = [9.0; 2];
        attend(&query, keys.iter().map(|k| k.as_slice()), values.iter().map(|v| v.as_slice()), &mut output);
        output
    };
    assert_eq!(attended([50.0, 0.0]), [1.0, 2.0]);
    assert_eq!(attended([0.0, 50.0]), [3.0, 4.0]);
    assert_eq!(attended([0.0, 0.0]), [2.0, 3.0]);
}

#[test]
fn norms_and_gates_are_those_of_the_papers() {
    assert_eq!(rms_norm(&[3.0, 3.0, -1.0, 1.0], &[1.0, 2.0], 0.0), [1.0, 2.0, -1.0, 2.0]);
    let mut gate = [0.0, 2.0];
    swiglu(&mut gate, &[5.0, 3.0]);
    assert_eq!(gate[0], 0.0);
    assert!((gate[1] - 6.0 / (1.0 + (-2.0_f32).exp())).abs() < 1e-6);
}
