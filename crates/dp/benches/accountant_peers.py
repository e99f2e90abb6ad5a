"""Times other PLD accountants on the runs of accountant.rs, and measures their peak memory.

    pip install dp-accounting==0.6.0 prv-accountant==0.2.0     # opacus too, if it is to be compared
    python3 accountant_peers.py

Each query runs in a process of its own, so that its peak memory is its own; peers that are not installed are left out.
"""
import importlib.util
import json
import resource
import subprocess
import sys
import time

RUNS = {
    "small": (1.1, 0.01, 1_000, 1e-5),
    "mnist": (1.1, 256 / 60_000, 14_000, 1e-5),
    "little noise": (0.5, 0.01, 10_000, 1e-7),
    "much noise": (20, 0.5, 100_000, 1e-10),
    "rare": (0.3, 1e-4, 100_000, 1e-5),
    "rarest": (0.8, 1e-4, 100_000, 1e-10),
}


def dp_accounting(sigma, q, steps, delta):
    from dp_accounting.pld import privacy_loss_distribution as pld
    one = pld.from_gaussian_mechanism(sigma, value_discretization_interval=1e-4, sampling_prob=q)
    return one.self_compose(steps).get_epsilon_for_delta(delta)


def prv_accountant(sigma, q, steps, delta):
    from prv_accountant import PRVAccountant, PoissonSubsampledGaussianMechanism
    mechanism = PoissonSubsampledGaussianMechanism(sampling_probability=q, noise_multiplier=sigma)
    accountant = PRVAccountant(
        prvs=[mechanism], max_self_compositions=[steps], eps_error=0.01, delta_error=delta / 1000)
    return accountant.compute_epsilon(delta=delta, num_self_compositions=[steps])[2]


def opacus(sigma, q, steps, delta):
    from opacus.accountants import PRVAccountant
    accountant = PRVAccountant()
    accountant.history = [(sigma, q, steps)]
    return accountant.get_epsilon(delta)


PEERS = {"dp_accounting": dp_accounting, "prv_accountant": prv_accountant, "opacus": opacus}


def query(peer, name):
    """In this process: warm up the imports, then the query alone."""
    __import__(peer)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    epsilon = float(PEERS[peer](*RUNS[name]))
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"epsilon": epsilon, "ms": round(1e3 * seconds, 1), "peak_mb": peak // 1024, "before_mb": before // 1024}))


def main():
    for peer in PEERS:
        if importlib.util.find_spec(peer) is None:
            print(f"{peer}: not installed")
            continue
        for name in RUNS:
            try:
                result = subprocess.run(
                    [sys.executable, __file__, peer, name], capture_output=True, text=True, timeout=600, check=False)
                answer = result.stdout.strip().splitlines()[-1:] or [result.stderr.strip().splitlines()[-1]]
            except subprocess.TimeoutExpired:
                answer = ["longer than 600 s"]
            print(f"{peer}, {name}: {answer[0]}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        query(*sys.argv[1:])
    else:
        main()
