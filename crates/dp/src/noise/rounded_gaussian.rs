//! The Gaussian, rounded to integers, exactly.
//!
//! # Contract
//! [`sample`] draws N = round(G) for G ~ N(0, σ²), σ = [`STANDARD_DEVIATION`] = 2²⁴:
//!
//! ```text
//! P(N = n) = Φ((n + ½)/σ) − Φ((n − ½)/σ)
//! ```
//!
//! within 2⁻¹⁰⁵ in total variation. [`fill`] gives the same draws as as many calls of [`sample`] and leaves the
//! generator at the same place.
//!
//! # Why rounding is enough
//! Let a query's value x lie on the lattice s·ℤ, whatever the data. Then x + s·N = s·round(x/s + G): a function,
//! rounding, of the outcome of the real-valued Gaussian mechanism with standard deviation s·σ. By post-processing
//! every guarantee of the latter, subsampled, composed or in any accountant, holds for the former too. Its outcomes
//! are integers, the same set for all data, so no low bit of a floating-point number tells anything (Mironov 2012).
//! What is left is the error above: k draws move any δ by at most (1 + e^ε)·k·2⁻¹⁰⁵, 2.5e-20·(1 + e^ε)
//! for 10¹² draws. (The discrete Gaussian of Canonne, Kamath & Steinke 2020 is the other way to the same end; it
//! needs accountants of its own.)
//!
//! # Order of draws
//! From 64-bit words of the stream, little-endian. Each try takes one word: bits 0–7 choose the layer i of the
//! [ziggurat], bit 8 the sign, and bits 9–63, u, the column n = ⌊u·wᵢ·2⁻⁵⁵⌋; u·wᵢ mod 2⁵⁵ < 2⁵⁵ mod wᵢ is refused,
//! which makes n uniform (Lemire 2019), and so is −0, which would count 0 twice. If n ≥ wᵢ₊₁ two more words, high
//! then low, choose the height, and the try fails if it is not below the density. Pinned by fixed vectors: to change
//! it changes what a replayed step releases.
//!
//! Not hidden: the time that a draw takes varies with the draw.
//!
//! [ziggurat]: https://doi.org/10.18637/jss.v005.i08

use std::sync::LazyLock;

use rand::CryptoRng;

use super::words::Words;
use super::ziggurat::Ziggurat;

const LOG2_SIGMA: u32 = 24;
/// Standard deviation of the Gaussian that is rounded. Fine enough that a clipped gradient of 10⁸ coordinates keeps its
/// digits beside it, and coarse enough that a draw takes one 64-bit word.
pub const STANDARD_DEVIATION: f64 = (1_u32 << LOG2_SIGMA) as f64;
/// Least area, in units of 2⁻⁴⁰·σ, by `goldens/rounded_gaussian.py`; the 256 layers
/// exceed the area under the density by 0.96 %.
const AREA: u64 = 5_434_612_907;

static ZIGGURAT: LazyLock<Ziggurat> = LazyLock::new(|| Ziggurat::new(LOG2_SIGMA, AREA));

/// One draw.
pub fn sample(rng: &mut impl CryptoRng) -> i32 {
    let mut draw = [0];
    fill(rng, &mut draw);
    draw[0]
}

/// As many independent draws as `draws` has places.
pub fn fill(rng: &mut impl CryptoRng, draws: &mut [i32]) {
    fill_from(&ZIGGURAT, &mut Words::new(rng), draws);
}

fn fill_from<R: CryptoRng>(ziggurat: &Ziggurat, words: &mut Words<'_, R>, draws: &mut [i32]) {
    let mut left = draws.len();
    for draw in draws {
        // Each draw that is left, this one included, takes one word at least.
        *draw = loop {
            let word = words.next(left);
            if let Some(value) = quick(ziggurat, word).or_else(|| thorough(ziggurat, word, words, left)) {
                break value;
            }
        };
        left -= 1;
    }
}

const SIGN: u64 = 1 << 8;
const COLUMN: u64 = !0x1ff;

/// The draw of a try that needs no more than its first word, as 98 of 100 do.
#[inline]
fn quick(ziggurat: &Ziggurat, word: u64) -> Option<i32> {
    let columns = ziggurat.columns((word & 0xff) as usize);
    let (column, remainder) = column(word, columns.all);
    // 0 < column < inside, in one comparison; and no remainder below 2⁵⁵ mod wᵢ, since it is not even below wᵢ.
    let clear =
        column.wrapping_sub(1) < columns.inside.saturating_sub(1) && remainder >= u64::from(columns.all) << 9;
    clear.then(|| signed(word, column))
}

/// The draw of any try, if it does not fail.
#[cold]
fn thorough<R: CryptoRng>(
    ziggurat: &Ziggurat,
    word: u64,
    words: &mut Words<'_, R>,
    left: usize,
) -> Option<i32> {
    let layer = (word & 0xff) as usize;
    let columns = ziggurat.columns(layer);
    let (column, remainder) = column(word, columns.all);
    let biased = remainder >> 9 < (1 << 55) % u64::from(columns.all);
    let negative_zero = column == 0 && word & SIGN != 0;
    if biased || negative_zero {
        return None;
    }
    if column >= columns.inside {
        let share = u128::from(words.next(left)) << 64 | u128::from(words.next(left));
        if !ziggurat.is_below_density(layer, column, share) {
            return None;
        }
    }
    Some(signed(word, column))
}

/// u·`width` = column·2⁵⁵ + remainder for the word's upper 55 bits u; the remainder is given times 2⁹.
#[inline]
fn column(word: u64, width: u32) -> (u32, u64) {
    let upper = word & COLUMN;
    // WASM has no product of more than 64 bits: a 128-bit one is a call there. Elsewhere it is one instruction.
    if cfg!(target_arch = "wasm32") {
        return product_by_halves(upper, width);
    }
    let product = u128::from(upper) * u128::from(width);
    ((product >> 64) as u32, product as u64)
}

/// `word`·`width` in bits 64 and up, and below, for a width of 28 bits, with which neither half nor the sum overflows.
#[inline]
fn product_by_halves(word: u64, width: u32) -> (u32, u64) {
    let low = (word & 0xffff_ffff) * u64::from(width);
    let high = (word >> 32) * u64::from(width) + (low >> 32);
    ((high >> 32) as u32, high << 32 | (low & 0xffff_ffff))
}

#[inline]
fn signed(word: u64, column: u32) -> i32 {
    // Columns are below 2²⁸.
    if word & SIGN == 0 { column as i32 } else { -(column as i32) }
}

#[cfg(test)]
#[path = "rounded_gaussian_tests.rs"]
mod tests;
