use super::*;

#[test]
fn demo_model_has_the_published_size() {
    let layout = Layout::new(&ModelConfig::DEMO);
    assert_eq!(layout.total, 3_950_848);
    assert!(layout.total * 2 < 8_000_000, "bf16 file of at most 8 MB");
}

#[test]
fn ranges_cover_the_vector_once() {
    let layout = Layout::new(&ModelConfig::DEMO);
    let mut ranges = [layout.matrices(), layout.norms()].concat();
    ranges.sort_by_key(|r| r.start);
    let mut end = 0;
    for range in ranges {
        assert_eq!(range.start, end);
        end = range.end;
    }
    assert_eq!(end, layout.total);
}

#[test]
fn fresh_weights_have_the_stated_moments() {
    let config = ModelConfig::DEMO;
    let layout = Layout::new(&config);
    let weights = initialise(&config, &layout, 1);
    let deviation = |range: &Range<usize>| {
        let values = &weights[range.clone()];
        (values.iter().map(|w| f64::from(w * w)).sum::<f64>() / values.len() as f64).sqrt()
    };
    // A deviation estimated from n ≥ 65,536 values is off by about 1/√(2n) ≤ 0.3 %: 2 % is seven times that.
    let near = |found: f64, expected: f64| (found / expected - 1.0).abs() < 0.02;
    assert!(near(deviation(&layout.embedding), 0.02));
    assert!(near(deviation(&layout.layers[3].qkv), 0.02));
    assert!(near(deviation(&layout.layers[0].output), 0.02 / 8.0_f64.sqrt()));
    assert!(near(deviation(&layout.layers[2].down), 0.02 / 8.0_f64.sqrt()));
    assert!(layout.norms().into_iter().all(|r| weights[r].iter().all(|w| *w == 1.0)));
}

#[test]
fn a_seed_decides_the_weights() {
    let config = ModelConfig { vocab_size: 16, ..ModelConfig::DEMO };
    let layout = Layout::new(&config);
    assert_eq!(initialise(&config, &layout, 4), initialise(&config, &layout, 4));
    assert_ne!(initialise(&config, &layout, 4), initialise(&config, &layout, 5));
}
