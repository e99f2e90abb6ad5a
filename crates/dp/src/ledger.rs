//! The account of everything released from one data set.
//!
//! Privacy loss belongs to the data, not to a job: two jobs on one file spend more than each of them says. A [`Ledger`] holds what every job
//! on one data set releases, as accountant [`Event`]s, and a [`Budget`] that all of it together stays within.
//!
//! # Contract
//! A job is *charged* for all it may release, before it releases anything; what it did not release in the end is given back when it is
//! *settled*. So at any time the charges cover what was released, whoever crashed when:
//!
//! ```text
//!            charge (refused if the whole would exceed the budget)
//!   nothing ──────────────────────────▶ reserved ──────▶ settled (no more than was reserved)
//! ```
//!
//! # The total
//! Whoever plans the second job has seen the first one's adapter, so its settings may depend on it, and plain composition theorems do not
//! cover that. A *filter* does: Feldman & Zrnic, *Individual Privacy Accounting via a Rényi Filter* (2021), show that if mechanisms are chosen
//! one after the other, each with earlier outputs in view, and the next one runs only while the sum of their Rényi divergences of one order
//! α*, fixed beforehand, stays within B, then all of it together is (α*, B)-RDP. So the order is a function of the budget alone, B is what the
//! budget's ε leaves at it by the conversion of Canonne, Kamath & Steinke (2020), and
//!
//! ```text
//! one charge:   ε by privacy loss distributions ≤ the budget's ε     (nothing was seen before it)
//! more charges: Σ RDP(α*) ≤ B
//! ```
//!
//! The first line loses nothing to the second: the first charge does not depend on any output, so whether it alone exceeds B, and is then the
//! last one, is known before anything is released.
//!
//! Everything here is pure. Who stores a ledger must do so under compare-and-swap, or two jobs racing for the last budget both get it.

use serde::{Deserialize, Serialize};

use crate::accountant::{Event, EventKind, pld, rdp};
use crate::{Delta, Epsilon};

/// Version of the stored form.
const LEDGER_VERSION: u32 = 1;

/// The most that may ever be released from a data set: ε at δ.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// The limit.
    pub epsilon: Epsilon,
    /// The δ at which all releases are composed.
    pub delta: Delta,
}

/// Where a charge stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChargeState {
    /// The job may still release all of it.
    Reserved,
    /// The job is over; this is what it released.
    Settled,
}

/// What one job costs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Charge {
    /// The job's name; a job is charged once.
    pub id: String,
    /// Unix seconds of the charge.
    pub at: u64,
    /// Releases.
    pub events: Vec<Event>,
    /// Whether they may still happen or have happened.
    pub state: ChargeState,
}

/// Why a ledger stays as it is.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The data set's budget does not allow it.
    #[error(
        "epsilon would come to {total:.3} of the {limit} that this data set may spend; {spent:.3} is spent"
    )]
    OverBudget {
        /// ε with the new charge.
        total: f64,
        /// ε of what is charged already.
        spent: f64,
        /// The budget's ε.
        limit: f64,
    },
    /// The name was charged for something else.
    #[error("`{0}` was charged for something else")]
    OtherCharge(String),
    /// There is no such charge, or it is settled.
    #[error("`{0}` has no open charge")]
    NotReserved(String),
    /// More than was reserved.
    #[error("`{0}` cannot have released more than it was charged for")]
    MoreThanReserved(String),
}

/// All charges on one data set. Never over its budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "LedgerFields", into = "LedgerFields")]
pub struct Ledger(LedgerFields);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LedgerFields {
    version: u32,
    budget: Budget,
    charges: Vec<Charge>,
}

impl TryFrom<LedgerFields> for Ledger {
    type Error = String;

