//! Keys and values of the tokens read so far.

use std::sync::Arc;

/// What a model remembers of the tokens it has read: per token one shared cell with the keys and values of every layer.
///
/// Cells never change, so that a clone shares them and costs a pointer a token; cutting and dropping free what nobody else
/// holds.
#[derive(Clone, Default)]
pub struct KeyValueCache {
    pub(super) cells: Vec<Arc<[f32]>>,
}

impl KeyValueCache {
    /// An empty cache: nothing read.
    pub fn new() -> Self {
        Self::default()
    }

    /// Tokens read.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether nothing was read.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Forgets all but the first `length` tokens; nothing if there are not more.
    pub fn truncate(&mut self, length: usize) {
        self.cells.truncate(length);
    }
}

impl std::fmt::Debug for KeyValueCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Keys and values tell the text.
        f.debug_struct("KeyValueCache").field("tokens", &self.len()).finish_non_exhaustive()
    }
}
