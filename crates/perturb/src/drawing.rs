//! Perturbing many tokens piece by piece, in the order that is cheapest for the mechanism.
//!
//! The exponential mechanism makes a table of the whole vocabulary for each token that it perturbs, so it goes from token to token of
//! the vocabulary and draws for all places of one at once. The others go through the text. Either way each draw is
//! independent of the others, so the order changes nothing but which random bits go where.

use rand::CryptoRng;

use crate::Channel;

/// Draws whose vectors are held at once: 1,024 of 50 coordinates are 400 KB, and a tenth of a second of search in a browser.
const BATCH: usize = 1024;
/// Items whose places are drawn together: some tens of milliseconds of work.
const GROUP: usize = 64;

/// Ids on their way through a channel.
pub(crate) struct Drawing {
    // Originals, replaced by their perturbed ones place by place.
    ids: Vec<u32>,
    // All places, those of one id together; only where the mechanism goes by id.
    places: Option<Vec<u32>>,
    done: usize,
}

impl Drawing {
    pub(crate) fn new(channel: &Channel, mut ids: Vec<u32>) -> Self {
        let domain = channel.domain();
        // See `Channel`: an unknown id passes as the first item, never in clear.
        ids.iter_mut().for_each(|id| *id = domain.index(*id).unwrap_or(0));
        let places = channel.sampler().goes_by_item().then(|| {
            let mut places: Vec<u32> = (0..ids.len() as u32).collect();
            places.sort_unstable_by_key(|&place| (ids[place as usize], place));
            places
        });
        Self { ids, places, done: 0 }
    }

    /// How many ids have been perturbed.
    pub(crate) fn done(&self) -> usize {
        self.done
    }

    pub(crate) fn is_done(&self) -> bool {
        self.done == self.ids.len()
    }

    /// Perturbs the next ids: for about `nanoseconds`, but one batch at least.
    pub(crate) fn step(&mut self, channel: &Channel, rng: &mut impl CryptoRng, nanoseconds: usize) {
        let mut left = nanoseconds;
        while !self.is_done() && left > 0 {
            left = left.saturating_sub(match self.places {
                None => self.draw_batch(channel, rng),
                Some(_) => self.draw_groups(channel, rng),
            });
        }
    }

    /// Perturbs the next places of the text; gives the cost.
    fn draw_batch(&mut self, channel: &Channel, rng: &mut impl CryptoRng) -> usize {
        let end = self.ids.len().min(self.done + BATCH);
        let ids = &mut self.ids[self.done..end];
        self.done = end;
        channel.sampler().draw(ids, rng);
        ids.iter_mut().for_each(|item| *item = channel.domain().id(*item));
        channel.sampler().cost(ids.len(), ids.len())
    }

    /// Perturbs all places of the next items; gives the cost.
    fn draw_groups(&mut self, channel: &Channel, rng: &mut impl CryptoRng) -> usize {
        let Some(places) = &self.places else { return 0 };
        let (mut items, mut counts) = (Vec::new(), Vec::<usize>::new());
        let mut end = self.done;
        // Places that are still to do hold their originals.
        for &place in &places[self.done..] {
            let item = self.ids[place as usize];
            if items.last() != Some(&item) {
                if items.len() == GROUP {
                    break;
                }
                items.push(item);
                counts.push(0);
            }
            // An item was pushed before the first count.
            *counts.last_mut().expect("there is a count for each item") += 1;
            end += 1;
        }
        let mut outputs = vec![0; end - self.done];
        channel.sampler().draw_groups(&items, &counts, rng, &mut outputs);
        for (&place, item) in places[self.done..end].iter().zip(outputs) {
            self.ids[place as usize] = channel.domain().id(item);
        }
        self.done = end;
        channel.sampler().cost(items.len(), counts.iter().sum())
    }

    /// The perturbed ids.
    pub(crate) fn into_ids(self) -> Vec<u32> {
        self.ids
    }
}

#[cfg(test)]
#[path = "drawing_tests.rs"]
mod tests;
