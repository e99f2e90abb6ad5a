//! The exponential mechanism over words, at one pass over the table for each distinct word.
//!
//! # Contract
//! P(y | x) = w(d(x, y)) / Z(x) with the integer weights of [`ExponentialMechanism`] and d =
//! [`VectorIndex::distance`], to the last bit: what is drawn under the [`Envelope`] below is accepted or rejected by
//! the exact weight. Nothing is kept from one word to the next.
//!
//! # The envelope
//! For x in 16-bit integers the [`panels`](super::panels) give ‖x − y‖² of all y, less the bound on its error; so d̲ ≤
//! d(x, y) and w(d) ≤ 2^b·2^−t with t = min(c·d̲, c·D), c a little below rate / ln 2. The power of two is taken by its
//! chords between whole numbers, 2ⁿ·(1 + f) ≥ 2^(n + f): a float's bits read as a fixed-point number. It is 4 % too
//! large on average, which costs one draw in 25. Widths are integers, with 2²³ for the weight of
//! distance 0. For 50 dimensions all of that takes less than half as many operations as the products.

use dp::mechanism::{Envelope, ExponentialMechanism, Proposal};
use rand::CryptoRng;

use super::lanes::{self, Kernel, LANES, Lanes};
use super::panels::{CHUNK, Panels, Scaled, TILE, Tile};
use super::{VectorError, VectorIndex};

/// Draws words for words: see the [module](self) for its contract.
pub struct ExponentialSampler<'a> {
    index: &'a VectorIndex,
    mechanism: ExponentialMechanism,
    /// ‖v‖² of each row, in units of the table's largest coordinate squared: f32 has no small numbers.
    square_norms: Vec<f32>,
    tile: Tile,
    /// The envelopes of a tile's words: the widths of all words for the first, the second …
    widths: Vec<u32>,
    /// For each word of the tile the sum of widths up to the end of each chunk.
    ends: Vec<u64>,
}

impl<'a> ExponentialSampler<'a> {
    /// A sampler over the words of `index`.
    ///
    /// # Errors
    /// [`VectorError::Domain`] if the mechanism is over another number of items.
    pub fn new(index: &'a VectorIndex, mechanism: ExponentialMechanism) -> Result<Self, VectorError> {
        let (domain, words) = (mechanism.domain(), index.len());
        if domain != words {
            return Err(VectorError::Domain { domain, words });
        }
        let unit = index.panels.largest_coordinate().powi(2);
        let mut square_norms: Vec<f32> =
            index.half_norms.iter().map(|half| (2.0 * half / unit) as f32).collect();
        square_norms.resize(index.panels.padded_len(), 0.0);
        let widths = vec![0; TILE * index.panels.padded_len()];
        let ends = vec![0; TILE * index.panels.chunks()];
        Ok(Self { index, mechanism, square_norms, tile: Tile::new(), widths, ends })
    }

    /// `counts[i]` independent draws for the word `words[i]`, all of the first word, then of the second …
    ///
    /// Words are best given once each, with all of their draws, and at least four at a time.
    ///
    /// # Panics
    /// If there is not a count for each word, the counts do not add up to the room in `draws`, or there is no such word.
    pub fn draw_rows(
        &mut self,
        words: &[u32],
        counts: &[usize],
        rng: &mut impl CryptoRng,
        mut draws: &mut [u32],
    ) {
        assert_eq!(words.len(), counts.len(), "there must be a count for each word");
        assert_eq!(counts.iter().sum::<usize>(), draws.len(), "there must be room for each draw");
        for (words, counts) in words.chunks(TILE).zip(counts.chunks(TILE)) {
            self.bound(words);
            for (place, (&word, &count)) in words.iter().zip(counts).enumerate() {
                let (own, rest) = draws.split_at_mut(count);
                let envelope = self.envelope(place);
                let distance = |other| self.index.distance(word, other);
                own.fill_with(|| self.mechanism.sample_under(&envelope, distance, rng));
                draws = rest;
            }
        }
    }

    /// All draws of one word: see [`draw_rows`](Self::draw_rows), which is faster for four.
    ///
    /// # Panics
    /// If there is no such word.
    pub fn draw_row(&mut self, word: u32, rng: &mut impl CryptoRng, draws: &mut [u32]) {
        self.draw_rows(&[word], &[draws.len()], rng, draws);
    }

    /// Makes the envelopes of up to [`TILE`] words.
    fn bound(&mut self, words: &[u32]) {
        let panels = &self.index.panels;
        let mut curves = [Curve::default(); TILE];
        for (place, &word) in words.iter().enumerate() {
            let row: Vec<f64> = self.index.row(word).iter().map(|&x| f64::from(x)).collect();
            let scaled = panels.quantise(&row, panels.query_scale(&row), &mut self.tile, place);
            let square_norm = 2.0 * self.index.half_norms[word as usize];
            curves[place] = Curve::new(&self.mechanism, panels, scaled, square_norm);
        }
        let Self { square_norms, tile, widths, ends, .. } = self;
        let words = self.index.len() as usize;
        lanes::run(Bound { panels, tile, square_norms, curves, words, widths, ends });
    }

    fn envelope(&self, place: usize) -> Widths<'_> {
        let (words, chunks) = (self.index.panels.padded_len(), self.index.panels.chunks());
        Widths {
            widths: &self.widths[place * words..][..words],
            ends: &self.ends[place * chunks..][..chunks],
        }
    }
}

