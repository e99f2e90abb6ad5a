//! Throughput of noise, in values a second on one core, beside samplers that are not float-safe or not secure.
//!
//! `cargo bench -p dp --bench noise`

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use dp::ClippedSum;
use dp::noise::rounded_gaussian;
use rand::rngs::SmallRng;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use rand_distr::StandardNormal;

const VALUES: usize = 1 << 20;

fn gaussian(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("gaussian");
    group
        .throughput(Throughput::Elements(VALUES as u64))
        .sample_size(20)
        .measurement_time(Duration::from_secs(3));
    let mut chacha = ChaCha20Rng::from_seed([1; 32]);
    let mut small = SmallRng::from_seed([1; 32]);

    let mut integers = vec![0_i32; VALUES];
    group.bench_function("rounded Gaussian, ChaCha20", |bencher| {
        bencher.iter(|| rounded_gaussian::fill(&mut chacha, black_box(&mut integers)));
    });
    let mut floats = vec![0_f64; VALUES];
    group.bench_function("rand_distr's ziggurat in f64, ChaCha20", |bencher| {
        bencher.iter(|| fill_standard_normal(&mut chacha, black_box(&mut floats)));
    });
    group.bench_function("rand_distr's ziggurat in f64, xoshiro (not secure)", |bencher| {
        bencher.iter(|| fill_standard_normal(&mut small, black_box(&mut floats)));
    });
    let mut bytes = vec![0_u8; 8 * VALUES];
    group.bench_function("one 64-bit word a value, ChaCha20", |bencher| {
        bencher.iter(|| chacha.fill_bytes(black_box(&mut bytes)));
    });
    group.finish();
}

fn fill_standard_normal(rng: &mut impl Rng, values: &mut [f64]) {
    values.iter_mut().for_each(|value| *value = rng.sample(StandardNormal));
}

fn clipped_sum(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("clipped sum");
    group
        .throughput(Throughput::Elements(VALUES as u64))
        .sample_size(20)
        .measurement_time(Duration::from_secs(3));
    let mut chacha = ChaCha20Rng::from_seed([2; 32]);
    let vector: Vec<f32> = (0..VALUES).map(|_| chacha.sample(StandardNormal)).collect();
    let mut sum = ClippedSum::new(VALUES, 1.0, 1.0).expect("valid parameters");
    group.bench_function("add", |bencher| bencher.iter(|| sum.add(black_box(&vector))));
    group.bench_function("release", |bencher| {
        bencher.iter_batched(
            || sum.clone(),
            |sum| sum.release_scaled(&mut chacha, 64.0),
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(benches, gaussian, clipped_sum);
criterion_main!(benches);
