"""Golden values for the PLD accountant: Google's dp-accounting, and a contour integral. No code is shared with the crate.

    pip install dp-accounting==0.6.0 && python3 pld.py > pld.json

"steps" holds [sigma, q, steps, delta, interval, upper, lower, exact]: Poisson-subsampled Gaussian, add or remove one.
* "upper" is dp-accounting's pessimistic connect-the-dots estimate with a value discretisation of 1e-4 (coarser, where that
  would take gigabytes: "interval");
* "lower" is its optimistic estimate with the same, by privacy buckets, which shift the loss by up to half an interval a step;
* "exact" has no grid at all: with K(s) = ln E[e^(s*loss)] of all steps together and any c > 0

      delta(epsilon) = 1/(2 pi i) * integral from c - i*inf to c + i*inf of e^(K(s) - s*epsilon) / (s*(s + 1)) ds

  by the trapezoid rule in the saddle point's c, K by the trapezoid rule over 40 standard deviations; null where the integrand
  decays too slowly for that.
"compositions" holds {"events", "delta", "upper", "lower"}: different mechanisms composed.
"""
import itertools
import json
import math
import sys

import numpy as np
from dp_accounting.pld import privacy_loss_distribution as pld

SIGMAS = (0.3, 0.5, 0.8, 1.1, 2, 5, 20)
RATES = (1e-4, 1e-3, 0.01, 0.1, 0.5, 1)
STEPS = (1, 10, 100, 1_000, 10_000, 100_000)
DELTAS = (1e-10, 1e-7, 1e-5, 1e-3)
EXTREMES = [
    (0.3, 1e-4, 1, 1e-10), (0.3, 1e-4, 2, 1e-10), (0.3, 1e-4, 10, 1e-3), (0.3, 1e-4, 100, 1e-3), (0.3, 1e-4, 1000, 1e-5),
    (0.3, 1e-4, 100_000, 1e-3), (0.3, 1e-4, 100_000, 1e-10), (20, 1e-4, 100_000, 1e-10), (20, 1e-4, 1, 1e-10),
    (20, 0.5, 100_000, 1e-10), (20, 1, 100_000, 1e-3), (0.3, 0.99, 100, 1e-7), (1.1, 256 / 60_000, 14_000, 1e-5),
]


def estimate(sigma, q, steps, interval, pessimistic):
    return pld.from_gaussian_mechanism(
        sigma, value_discretization_interval=interval, sampling_prob=q, pessimistic_estimate=pessimistic,
        use_connect_dots=pessimistic).self_compose(steps)


def atoms(sigma, q, adding, frequency):
    """ln P-mass and loss of one step on a mesh fine enough for e^(i*frequency*loss): there the trapezoid rule is exponentially exact."""
    reach = 20 * sigma
    mesh = min(min(sigma, sigma**2) / 12, sigma**2 / max(frequency, 1e-300))
    x = np.arange(-reach, 1 + reach, mesh)
    ln_q = -(x / sigma) ** 2 / 2 - math.log(sigma * math.sqrt(2 * math.pi)) + math.log(mesh)
    shift = (2 * x - 1) / (2 * sigma**2)
    loss = shift if q == 1 else np.logaddexp(math.log1p(-q), math.log(q) + shift)
    # For small q and shift the difference of nearly equal numbers needs log1p.
    if q < 1:
        near = shift < 30
        loss[near] = np.log1p(q * np.expm1(shift[near]))
    return (ln_q, -loss) if adding else (ln_q + loss, loss)


