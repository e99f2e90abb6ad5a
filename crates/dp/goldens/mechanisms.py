"""Golden values for the local mechanisms, from their documented contracts: discrete Laplace draws, weights, exact ε.

    pip install mpmath
    python3 mechanisms.py > mechanisms.json
"""
import json

from mpmath import e, erfc, exp, log, mp, mpf, sqrt

from streams import PERTURBATION, Stream

mp.dps = 60


def below(stream, bound):
    """As streams.Stream.below; where one value leaves no choice, a word is taken too."""
    bits = (bound - 1).bit_length()
    while True:
        draw = stream.u64() >> (64 - bits)
        if draw < bound:
            return draw


def bernoulli_exp(stream, numerator, denominator):
    place = 1
    while below(stream, denominator) < numerator and below(stream, place) == 0:
        place += 1
    return place % 2 == 1


def discrete_laplace(stream, scale):
    while True:
        remainder = below(stream, scale)
        if not bernoulli_exp(stream, remainder, scale):
            continue
        quotient = 0
        while bernoulli_exp(stream, 1, 1):
            quotient += 1
        magnitude = remainder + scale * quotient
        negative = below(stream, 2)
        if not (negative and magnitude == 0):
            return -magnitude if negative else magnitude


def laplace_draws(scale):
    stream = Stream(PERTURBATION)
    return [discrete_laplace(stream, scale) for _ in range(40)]


def normal(x):
    return erfc(-x / sqrt(2)) / 2


def gaussian_epsilon(sigma, delta):
    """The root of Balle & Wang's Theorem 8, in sixty digits."""
    sigma, delta = mpf(sigma), mpf(delta)
    half = 1 / (2 * sigma)

    def gap(epsilon):
        return normal(half - epsilon * sigma) - e**epsilon * normal(-half - epsilon * sigma) - delta

    low, high = mpf(0), (sqrt(-2 * log(delta)) + half) / sigma
    for _ in range(150):
        middle = (low + high) / 2
        low, high = (low, middle) if gap(middle) <= 0 else (middle, high)
    return float(high)


SIGMAS = [0.1 / (2 * sqrt(50)), 0.01, 0.3, 1, 4, 100]
if __name__ == "__main__":
    rates = [(0.5, 2.0, 40), (7.0, 1.5, 45), (20.0, 10.0, 52)]
    print(json.dumps({
        "discrete_laplace": [{"scale": t, "draws": laplace_draws(t)} for t in (1, 3, 1000, 2**40 + 1)],
        "gaussian_epsilon": [[float(s), d, gaussian_epsilon(float(s), d)] for s in SIGMAS for d in (1e-5, 1e-10)],
        # Epsilon, largest distance, bits; then the real weight at each eighth of the distance.
        "weights": [[eps, dist, bits, [int(mpf(2)**bits * exp(-mpf(eps) * i / 16)) for i in range(9)]]
                    for eps, dist, bits in rates],
    }))
