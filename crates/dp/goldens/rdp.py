"""Golden values for the Rényi accountant: the defining integral, by mpmath at 50 digits. No code is shared with the crate.

    pip install mpmath && python3 rdp.py > rdp.json

"rdp" holds [q, sigma, alpha, RDP of one step]; "epsilon" holds [sigma, q, steps, delta, epsilon], the conversion of
Canonne, Kamath & Steinke (2020, Proposition 12) minimised over real orders by golden-section search.
"""
import json

from mpmath import exp, inf, log, mp, mpf, pi, quad, sqrt

mp.dps = 50


def rdp(q, sigma, alpha):
    q, sigma, alpha = mpf(q), mpf(sigma), mpf(alpha)

    def integrand(z):
        density = exp(-(z * z) / (2 * sigma**2)) / sqrt(2 * pi * sigma**2)
        return density * (1 - q + q * exp((2 * z - 1) / (2 * sigma**2))) ** alpha

    # Split at every two standard deviations across both humps, so that tanh-sinh sees smooth pieces.
    low, high = -16 * sigma, alpha + 16 * sigma
    pieces = int((high - low) / (2 * sigma)) + 1
    nodes = [-inf] + [low + (high - low) * i / pieces for i in range(pieces + 1)] + [inf]
    return log(quad(integrand, nodes)) / (alpha - 1)


def epsilon(sigma, q, steps, delta):
    def at(log_gap):
        alpha = 1 + exp(log_gap)
        return steps * rdp(q, sigma, alpha) + log(1 - 1 / alpha) - (log(mpf(delta)) + log(alpha)) / (alpha - 1)

    low, high, ratio = mpf(-2), mpf(6), (sqrt(5) - 1) / 2
    while high - low > mpf("1e-3"):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if at(left) < at(right):
            high = right
        else:
            low = left
    return at((low + high) / 2)


RDP = [
    ("0.01", "1", "2"), ("0.01", "1", "1.5"), ("0.01", "1", "32"), ("0.01", "1", "8.7"),
    ("0.001", "0.5", "1.1"), ("0.001", "0.5", "4"), ("0.001", "0.5", "10.9"),
    ("0.3", "0.3", "1.01"), ("0.3", "0.3", "3.3"), ("0.3", "0.3", "7"),
    ("1e-6", "1.1", "2"), ("1e-6", "1.1", "5.5"), ("1e-6", "1.1", "64"),
    ("0.5", "20", "1.05"), ("0.5", "20", "100"), ("0.9", "2", "2.5"), ("0.02", "0.2", "1.3"), ("0.02", "0.2", "6.1"),
]
EPSILON = [
    ("1.1", "0.01", 1000, "1e-5"), ("0.8", "0.02", 300, "1e-6"), ("2", "0.1", 500, "1e-5"), ("4", "0.004", 10000, "1e-7"),
    ("1", "1", 1, "1e-5"),
]

if __name__ == "__main__":
    print(json.dumps({
        "rdp": [[float(q), float(s), float(a), float(rdp(q, s, a))] for q, s, a in RDP],
        "epsilon": [[float(s), float(q), n, float(d), float(epsilon(s, q, n, d))] for s, q, n, d in EPSILON],
    }, indent=1))
