//! Exact nearest rows of a matrix by Euclidean distance.
//!
//! All pairs of a 50,000 × 576 matrix are 1.4·10¹² products, so distances are first taken in f32, by ‖a‖² + ‖b‖² − 2a·b over
//! cache-sized blocks, and only a short list of each row is measured again in f64. The result is exact: a row is done only
//! when its last taken distance lies below everything that the short list left out by more than the f32 error bound;
//! otherwise the whole row is measured in f64.

use crate::parallel;

/// Query rows that share one pass over the matrix: with 1,024 columns they are 256 KB, which stays in the L2 cache.
const BLOCK: usize = 64;
/// Entries of the short list beyond the ones asked for.
const SPARE: usize = 32;

/// For each row of `rows` (row-major, `dim` values each), itself and then its `count` − 1 nearest others, ties by index.
///
/// Gives rows × `count` indices. `count` must be at most the number of rows, and all values finite.
pub(crate) fn nearest_rows(rows: &[f32], dim: usize, count: usize) -> Vec<u32> {
    let matrix = Matrix::new(rows, dim);
    let mut result = vec![0; matrix.len() * count];
    let blocks: Vec<(usize, &mut [u32])> = result.chunks_mut(BLOCK * count).enumerate().collect();
    parallel::for_each(blocks, |(block, result)| matrix.search_block(block * BLOCK, count, result));
    result
}

struct Matrix<'a> {
    rows: &'a [f32],
    dim: usize,
    square_norms: Vec<f64>,
    largest_square_norm: f64,
}

impl<'a> Matrix<'a> {
    fn new(rows: &'a [f32], dim: usize) -> Self {
        let square = |row: &[f32]| row.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
        let square_norms: Vec<f64> = rows.chunks_exact(dim).map(square).collect();
        let largest_square_norm = square_norms.iter().copied().fold(0.0, f64::max);
        Self { rows, dim, square_norms, largest_square_norm }
    }

    fn len(&self) -> usize {
        self.square_norms.len()
    }

    fn row(&self, index: usize) -> &'a [f32] {
        &self.rows[index * self.dim..][..self.dim]
    }

    /// Fills `result` with the neighbours of the rows from `first` on.
    fn search_block(&self, first: usize, count: usize, result: &mut [u32]) {
        let mut lists: Vec<ShortList> = result.chunks(count).map(|_| ShortList::new(count + SPARE)).collect();
        self.scan(first, &mut lists);
        for ((offset, list), result) in lists.into_iter().enumerate().zip(result.chunks_mut(count)) {
            self.finish(first + offset, list, result);
        }
    }

    /// Offers every row to the short lists of the rows from `first` on, with the widest vectors that the processor has.
    fn scan(&self, first: usize, lists: &mut [ShortList]) {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has AVX2, as the line above asked it.
            return unsafe { self.scan_avx2(first, lists) };
        }
        self.scan_inline(first, lists);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn scan_avx2(&self, first: usize, lists: &mut [ShortList]) {
        self.scan_inline(first, lists);
    }

    #[inline(always)]
    fn scan_inline(&self, first: usize, lists: &mut [ShortList]) {
        for other in 0..self.len() {
            let candidate = self.row(other);
            for (query, list) in (first..).zip(lists.iter_mut()) {
                let product = f64::from(dot(self.row(query), candidate));
                if query != other {
                    list.offer(
                        self.square_norms[query] + self.square_norms[other] - 2.0 * product,
                        other as u32,
                    );
                }
            }
        }
    }

    /// Measures a short list in f64; falls back to the whole matrix if the list might have missed a row.
    fn finish(&self, query: usize, list: ShortList, result: &mut [u32]) {
        let wanted = result.len() - 1;
        let left_out_from = list.left_out_from(self.len() - 1) - self.error_bound(query);
        let mut measured = self.measure(query, list.entries.into_iter().map(|(_, other)| other));
        if wanted > 0 && measured[wanted - 1].0 >= left_out_from {
            measured = self.measure(query, (0..self.len() as u32).filter(|&other| other as usize != query));
        }
        result[0] = query as u32;
        for (slot, (_, other)) in result[1..].iter_mut().zip(measured) {
            *slot = other;
        }
    }

    fn measure(&self, query: usize, others: impl Iterator<Item = u32>) -> Vec<(f64, u32)> {
        let query = self.row(query);
        let mut measured: Vec<(f64, u32)> =
            others.map(|other| (square_distance(query, self.row(other as usize)), other)).collect();
        measured.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        measured
    }

    /// Bound on the error of an f32 distance. |fl(a·b) − a·b| ≤ γ‖a‖‖b‖ with γ = n·u / (1 − n·u) and u = 2⁻²⁴, for any order
    /// of summation (Higham 2002, section 3.1); doubled for the factor −2, and doubled again for the f64 parts.
    fn error_bound(&self, query: usize) -> f64 {
        let gamma = self.dim as f64 * f64::from(f32::EPSILON);
        4.0 * gamma * (self.square_norms[query] * self.largest_square_norm).sqrt()
            + f64::from(f32::MIN_POSITIVE)
    }
}

/// The entries with the smallest distances seen so far; the last is the largest.
struct ShortList {
    entries: Vec<(f64, u32)>,
    capacity: usize,
}

impl ShortList {
    fn new(capacity: usize) -> Self {
        Self { entries: Vec::with_capacity(capacity + 1), capacity }
    }

    fn offer(&mut self, distance: f64, index: u32) {
        if self.entries.len() == self.capacity && distance >= self.entries[self.capacity - 1].0 {
            return;
        }
        let place = self.entries.partition_point(|entry| entry.0 <= distance);
        self.entries.insert(place, (distance, index));
        self.entries.truncate(self.capacity);
    }

    /// A distance that nothing outside of the list lies below, when `offered` rows were offered.
    fn left_out_from(&self, offered: usize) -> f64 {
        let complete = self.entries.len() == offered;
        self.entries.last().map_or(f64::INFINITY, |last| if complete { f64::INFINITY } else { last.0 })
    }
}

fn square_distance(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum()
}

/// Inner product in sixteen running sums, which the compiler keeps in vector registers.
#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let (a, a_tail) = a.as_chunks::<LANES>();
    let (b, b_tail) = b.as_chunks::<LANES>();
    let mut sums = [0.0_f32; LANES];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let tail: f32 = a_tail.iter().zip(b_tail).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + tail
}

#[cfg(test)]
#[path = "nearest_tests.rs"]
mod tests;