/// How the sums of one word become widths. Lengths are in units of the table's largest coordinate.
#[derive(Debug, Clone, Copy, Default)]
struct Curve {
    /// −2 / scale: from sums to −2·x·v.
    product: f32,
    /// ‖x‖² less all errors.
    square_norm: f32,
    /// −c: from distances to exponents of two, towards zero.
    slope: f32,
    /// −c·D: the least exponent.
    floor: f32,
}

/// The float whose bits are all fraction and integer: 2²³.
const WHOLE: f32 = (1 << 23) as f32;
/// No weight is above that of distance 0.
const MAX_WIDTH: u32 = 1 << 23;
/// Exponents −64 … 0 plus this are floats of one binade, with steps of 2⁻¹⁶.
const FIXED: f32 = 192.0;
/// From those floats' bits, shifted so that their integers lie at a float's exponent, to the float 2²³·2^exponent.
const TO_POWER: u32 = WHOLE.to_bits().wrapping_sub(FIXED.to_bits() << 7);

impl Curve {
    fn new(mechanism: &ExponentialMechanism, panels: &Panels, scaled: Scaled, square_norm: f64) -> Self {
        let unit = panels.largest_coordinate();
        // Seven f32 roundings, each of 2⁻²⁴ of a number between norm² and (2·norm)², 14 in all: below norm²·2⁻¹⁹.
        let rounding = panels.largest_norm().powi(2) / f64::from(1 << 19);
        // Towards zero by more than the f32 roundings of root, product and constants, four of 2⁻²⁴, and of a distance.
        let slope = mechanism.rate() * std::f64::consts::LOG2_E * (1.0 - 1.0 / f64::from(1 << 20));
        Self {
            product: (-2.0 / scaled.scale / unit.powi(2)) as f32,
            square_norm: ((square_norm - 2.0 * scaled.error - rounding) / unit.powi(2)) as f32,
            slope: (-slope * unit) as f32,
            floor: (-slope * mechanism.max_distance()) as f32,
        }
    }

    /// An upper bound of the weight of a row, from its sum and its ‖v‖².
    #[inline(always)]
    fn width(&self, sum: i32, square_norm: f32) -> u32 {
        let square = (self.square_norm + square_norm) + self.product * sum as f32;
        let distance = if square > 0.0 { square.sqrt() } else { 0.0 };
        let exponent = distance * self.slope;
        let exponent = if exponent > self.floor { exponent } else { self.floor };
        // To the nearest 2⁻¹⁶, then one step up.
        let fixed = (exponent + FIXED).to_bits() + 1;
        let power = f32::from_bits((fixed << 7).wrapping_add(TO_POWER));
        // To the nearest integer, then one up.
        ((power + WHOLE).to_bits() - WHOLE.to_bits() + 1).min(MAX_WIDTH)
    }
}

/// One pass over the table: the envelopes of four words.
struct Bound<'a> {
    panels: &'a Panels,
    tile: &'a Tile,
    square_norms: &'a [f32],
    curves: [Curve; TILE],
    words: usize,
    widths: &'a mut [u32],
    ends: &'a mut [u64],
}

impl Kernel for Bound<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let chunks = self.panels.chunks();
        let zero = L::from_array(&[0; LANES]);
        let mut totals = [0_u64; TILE];
        for (chunk, square_norms) in self.square_norms.as_chunks::<CHUNK>().0.iter().enumerate() {
            let mut sums = [[0; CHUNK]; TILE];
            self.panels.for_each_group(
                chunk,
                self.tile,
                |_| zero,
                |group, lanes| {
                    for (sums, lanes) in sums.iter_mut().zip(lanes) {
                        sums[group * LANES..][..LANES].copy_from_slice(&lanes.to_array());
                    }
                },
            );
            let here = (self.words - chunk * CHUNK).min(CHUNK);
            for (place, (curve, sums)) in self.curves.iter().zip(&sums).enumerate() {
                let widths = &mut self.widths[(place * chunks + chunk) * CHUNK..][..CHUNK];
                for ((width, &sum), &square_norm) in widths.iter_mut().zip(sums).zip(square_norms) {
                    *width = curve.width(sum, square_norm);
                }
                // What fills up the last chunk is no word.
                widths[here..].fill(0);
                totals[place] += u64::from(sum(widths));
                self.ends[place * chunks + chunk] = totals[place];
            }
        }
    }
}

/// The sum of a chunk's widths, below 2⁶·2²³, by lanes: left to itself the compiler adds one by one.
#[inline(always)]
fn sum(widths: &[u32]) -> u32 {
    let mut sums = [0; LANES];
    for widths in widths.as_chunks::<LANES>().0 {
        (0..LANES).for_each(|lane| sums[lane] += widths[lane]);
    }
    sums.iter().sum()
}

/// The envelope of one word.
struct Widths<'a> {
    widths: &'a [u32],
    ends: &'a [u64],
}

impl Envelope for Widths<'_> {
    fn total(&self) -> u64 {
        // There is a chunk at least.
        self.ends.last().copied().unwrap_or(0)
    }

    fn locate(&self, position: u64) -> Proposal {
        let chunk = self.ends.partition_point(|&end| end <= position);
        let mut offset = position - if chunk == 0 { 0 } else { self.ends[chunk - 1] };
        let mut item = chunk * CHUNK;
        while offset >= u64::from(self.widths[item]) {
            offset -= u64::from(self.widths[item]);
            item += 1;
        }
        Proposal { item: item as u32, offset, width: u64::from(self.widths[item]) }
    }
}

#[cfg(test)]
#[path = "exponential_tests.rs"]
mod tests;