    fn try_from(fields: LedgerFields) -> Result<Self, String> {
        if fields.version != LEDGER_VERSION {
            return Err(format!("a ledger of version {}; this is version {LEDGER_VERSION}", fields.version));
        }
        let names: std::collections::BTreeSet<_> = fields.charges.iter().map(|charge| &charge.id).collect();
        if names.len() != fields.charges.len() {
            return Err("two charges have one name".into());
        }
        Ok(Self(fields))
    }
}

impl From<Ledger> for LedgerFields {
    fn from(ledger: Ledger) -> Self {
        ledger.0
    }
}

impl Ledger {
    /// A ledger with nothing charged.
    pub fn new(budget: Budget) -> Self {
        Self(LedgerFields { version: LEDGER_VERSION, budget, charges: Vec::new() })
    }

    /// The limit.
    pub fn budget(&self) -> Budget {
        self.0.budget
    }

    /// All charges, oldest first.
    pub fn charges(&self) -> &[Charge] {
        &self.0.charges
    }

    /// ε of all charges together at the budget's δ, an upper bound; see the module's head for how it is summed.
    pub fn spent(&self) -> f64 {
        self.total_with(None)
    }

    /// The ledger with `event` reserved for `id`. Charging a name again for the same changes nothing.
    ///
    /// # Errors
    /// [`LedgerError::OverBudget`] if all charges together would exceed the budget; [`LedgerError::OtherCharge`] if the name has another charge.
    pub fn charge(&self, id: &str, event: Event, at: u64) -> Result<Self, LedgerError> {
        let mut next = self.clone();
        match self.find(id) {
            Some(found) if found.events == [event] => return Ok(next),
            // A job that was given up before it began, and then began after all.
            Some(found) if found.events.is_empty() => next.0.charges.retain(|charge| charge.id != id),
            Some(_) => return Err(LedgerError::OtherCharge(id.to_owned())),
            None => {}
        }
        let (total, limit) = (next.total_with(Some(event)), self.0.budget.epsilon.get());
        if total <= limit {
            let state = ChargeState::Reserved;
            next.0.charges.push(Charge { id: id.to_owned(), at, events: vec![event], state });
            Ok(next)
        } else {
            Err(LedgerError::OverBudget { total, spent: self.spent(), limit })
        }
    }

    /// True when `id` is charged for `event`.
    pub fn covers(&self, id: &str, event: Event) -> bool {
        self.find(id).is_some_and(|charge| charge.events == [event])
    }

    /// The ledger with the charge of `id` brought down to what it `released`, for good.
    ///
    /// # Errors
    /// [`LedgerError::NotReserved`] without an open charge; [`LedgerError::MoreThanReserved`] if a released event is not within a reserved one.
    pub fn settle(&self, id: &str, released: &[Event]) -> Result<Self, LedgerError> {
        let mut next = self.clone();
        let open = |charge: &&mut Charge| charge.id == id && charge.state == ChargeState::Reserved;
        let charge = next.0.charges.iter_mut().find(open);
        let charge = charge.ok_or_else(|| LedgerError::NotReserved(id.to_owned()))?;
        if released.len() > charge.events.len()
            || !released.iter().all(|part| charge.events.iter().any(|whole| is_part(*part, *whole)))
        {
            return Err(LedgerError::MoreThanReserved(id.to_owned()));
        }
        charge.events = released.to_vec();
        charge.state = ChargeState::Settled;
        Ok(next)
    }

    /// The ledger in which the charge `id` stands for those of `earlier` too: attempts at the very releases of `id`, with the same noise. A charge
    /// that is no part of that of `id` stays.
    #[must_use]
    pub fn with_attempts_merged(&self, id: &str, earlier: &[String]) -> Self {
        let mut next = self.clone();
        if let Some(whole) = self.find(id) {
            let within = |part: &Event| whole.events.iter().any(|whole| is_part(*part, *whole));
            next.0
                .charges
                .retain(|charge| !(earlier.contains(&charge.id) && charge.events.iter().all(within)));
        }
        next
    }

