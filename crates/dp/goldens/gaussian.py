"""Golden values for the exact Gaussian accountant: the formula of Balle & Wang (2018, Theorem 8) by mpmath at 60 digits.

    pip install mpmath && python3 gaussian.py > gaussian.json

Rows are [sigma, epsilon, delta].
"""
import json

from mpmath import erfc, exp, mp, mpf, sqrt

mp.dps = 60


def delta(sigma, epsilon):
    sigma, epsilon = mpf(sigma), mpf(epsilon)

    def phi(x):
        return erfc(-x / sqrt(2)) / 2

    half = 1 / (2 * sigma)
    return phi(half - epsilon * sigma) - exp(epsilon) * phi(-half - epsilon * sigma)


SETTINGS = [(sigma, epsilon) for sigma in ("0.01", "0.3", "1", "4", "20", "1000", "1e6")
            for epsilon in ("0", "1e-6", "0.01", "0.5", "3", "20", "100", "5000")]

if __name__ == "__main__":
    rows = [[float(s), float(e), delta(s, e)] for s, e in SETTINGS]
    print(json.dumps([[s, e, float(d)] for s, e, d in rows if d > mpf("1e-290")]).replace("], [", "],\n["))
