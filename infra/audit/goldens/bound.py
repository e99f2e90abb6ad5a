"""Golden values for the audit's bound: Theorem 5.2 of arXiv:2305.08846, with SciPy's binomial. No code is shared with the crate.

    pip install scipy && python3 bound.py > bound.json

"p_value" holds [canaries, made, correct, epsilon, delta, p]; "bound" holds [canaries, made, correct, delta, significance,
epsilon], by Brent's method on ln p; 0 where even epsilon = 0 is not ruled out.
"""
import json

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import binom


def p_value(canaries, made, correct, epsilon, delta):
    law = binom(made, expit(epsilon))
    intervals = np.arange(1, correct + 1)
    between = law.cdf(correct - 1) - law.cdf(correct - 1 - intervals)
    escape = np.max(between / intervals, initial=0.0)
    return float(min(1.0, law.sf(correct - 1) + 2 * canaries * delta * escape))


def bound(canaries, made, correct, delta, significance):
    excess = lambda epsilon: np.log(p_value(canaries, made, correct, epsilon, delta) / significance)
    return 0.0 if excess(0.0) >= 0 else float(brentq(excess, 0.0, 30.0, xtol=1e-12))


P_VALUE = [
    (1000, 100, 75, 0.5, 1e-4), (1000, 1000, 700, 0.7, 1e-5), (1000, 1000, 1000, 5.0, 1e-5), (10, 10, 9, 1.0, 0.01),
    (10, 0, 0, 1.0, 0.01), (10, 10, 0, 1.0, 0.01), (2000, 400, 400, 3.0, 1e-5), (2000, 2000, 1500, 1.0, 0.0),
    (5000, 2000, 1100, 0.1, 1e-6), (100, 100, 100, 4.0, 1e-3), (50, 20, 15, 0.0, 1e-2),
]
BOUND = [
    (1000, 100, 75, 1e-4, 0.05), (1000, 1000, 1000, 1e-5, 0.05), (1000, 1000, 600, 1e-5, 0.05),
    (2000, 400, 398, 1e-5, 0.05 / 12), (2000, 2000, 1900, 0.0, 0.01), (100, 100, 55, 1e-5, 0.05),
]

if __name__ == "__main__":
    print(json.dumps({
        "p_value": [[*case, p_value(*case)] for case in P_VALUE],
        "bound": [[*case, bound(*case)] for case in BOUND],
    }, indent=1))
