//! A composition in one direction, removing a record or adding one: its δ(ε) and ε(δ), on a grid fine enough for them.
//!
//! The tilt and the window come from [`cumulant`](super::cumulant), before any grid. The step follows from the variance that
//! splitting adds: it moves δ(ε) like time moves the price of an option, by half the variance times the density of the loss
//! at ε, and so moves ε by half of it times density/E[e^(ε − L); L > ε], the hazard. Nothing chosen here can make a result too small.

use super::compose::{Composition, Plan, compose};
use super::cumulant::{Cumulant, Window};
use super::grid::Pmf;
use super::loss::{MAX_LOSS, MIN_NOISE_MULTIPLIER, Release, SubsampledGaussian};
use crate::accountant::{Event, EventKind};

/// The tilted mass above the window, which comes back from below, adds less than a hundred times this to δ, relative to it.
const LN_ABOVE_WINDOW: f64 = -15.0;
/// Tilted mass below the window comes back at its top, where it weighs nothing; ε itself has to lie inside.
const LN_BELOW_WINDOW: f64 = -6.0;
/// If ε lies below the window this is where to stop looking for it; the window's lower end is a valid answer too.
const LOWEST_WINDOW: f64 = -1000.0;
/// What raising the least losses to a common floor may add to the tilted mass.
const LN_RAISED: f64 = -25.0;
/// Shares of the best tilt that are tried for a narrower window.
const TILT_SHARES: [f64; 3] = [0.9, 0.8, 0.6];
/// By how much, over the number of releases, the rounding of the transform may grow beside δ: its bound then stays near 10⁻⁴ of it.
const AFFORDABLE_SHORTFALL: f64 = 1e6;
/// Beyond e^8 nothing is won.
const MAX_LN_SHORTFALL: f64 = 8.0;
/// Fewer lines would save no time, more would take 200 MB.
const LINES: std::ops::RangeInclusive<u32> = 12..=20;
/// One release spans at most this many lines.
const MAX_LINES_OF_RELEASE: f64 = (1 << 18) as f64;
/// The grid is chosen to cost ε at most this, by estimate; a part of [`DISCRETISATION_ERROR`](super::DISCRETISATION_ERROR).
const GRID_TOLERANCE: f64 = 2.5e-4;
/// How much coarser the first grid may be: eight times fewer lines.
const FIRST_LOOK: f64 = 64.0;
/// An ε as small as this needs no further digit.
pub(super) const LEAST_TOLERANCE: f64 = 1e-8;
/// Relative error of a mass by quadrature and rounding, at most; each release contributes it once.
const MASS_ERROR: f64 = 1e-12;

/// A composition in one direction.
pub(super) struct Direction {
    /// Each kind of release, with its count.
    releases: Vec<(Release, u64)>,
    count: f64,
    /// P-mass that is counted as revealed outright.
    revealed: f64,
    cumulant: Cumulant,
}

impl Direction {
    /// With tails cut off that carry at most e^`ln_tails` in all. None if a release is hopeless.
    pub(super) fn new(events: &[Event], adding: bool, ln_tails: f64) -> Option<Self> {
        let total: f64 = events.iter().map(|event| count(event.kind()) as f64).sum();
        let tail = (2.0 * (libm::log(total) - ln_tails)).sqrt();
        let mut releases: Vec<(Release, u64)> = Vec::new();
        for event in events {
            let (release, count) = (release(event.kind(), adding, tail)?, count(event.kind()));
            match releases.iter_mut().find(|(known, _)| *known == release) {
                Some((_, times)) => *times += count,
                None => releases.push((release, count)),
            }
        }
        let revealed = releases.iter().map(|(release, count)| release.outside() * *count as f64).sum();
        let cumulant = Cumulant::new(&releases);
        Some(Self { releases, count: total, revealed, cumulant })
    }