    /// The least noise multiplier with which a run of `steps` steps at `sampling_rate` still fits, to within 1 %; none when no sensible one does.
    pub fn affordable_noise(&self, sampling_rate: f64, steps: u64) -> Option<f64> {
        // Noise beyond a hundred leaves nothing to learn from; below a twentieth there is no privacy to speak of.
        let (mut low, mut high) = (0.05_f64, 100.0_f64);
        let fits = |noise: f64| {
            let event = Event::subsampled_gaussian(noise, sampling_rate, steps);
            event.is_ok_and(|event| self.total_with(Some(event)) <= self.0.budget.epsilon.get())
        };
        if !fits(high) {
            return None;
        }
        while high > low * 1.01 {
            let middle = (low * high).sqrt();
            if fits(middle) { high = middle } else { low = middle }
        }
        Some(high)
    }

    fn find(&self, id: &str) -> Option<&Charge> {
        self.0.charges.iter().find(|charge| charge.id == id)
    }

    fn total_with(&self, event: Option<Event>) -> f64 {
        let events: Vec<Event> =
            self.0.charges.iter().flat_map(|charge| charge.events.iter().copied()).chain(event).collect();
        match events.as_slice() {
            [] => 0.0,
            &[only] => pld::epsilon(&[only], self.0.budget.delta),
            several => self.0.budget.filtered(several),
        }
    }
}

impl Budget {
    /// ε of several events by the Rényi filter of this budget.
    fn filtered(self, events: &[Event]) -> f64 {
        let (order, conversion) = self.order();
        // The sum's rounding is far below this.
        (events.iter().map(|event| rdp_of(*event, order)).sum::<f64>() + conversion) * (1.0 + 1e-9)
    }

    /// The filter's order and what its conversion adds to ε: the order that leaves the most room for Gaussian mechanisms, whose RDP is
    /// proportional to it. A function of the budget alone.
    fn order(self) -> (f64, f64) {
        let (epsilon, ln_delta) = (self.epsilon.get(), libm::log(self.delta.get()));
        let conversion =
            |order: f64| libm::log1p(-1.0 / order) - (ln_delta + libm::log(order)) / (order - 1.0);
        let room = |order: f64| (epsilon - conversion(order)) / order;
        // Eighths up to 64: budgets between 0.2 and 100 have their best order there.
        let orders = (9..=512).map(|eighths| f64::from(eighths) / 8.0);
        // The range is not empty.
        let best = orders.max_by(|a, b| room(*a).total_cmp(&room(*b))).unwrap_or(2.0);
        (best, conversion(best))
    }
}

/// Rényi divergence of an event of order `order`, an upper bound.
fn rdp_of(event: Event, order: f64) -> f64 {
    match event.kind() {
        EventKind::PoissonSubsampledGaussian { noise_multiplier, sampling_rate, steps } => {
            steps as f64 * rdp::rdp_subsampled_gaussian(sampling_rate, noise_multiplier, order)
        }
        // A Laplace release is pure 1/scale-DP, and pure ε-DP is (α, min(ε, αε²/2))-RDP: Bun & Steinke 2016, Proposition 3.3.
        EventKind::Laplace { scale, count } => count as f64 * rdp_of_pure(1.0 / scale, order),
        EventKind::PureDp { epsilon, count } => count as f64 * rdp_of_pure(epsilon.get(), order),
    }
}

fn rdp_of_pure(epsilon: f64, order: f64) -> f64 {
    epsilon.min(order * epsilon * epsilon / 2.0)
}

/// True when `part` reveals no more than `whole`: at least the noise, at most the sampling rate and the steps.
fn is_part(part: Event, whole: Event) -> bool {
    use EventKind::PoissonSubsampledGaussian as Gaussian;
    match (part.kind(), whole.kind()) {
        (
            Gaussian { noise_multiplier, sampling_rate, steps },
            Gaussian { noise_multiplier: least, sampling_rate: rate, steps: most },
        ) => noise_multiplier >= least && sampling_rate <= rate && steps <= most,
        (part, whole) => part == whole,
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
