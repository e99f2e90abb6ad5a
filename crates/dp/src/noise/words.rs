//! The front of a random stream, fetched in blocks.

use rand::Rng;

/// Words fetched at once: two buffers of the ChaCha generator, little enough to stay in the nearest cache.
const BLOCK: usize = 128;

/// Gives the 64-bit words of a generator's byte stream (little-endian) one by one, but fetches many at once.
///
/// Each call says how many words will surely be wanted, this one included, and no more than those are ever fetched.
/// So the generator is left just behind the last word given, whatever the size of the blocks, if that many are then
/// taken.
pub(super) struct Words<'a, R> {
    rng: &'a mut R,
    block: [[u8; 8]; BLOCK],
    next: usize,
    end: usize,
}

impl<'a, R: Rng> Words<'a, R> {
    pub(super) fn new(rng: &'a mut R) -> Self {
        Self { rng, block: [[0; 8]; BLOCK], next: 0, end: 0 }
    }

    /// The next word. At least `wanted` ≥ 1 words, with this one, will be taken.
    #[inline]
    pub(super) fn next(&mut self, wanted: usize) -> u64 {
        if self.next == self.end {
            self.fetch(wanted);
        }
        let word = u64::from_le_bytes(self.block[self.next]);
        self.next += 1;
        word
    }

    fn fetch(&mut self, wanted: usize) {
        self.end = wanted.clamp(1, BLOCK);
        self.next = 0;
        self.rng.fill_bytes(self.block[..self.end].as_flattened_mut());
    }
}
