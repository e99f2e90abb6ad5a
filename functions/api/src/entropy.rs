//! Where randomness comes from: an argument, so that tests decide what it is.

/// Fills buffers with randomness fit for identifiers, keys and noise seeds.
pub trait Entropy: Send + Sync {
    /// Overwrites all of `buffer`.
    fn fill(&self, buffer: &mut [u8]);
}

/// The operating system's generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        // Fails only where the system has no generator at all. A service that hands out secrets must then not go on.
        getrandom::fill(buffer).expect("the operating system gives randomness");
    }
}

/// `N` fresh bytes.
pub fn draw<const N: usize>(entropy: &dyn Entropy) -> [u8; N] {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes);
    bytes
}
