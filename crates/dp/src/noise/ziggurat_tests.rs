use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::noise::golden;

fn tables() -> [Ziggurat; 2] {
    golden::rounded_gaussians().map(|golden| Ziggurat::new(golden.log2_sigma, golden.area))
}

static TABLES: LazyLock<[Ziggurat; 2]> = LazyLock::new(tables);
static EXACT_TABLES: LazyLock<[Ziggurat; 2]> = LazyLock::new(|| tables().map(Ziggurat::exact));

impl Ziggurat {
    fn height(&self, layer: usize) -> u128 {
        self.bottoms[layer + 1] - self.bottoms[layer]
    }

    // With this margin the integers decide every case.
    fn exact(mut self) -> Self {
        self.margin = f64::INFINITY;
        self
    }
}

#[test]
fn widths_equal_those_of_the_second_implementation() {
    for golden in golden::rounded_gaussians() {
        let table = Ziggurat::new(golden.log2_sigma, golden.area);
        let (all, inside): (Vec<u32>, Vec<u32>) = table.columns.iter().map(|c| (c.all, c.inside)).unzip();
        assert_eq!(all, golden.widths[..LAYERS]);
        assert_eq!(inside, golden.widths[1..]);
    }
}

#[test]
fn layers_above_a_column_sum_to_its_density_exactly() {
    let [table, _] = tables();
    for n in 0..CUT << 4 {
        let f = density(n, 4);
        let below = |layer: usize| f.saturating_sub(table.bottoms[layer]).min(table.height(layer));
        let covered: u128 = (0..LAYERS).filter(|&layer| n < table.columns(layer).all).map(below).sum();
        assert_eq!(covered, f, "column {n}");
    }
}

#[test]
fn columns_called_inside_lie_below_the_density() {
    for table in tables() {
        for layer in 0..LAYERS {
            let columns = table.columns(layer);
            assert!(columns.inside <= columns.all);
            if let Some(last) = columns.inside.checked_sub(1) {
                assert!(density(last, table.log2_sigma) > table.bottoms[layer + 1], "layer {layer}");
            }
            assert!(density(columns.inside, table.log2_sigma) <= table.bottoms[layer + 1], "layer {layer}");
        }
    }
}

#[test]
fn layers_have_equal_areas_to_the_precision_that_the_contract_states() {
    for (table, golden) in tables().iter().zip(golden::rounded_gaussians()) {
        let area = u128::from(golden.area) << (FRACTION_BITS - AREA_BITS);
        for layer in 0..LAYERS {
            // In units of height: what rounding down took away is less than one.
            let width = f64::from(table.columns(layer).all) / f64::from(1_u32 << table.log2_sigma);
            let ratio = table.height(layer) as f64 * width / area as f64;
            assert!((ratio - 1.0).abs() < 1e-15, "layer {layer}");
            assert!(table.height(layer) > 1 << 114, "layer {layer}");
        }
        assert!(*table.bottoms.last().unwrap() >= density(0, table.log2_sigma));
    }
}

#[test]
fn the_mean_reciprocal_height_is_what_the_error_bound_assumes() {
    for table in tables() {
        let reciprocals = (0..LAYERS).map(|layer| 1.0 / to_f64(table.height(layer)));
        assert!(reciprocals.sum::<f64>() / (LAYERS as f64) < 512.0);
    }
}

#[test]
#[should_panic(expected = "must cover the density")]
fn an_area_that_is_one_unit_too_small_is_noticed() {
    let [_, golden] = golden::rounded_gaussians();
    Ziggurat::new(24, golden.area - 1);
}

#[test]
fn a_margin_of_nothing_would_give_wrong_verdicts() {
    let [table, _] = tables();
    let edge: Vec<(usize, u32)> = (0..LAYERS)
        .flat_map(|i| (table.columns(i).inside..table.columns(i).all).map(move |n| (i, n)))
        .collect();
    let verdicts = |table: &Ziggurat| -> Vec<bool> {
        let shares = (0..256).map(|i| i << 120);
        shares.flat_map(|s| edge.iter().map(move |&(i, n)| table.is_below_density(i, n, s))).collect()
    };
    let ([exact, _], [mut careless, _]) = (tables().map(Ziggurat::exact), tables());
    careless.margin = 0.0;
    assert_eq!(verdicts(&table), verdicts(&exact));
    assert_ne!(verdicts(&careless), verdicts(&exact));
}

proptest! {
    #[test]
    fn verdicts_in_f64_are_those_of_the_integers(layer in 0..LAYERS, place in 0.0..1.0, share: u128, near: bool) {
        for (table, exact) in TABLES.iter().zip(&*EXACT_TABLES) {
            let columns = table.columns(layer);
            let edge = f64::from((columns.all - columns.inside).saturating_sub(1));
            let n = columns.inside + (edge * place) as u32;
            // Near: the share of the height at which the density passes, give or take 2⁻⁵⁵ of it.
            let gap = density(n, table.log2_sigma).saturating_sub(table.bottoms[layer]);
            let passes = (gap as f64 / table.height(layer) as f64 * 2.0_f64.powi(128)) as u128;
            let share = if near { passes.wrapping_add(share >> 55).wrapping_sub(1 << 72) } else { share };
            prop_assert_eq!(table.is_below_density(layer, n, share), exact.is_below_density(layer, n, share));
        }
    }
}