    /// ε at e^`ln_delta`, or anything not above `known` where ε is not above it.
    pub(super) fn epsilon(&self, ln_delta: f64, known: f64) -> f64 {
        let (bound, mut tilt) = self.epsilon_bound(ln_delta);
        if bound <= known {
            return bound;
        }
        // A variance v moves ε by v/2 times the hazard of the loss at ε, which is about 1 + θ. The first grid is coarse: it
        // finds about where ε is, far below the bound at times, and with it the tilt and the step to compute it with.
        let (mut guess, mut variance) = (bound, FIRST_LOOK * 2.0 * GRID_TOLERANCE * bound / (1.0 + tilt));
        let mut ln_below = LN_BELOW_WINDOW;
        loop {
            let (composition, added) = self.compose(&self.window(tilt, guess, ln_below), variance);
            let left_over = (self.revealed + composition.beyond) / libm::exp(ln_delta);
            let share = (1.0 - left_over) / self.round_up();
            if share <= 0.0 {
                return f64::INFINITY;
            }
            let found = composition.epsilon(ln_delta, share);
            let epsilon = found.epsilon.min(self.largest_loss());
            if epsilon <= known {
                return epsilon;
            }
            if epsilon <= composition.low() && ln_below > LOWEST_WINDOW {
                ln_below *= 4.0;
                continue;
            }
            let (hazard, tolerance) =
                (found.hazard.max(1.0 + tilt), (GRID_TOLERANCE * epsilon).max(LEAST_TOLERANCE));
            if added > variance || added * hazard / 2.0 <= 2.0 * tolerance {
                return epsilon;
            }
            (guess, variance, tilt) =
                (epsilon, 2.0 * tolerance / hazard, self.cumulant.tilt_for_epsilon(epsilon));
        }
    }

    /// An upper bound on ε at e^`ln_delta`, and the tilt that gives it.
    pub(super) fn epsilon_bound(&self, ln_delta: f64) -> (f64, f64) {
        let tilt = self.cumulant.tilt_for_delta(ln_delta);
        // With room for what the bound leaves out: revealed tails, and its own rounding.
        (self.cumulant.chernoff_epsilon(tilt, ln_delta - 1e-3) * (1.0 + 1e-6), tilt)
    }

    /// A bound on ln δ at `epsilon`, without the revealed part.
    pub(super) fn ln_delta_bound(&self, epsilon: f64) -> f64 {
        self.cumulant.chernoff_ln_delta(self.cumulant.tilt_for_epsilon(epsilon), epsilon)
    }

    pub(super) fn delta(&self, epsilon: f64) -> f64 {
        if epsilon >= self.largest_loss() {
            return self.revealed;
        }
        let tilt = self.cumulant.tilt_for_epsilon(epsilon);
        // ln δ is moved by v/2·θ·(1 + θ).
        let variance = 40.0 * GRID_TOLERANCE / (1.0 + tilt) / (1.0 + tilt);
        let (composition, _) = self.compose(&self.window(tilt, epsilon, 4.0 * LN_BELOW_WINDOW), variance);
        composition.delta(epsilon) * self.round_up() + composition.beyond + self.revealed
    }

    /// What a composed mass can be short of, as a factor.
    fn round_up(&self) -> f64 {
        1.0 + 1e-9 + MASS_ERROR * self.count
    }

    /// The largest loss that an atom can bring, all releases together.
    fn largest_loss(&self) -> f64 {
        self.releases.iter().map(|(release, count)| release.bounds().1 * *count as f64).sum()
    }

