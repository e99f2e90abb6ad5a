//! Who may use the queue, and which messages each of them holds.
//!
//! A worker process is known by a capability: 128 random bits that are part of its queue's address. They are kept as hashes, so that the time of
//! a look-up says nothing about them.

use api_function::{Entropy, draw};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A message that a worker holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    /// Names the delivery.
    pub(crate) receipt: String,
    /// What was sent.
    pub(crate) body: String,
}

/// The capabilities that are valid, each with the deliveries that were handed out for it and not settled yet.
#[derive(Default)]
pub(crate) struct Grants(Mutex<HashMap<[u8; 32], Deliveries>>);

/// Bodies by receipt.
type Deliveries = BTreeMap<String, String>;

impl Grants {
    /// Makes a capability.
    pub(crate) fn admit(&self, entropy: &dyn Entropy) -> String {
        let capability = hex::encode(draw::<16>(entropy));
        self.lock().insert(hash(&capability), Deliveries::new());
        capability
    }

    /// Ends a capability and returns what was held under it.
    pub(crate) fn revoke(&self, capability: &str) -> Vec<Held> {
        let held = self.lock().remove(&hash(capability)).unwrap_or_default();
        held.into_iter().map(|(receipt, body)| Held { receipt, body }).collect()
    }

    /// True while the capability is valid.
    pub(crate) fn allows(&self, capability: &str) -> bool {
        self.lock().contains_key(&hash(capability))
    }

    /// Notes a delivery; false when the capability is not valid any more.
    pub(crate) fn hold(&self, capability: &str, held: Held) -> bool {
        let mut grants = self.lock();
        let Some(deliveries) = grants.get_mut(&hash(capability)) else { return false };
        deliveries.insert(held.receipt, held.body);
        true
    }

    /// Forgets a delivery; false when it was not this worker's.
    pub(crate) fn settle(&self, capability: &str, receipt: &str) -> bool {
        self.lock().get_mut(&hash(capability)).is_some_and(|held| held.remove(receipt).is_some())
    }

    /// The bodies of all messages that anybody holds.
    pub(crate) fn all_held(&self) -> Vec<String> {
        self.lock().values().flat_map(|held| held.values().cloned()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], Deliveries>> {
        // Every change is one map operation, so a panic elsewhere leaves the maps whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hash(capability: &str) -> [u8; 32] {
    Sha256::digest(capability).into()
}

#[cfg(test)]
#[path = "grants_tests.rs"]
mod tests;