def exact_in_direction(sigma, q, steps, delta, adding):
    ln_mass, loss = atoms(sigma, q, adding, 0)

    def cumulant(c):
        exponents = ln_mass + c * loss
        top = exponents.max()
        masses = np.exp(exponents - top)
        return steps * (top + math.log(masses.sum())), steps * (masses @ loss) / masses.sum(), masses / masses.sum()

    # The saddle point of ln delta(epsilon) at delta: c K' - K + ln(1 + c) = -ln delta.
    low, high = -20.0, 30.0
    for _ in range(60):
        c = math.exp((low + high) / 2)
        k, slope, _ = cumulant(c)
        low, high = ((low + high) / 2, high) if c * slope - k + math.log1p(c) < -math.log(delta) else (low, (low + high) / 2)
    k, _, tilted = cumulant(c)
    # Any c will do; one that makes losses likely which lie at the end of the mesh will not.
    while max(tilted[0], tilted[-1]) > 1e-25:
        c *= 0.9
        k, _, tilted = cumulant(c)
    deviation = math.sqrt(steps * max(tilted @ loss**2 - (tilted @ loss) ** 2, 1e-300))
    # A period of 60 standard deviations; until the integrand has fallen by 1e-13.
    mesh = 2 * math.pi / (60 * deviation + 60 / c)
    integrand, start, work, frequency = [], 0, 0, 0.0
    while True:
        t = (start + np.arange(64)) * mesh
        if t[-1] > frequency:
            frequency = 2 * t[-1]
            if frequency * (1 + 40 * sigma) / sigma**2 > 3e5:
                return None
            ln_mass, loss = atoms(sigma, q, adding, frequency)
            tilted = np.exp(ln_mass + c * loss - k / steps)
        work += len(t) * len(loss)
        if work > 5e7:
            return None
        one = np.exp(1j * np.outer(t, loss)) @ tilted
        s = c + 1j * t
        part = one**steps / (s * (s + 1))
        integrand.append(part)
        start += len(t)
        if np.abs(part).max() < 1e-13 * abs(integrand[0][0]):
            break
    values = np.concatenate(integrand)
    values[0] /= 2
    t = np.arange(len(values)) * mesh

    def at(epsilon):
        """delta over the asked one."""
        scale = math.exp(k - c * epsilon - math.log(delta))
        return scale * (np.exp(-1j * t * epsilon) @ values).real * mesh / math.pi

    # From the Chernoff bound down, for far below the saddle point the sum is all rounding.
    high = (k - math.log(delta) + c * math.log(c) - (1 + c) * math.log1p(c)) / c
    low = high
    while at(low) < 1:
        if low < 0:
            return 0.0
        high, low = low, low - 0.25 / c
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if at(middle) > 1 else (low, middle)
    return max(high, 0.0)


def exact(sigma, q, steps, delta):
    both = [exact_in_direction(sigma, q, steps, delta, adding) for adding in ((False, True) if q < 1 else (False,))]
    return None if None in both else float(max(both))


def row(sigma, q, steps, delta):
    variance = math.log1p(q * q * math.expm1(min(1 / sigma**2, 40)))
    size = max(steps * variance / 2 + 12 * math.sqrt(steps * variance), 1.0)
    interval = max(1e-4, size / 4e6)
    upper = estimate(sigma, q, steps, interval, True).get_epsilon_for_delta(delta)
    lower = estimate(sigma, q, steps, interval, False).get_epsilon_for_delta(delta)
    result = [sigma, q, steps, delta, interval, upper, lower, exact(sigma, q, steps, delta)]
    print(*result, file=sys.stderr, flush=True)
    return result


def one(event, interval, pessimistic):
    kind, parameter, rate, count = event
    options = {"value_discretization_interval": interval, "pessimistic_estimate": pessimistic}
    if kind == "gaussian":
        result = pld.from_gaussian_mechanism(parameter, sampling_prob=rate, use_connect_dots=pessimistic, **options)
    elif kind == "laplace":
        result = pld.from_laplace_mechanism(parameter, use_connect_dots=pessimistic, **options)
    else:
        # Binary randomised response: its noise parameter is the chance of a coin toss.
        result = pld.from_randomized_response(2 / (1 + math.exp(parameter)), 2, **options)
    return result.self_compose(count)


def composed(events, delta, interval=1e-4):
    def epsilon(pessimistic):
        parts = [one(event, interval, pessimistic) for event in events]
        total = parts[0]
        for part in parts[1:]:
            total = total.compose(part)
        return total.get_epsilon_for_delta(delta)

    return {"events": events, "delta": delta, "upper": epsilon(True), "lower": epsilon(False)}


COMPOSITIONS = [
    ([("gaussian", 1.1, 0.01, 1000), ("gaussian", 2.0, 0.1, 50)], 1e-5),
    ([("gaussian", 0.8, 0.02, 300), ("laplace", 5.0, 1, 10)], 1e-6),
    ([("gaussian", 1.5, 0.05, 200), ("laplace", 2.0, 1, 4), ("pure", 0.5, 1, 3)], 1e-5),
    ([("gaussian", 10.0, 1, 30), ("laplace", 20.0, 1, 100)], 1e-8),
    ([("laplace", 1.0, 1, 20)], 1e-5),
    ([("pure", 1.0, 1, 50)], 1e-6),
    ([("pure", 4.0, 1, 2), ("gaussian", 1.0, 0.001, 1000)], 1e-7),
]

if __name__ == "__main__":
    everything = list(itertools.product(SIGMAS, RATES, STEPS, DELTAS))
    # Every eleventh of the grid: 11 is coprime to each axis, so all values meet one another.
    chosen = EXTREMES + [setting for setting in everything[::11] if setting not in EXTREMES]
    print(json.dumps({
        "steps": [row(*setting) for setting in chosen],
        "compositions": [composed(*setting) for setting in COMPOSITIONS],
    }, indent=None).replace("], [", "],\n[").replace("}, {", "},\n{"))