    /// The window to find `epsilon` in, where `best` is the tilt of the least bound.
    ///
    /// That tilt makes rare, large losses likely, and the window wide. A smaller one leaves less of the tilted mass where it
    /// matters, by its shortfall in the bound's exponent, for the rounding of the transform to be compared with; as long as that is
    /// affordable the narrowest window is taken.
    fn window(&self, best: f64, epsilon: f64, ln_below: f64) -> Window {
        let affordable = libm::log(AFFORDABLE_SHORTFALL / self.count).clamp(0.0, MAX_LN_SHORTFALL);
        let ln_best = self.cumulant.chernoff_ln_delta(best, epsilon);
        let candidate = |share: f64| {
            let tilt = share * best;
            let shortfall = self.cumulant.chernoff_ln_delta(tilt, epsilon) - ln_best;
            let window = || self.cumulant.window(tilt, ln_below - shortfall, LN_ABOVE_WINDOW - shortfall);
            (shortfall <= affordable).then(window)
        };
        let first = self.cumulant.window(best, ln_below, LN_ABOVE_WINDOW);
        let width = |window: &Window| window.high - window.low;
        TILT_SHARES.into_iter().filter_map(candidate).fold(first, |narrowest, window| {
            if width(&window) < width(&narrowest) { window } else { narrowest }
        })
    }

    /// Composes on the coarsest grid that adds at most `variance` to the loss, or on the finest there is; and what it adds.
    fn compose(&self, window: &Window, variance: f64) -> (Composition, f64) {
        let floor = (LN_RAISED - libm::log(self.count)) / window.tilt;
        let span = |(release, _): &(Release, u64)| release.bounds().1 - release.bounds().0.max(floor);
        let least_step = self.releases.iter().map(span).fold(0.0, f64::max) / MAX_LINES_OF_RELEASE;
        let grid = |exponent| self.grid(window, least_step, 1_usize << exponent);
        let fits = LINES.map(grid).find(|&(_, added)| added <= variance);
        let (plan, added) = fits.unwrap_or_else(|| grid(*LINES.end()));
        let discretise =
            |&(release, count): &(Release, u64)| (Pmf::discretise(&release, plan.step, floor), count);
        let parts: Vec<_> = self.releases.iter().map(discretise).collect();
        (compose(&parts, plan), added)
    }

    /// The grid of `len` lines over `window`, and the variance that splitting onto it adds.
    fn grid(&self, window: &Window, least_step: f64, len: usize) -> (Plan, f64) {
        let (tilt, width) = (window.tilt, window.high - window.low);
        // Splitting spreads the composition; eight standard deviations of that, and a hundredth, are added on top.
        let spread = self.cumulant.split_variance(tilt, (width / len as f64).max(least_step)).sqrt();
        let margin = 8.0 * spread + width / 100.0;
        // Four lines, for the rounding of the window's ends and of the largest loss to lines.
        let step = ((width + margin) / (len - 4) as f64).max(least_step);
        // Where the losses are bounded the best tilt above them is infinite; this one makes e^−42 of the margin.
        let tilt_above = window.tilt_above.min(tilt + 42.0 / margin.max(2.0 * step));
        let plan = Plan { step, first: (window.low / step).floor() as i64, len, tilt, tilt_above };
        (plan, self.cumulant.split_variance(tilt, step))
    }
}

fn count(kind: EventKind) -> u64 {
    match kind {
        EventKind::PoissonSubsampledGaussian { steps: count, .. }
        | EventKind::Laplace { count, .. }
        | EventKind::PureDp { count, .. } => count,
    }
}

/// The release behind an event, Gaussian tails cut off at `tail` standard deviations. None if it is hopeless.
fn release(kind: EventKind, adding: bool, tail: f64) -> Option<Release> {
    let release = match kind {
        EventKind::PoissonSubsampledGaussian { noise_multiplier: sigma, sampling_rate: rate, .. } => {
            if sigma < MIN_NOISE_MULTIPLIER {
                return None;
            }
            Release::Gaussian(SubsampledGaussian { sigma, rate, tail, adding: adding && rate < 1.0 })
        }
        EventKind::Laplace { scale, .. } => Release::Laplace { shift: 1.0 / scale },
        EventKind::PureDp { epsilon, .. } => Release::Pure { epsilon: epsilon.get() },
    };
    let (low, high) = release.bounds();
    (-low <= MAX_LOSS && high <= MAX_LOSS).then_some(release)
}

#[cfg(test)]
#[path = "direction_tests.rs"]
mod tests;
