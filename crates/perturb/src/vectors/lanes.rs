//! Eight integer lanes, in whatever vectors the processor has.
//!
//! The search spends nearly all of its time in one operation: products of pairs of 16-bit integers, added to 32-bit
//! sums. WASM's SIMD and x86 have an instruction for it, which compilers do not find reliably, so it is asked for by
//! name; everything else is left to them. [`run`] compiles a [`Kernel`] for each kind of lanes and picks at run time.
//! All kinds give the same integers.

/// Words side by side in one vector.
pub(super) const LANES: usize = 8;
/// Two 16-bit integers of each lane.
pub(super) type Pairs = [i16; 2 * LANES];

/// Eight 32-bit sums.
pub(super) trait Lanes: Copy {
    /// The same pair of 16-bit integers in each lane, ready for [`add_products`](Self::add_products).
    type Pair: Copy;

    /// Eight pairs from memory.
    fn load(pairs: &Pairs) -> Self;

    /// One pair, as [`pack`] makes it, for all lanes.
    fn splat(pair: i32) -> Self::Pair;

    /// Sums from memory.
    fn from_array(sums: &[i32; LANES]) -> Self;

    /// Sums to memory.
    fn to_array(self) -> [i32; LANES];

    /// `self` + the sum of both products of the pairs, lane by lane, wrapping.
    fn add_products(self, pairs: Self, other: Self::Pair) -> Self;

    /// The larger, lane by lane.
    fn max(self, other: Self) -> Self;
}

/// Two integers in one, the first below.
pub(super) fn pack([low, high]: [i16; 2]) -> i32 {
    i32::from(high) << 16 | i32::from(low as u16)
}

/// Work that is compiled for each kind of lanes.
pub(super) trait Kernel {
    /// Does it. To be marked `#[inline(always)]`, so that it is compiled with its caller's instructions.
    fn run<L: Lanes>(self);
}

/// Runs `kernel` with the widest lanes that there are.
pub(super) fn run(kernel: impl Kernel) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2, as the line above asked it.
        return unsafe { x86::run(kernel) };
    }
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    kernel.run::<wasm::Simd128>();
    #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
    kernel.run::<Portable>();
}

/// Lanes in plain integers, for processors without a kind of their own.
#[derive(Clone, Copy)]
#[cfg_attr(all(target_arch = "wasm32", target_feature = "simd128"), allow(dead_code))]
pub(super) struct Portable([i32; LANES]);

impl Lanes for Portable {
    type Pair = i32;

    #[inline(always)]
    fn load(pairs: &Pairs) -> Self {
        Self(std::array::from_fn(|lane| pack([pairs[2 * lane], pairs[2 * lane + 1]])))
    }

    #[inline(always)]
    fn splat(pair: i32) -> i32 {
        pair
    }

    #[inline(always)]
    fn from_array(sums: &[i32; LANES]) -> Self {
        Self(*sums)
    }

    #[inline(always)]
    fn to_array(self) -> [i32; LANES] {
        self.0
    }

    #[inline(always)]
    fn add_products(self, pairs: Self, other: i32) -> Self {
        let low = |pair: i32| i32::from(pair as i16);
        let products =
            |pair: i32| (low(pair) * low(other)).wrapping_add((pair >> 16).wrapping_mul(other >> 16));
        Self(std::array::from_fn(|lane| self.0[lane].wrapping_add(products(pairs.0[lane]))))
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        Self(std::array::from_fn(|lane| self.0[lane].max(other.0[lane])))
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Kernel, LANES, Lanes, Pairs};

    /// Lanes of one AVX2 register. Made by [`run`] alone, so whoever holds one runs on a processor with AVX2.
    #[derive(Clone, Copy)]
    pub(super) struct Avx2(__m256i);

    #[target_feature(enable = "avx2")]
    pub(super) fn run(kernel: impl Kernel) {
        kernel.run::<Avx2>();
    }

    // SAFETY, of each block below: the processor has AVX2, since only `run` names this type; loads and stores are
    // unaligned ones of 32 bytes, through references to arrays of that size.
    impl Lanes for Avx2 {
        type Pair = __m256i;

        #[inline(always)]
        fn load(pairs: &Pairs) -> Self {
            // SAFETY: as above.
            Self(unsafe { _mm256_loadu_si256(pairs.as_ptr().cast()) })
        }

        #[inline(always)]
        fn splat(pair: i32) -> __m256i {
            // SAFETY: as above.
            unsafe { _mm256_set1_epi32(pair) }
        }

        #[inline(always)]
        fn from_array(sums: &[i32; LANES]) -> Self {
            // SAFETY: as above.
            Self(unsafe { _mm256_loadu_si256(sums.as_ptr().cast()) })
        }

        #[inline(always)]
        fn to_array(self) -> [i32; LANES] {
            let mut sums = [0; LANES];
            // SAFETY: as above.
            unsafe { _mm256_storeu_si256(sums.as_mut_ptr().cast(), self.0) };
            sums
        }

        #[inline(always)]
        fn add_products(self, pairs: Self, other: __m256i) -> Self {
            // SAFETY: as above.
            Self(unsafe { _mm256_add_epi32(self.0, _mm256_madd_epi16(pairs.0, other)) })
        }

        #[inline(always)]
        fn max(self, other: Self) -> Self {
            // SAFETY: as above.
            Self(unsafe { _mm256_max_epi32(self.0, other.0) })
        }
    }
}

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm {
    use std::arch::wasm32::*;

    use super::{LANES, Lanes, Pairs};

    /// Lanes of two WASM vectors.
    #[derive(Clone, Copy)]
    pub(super) struct Simd128([v128; 2]);

    // SAFETY, of each block below: loads and stores, which WASM lets lie anywhere, are of 16 bytes at offsets 0 and 16
    // of a reference to an array of 32.
    impl Lanes for Simd128 {
        type Pair = v128;

        #[inline(always)]
        fn load(pairs: &Pairs) -> Self {
            let halves = pairs.as_ptr().cast::<v128>();
            // SAFETY: as above.
            Self(unsafe { [v128_load(halves), v128_load(halves.add(1))] })
        }

        #[inline(always)]
        fn splat(pair: i32) -> v128 {
            i32x4_splat(pair)
        }

        #[inline(always)]
        fn from_array(sums: &[i32; LANES]) -> Self {
            let halves = sums.as_ptr().cast::<v128>();
            // SAFETY: as above.
            Self(unsafe { [v128_load(halves), v128_load(halves.add(1))] })
        }

        #[inline(always)]
        fn to_array(self) -> [i32; LANES] {
            let mut sums = [0; LANES];
            let halves = sums.as_mut_ptr().cast::<v128>();
            // SAFETY: as above.
            unsafe { v128_store(halves, self.0[0]) };
            // SAFETY: as above.
            unsafe { v128_store(halves.add(1), self.0[1]) };
            sums
        }

        #[inline(always)]
        fn add_products(self, pairs: Self, other: v128) -> Self {
            let sum = |half: usize| i32x4_add(self.0[half], i32x4_dot_i16x8(pairs.0[half], other));
            Self([sum(0), sum(1)])
        }

        #[inline(always)]
        fn max(self, other: Self) -> Self {
            Self([i32x4_max(self.0[0], other.0[0]), i32x4_max(self.0[1], other.0[1])])
        }
    }
}

#[cfg(test)]
#[path = "lanes_tests.rs"]
mod tests;
