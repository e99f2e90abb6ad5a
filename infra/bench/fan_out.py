"""One step of DP-SGD by K functions: measured on this machine with worker processes, and modelled for AWS Lambda.

Usage: python fan_out.py DPFT [--model-only] [--request S] [--bandwidth B] [--send S] [--hop S]. `cargo xtask bench fan-out` builds the program
and runs it. The model's compute is what `cargo xtask bench trainer` measured; whoever has measured latencies in a region of their own gives them.
"""

import argparse
import math
import sys
import time
from dataclasses import dataclass, fields

from service import FINAL, ROOT, embedded

# The measured jobs: a batch that is worth sharing, and one that is hardly any work, whose steps show what sharing itself takes.
BATCH, TINY = 256, 2
POLL_SECONDS = 0.05


@dataclass
class Latencies:
    """What the model takes for those of AWS, in a function's own region."""

    request: float = 0.1  # s; the lower end of what the S3 User Guide names for small objects and for the first byte of larger ones (performance guidelines)
    bandwidth: float = 75e6  # bytes/s between a function and S3: 600 Mbit/s
    send: float = 0.02  # s; one message to SQS
    hop: float = 0.1  # s from a sent message to the handler of a warm function


GB_SECOND = 0.0000133334  # $; arm64, us-east-1, as in infra/aws/README.md
INVOCATION, MESSAGE = 0.2e-6, 3 * 0.4e-6  # $; a message is sent, received and deleted
PUT, GET = 5e-6, 0.4e-6  # $
MEMORY_GB = 5308 / 1024
CORES = 3

# What crates/jobs and functions/finetune do, one after the other: of a shard its state twice, account, head, checkpoint, model, file, put and list; of
# a step state, lease (2), account, list, checkpoint, model, file, checkpoint, commit (2) and the mark; then old objects go.
SHARD_REQUESTS, SHARD_PUTS = 9, 2
STEP_REQUESTS, STEP_PUTS = 12, 5
CLEARING = 2
AT_A_TIME = 16  # `jobs::slice::AT_A_TIME`

# Records of 128 tokens a second and core, f32, and trained values, of the shapes of `cargo xtask bench trainer` on machine A of BENCHMARKS.md.
SHAPES = {"S (15 M parameters)": (11.0, 110_592), "M (SmolLM2-135M)": (1.3, 921_600)}
BATCHES = (256, 1024, 4096)
WORKERS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


def largest_shard(batch, workers):
    """About the expected number of records of the largest of `workers` shards, when each record is in one of them (normal approximation)."""
    mean = batch / workers
    if workers == 1:
        return mean
    return mean + math.sqrt(2 * math.log(workers) * mean * (1 - 1 / workers))


def step(batch, workers, rate, values, at):
    """Seconds and dollars of one step with the latencies `at`."""
    rate *= CORES
    if workers == 1:
        # One function makes step after step; its checkpoints, one in many minutes, are left out.
        return batch / rate, batch / rate * MEMORY_GB * GB_SECOND
    rounds = math.ceil(workers / AT_A_TIME)
    # Values and two moments of AdamW in f32; a shard is one whole number of 64 bits for each value.
    checkpoint, shard = 12 * values / at.bandwidth, 8 * values / at.bandwidth
    around_shard = SHARD_REQUESTS * at.request + checkpoint + shard
    of_step = (STEP_REQUESTS + rounds) * at.request + 2 * checkpoint + workers * shard
    clearing = (CLEARING + rounds) * at.request
    seconds = 2 * at.hop + around_shard + largest_shard(batch, workers) / rate + at.send + of_step + rounds * at.send
    busy = workers * (around_shard + at.send) + batch / rate + of_step + rounds * at.send + clearing
    requests = workers * (SHARD_PUTS * PUT + (SHARD_REQUESTS - SHARD_PUTS) * GET) + STEP_PUTS * PUT + (STEP_REQUESTS - STEP_PUTS + workers) * GET
    return seconds, busy * MEMORY_GB * GB_SECOND + requests + (workers + 1) * (INVOCATION + MESSAGE)


def check():
    """What the model must say whatever its parameters are."""
    rate, values = SHAPES["M (SmolLM2-135M)"]
    usual, none = Latencies(), Latencies(request=0, bandwidth=math.inf, send=0, hop=0)
    assert largest_shard(100, 1) == 100
    assert all(largest_shard(1000, k) >= 1000 / k for k in WORKERS)
    assert step(4, 1, rate, values, usual)[0] < step(4, 256, rate, values, usual)[0], "a small batch gains nothing"
    assert step(4096, 16, rate, values, usual)[0] < step(4096, 1, rate, values, usual)[0] / 4, "a large one does"
    assert all(step(1024, k, rate, values, usual)[1] > step(1024, 1, rate, values, usual)[1] for k in WORKERS[1:]), "it is never cheaper"
    assert all(step(1024, k, rate, values, none)[0] >= step(1024, 1, rate, values, none)[0] / k for k in WORKERS), "nor faster than K times"


def model(at):
    """A table for each shape, with the latencies `at`."""
    print(f"\nLatencies: {at.request} s a request, {at.bandwidth / 1e6:g} MB/s, {at.send} s to send a message, {at.hop} s until it is handled")
    for name, (rate, values) in SHAPES.items():
        print(f"\nShape {name}: {rate} records a second and core, {values:,} trained values, {CORES} cores a function\n")
        print("| batch | " + " | ".join(f"K = {k}" for k in WORKERS) + " |\n|--:|" + "--:|" * len(WORKERS))
        for batch in BATCHES:
            cells = []
            for k in WORKERS:
                seconds, dollars = step(batch, k, rate, values, at)
                cells.append(f"{seconds:.1f} s, ${1000 * dollars:.2f}")
            print(f"| {batch:,} | " + " | ".join(cells) + " |")
    print("\nSeconds of one step; dollars of a thousand.")


def measured(dpft, processes, workers, batch, steps):
    """Seconds a step, from the upload to the adapter, of a job of `workers` on `processes` worker processes with a thread each."""
    text = (ROOT / "examples/workshop-notes.txt").read_bytes()
    with embedded(dpft, "--workers", str(processes), "--threads", str(processes)) as service:
        connection = service.connect()
        settings = {"steps": steps, "batch_size": batch, "max_length": 64, "workers": workers}
        begun = time.perf_counter()
        job = service.job(service.upload(text, connection), settings, connection)
        while (state := connection.wanted("GET", f"/fine_tuning/jobs/{job}"))["status"] not in FINAL:
            time.sleep(POLL_SECONDS)
        if state["status"] != "succeeded":
            raise RuntimeError(f"the job ended as {state}")
        return (time.perf_counter() - begun) / steps


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("dpft")
    parser.add_argument("--model-only", action="store_true")
    parser.add_argument("--steps", type=int, default=12)
    for latency in fields(Latencies):
        parser.add_argument(f"--{latency.name}", type=float, default=latency.default)
    arguments = parser.parse_args()
    latencies = Latencies(*(getattr(arguments, latency.name) for latency in fields(Latencies)))
    if min(latencies.request, latencies.send, latencies.hop) < 0 or latencies.bandwidth <= 0 or arguments.steps < 1:
        parser.error("latencies are 0 s or more, the bandwidth and the steps above 0")
    check()
    if not arguments.model_only:
        print(f"| worker processes, a thread each | workers of the job | seconds a step, batch {BATCH} | speed-up | seconds a step, batch {TINY} |\n|---|---|---|---|---|")
        base = None
        for processes, workers in ((1, 1), (1, 2), (2, 2), (2, 4)):
            seconds, alone = (measured(arguments.dpft, processes, workers, batch, arguments.steps) for batch in (BATCH, TINY))
            base = base or seconds
            print(f"| {processes} | {workers} | {seconds:.2f} | {base / seconds:.2f} × | {alone:.3f} |", flush=True)
    model(latencies)
    return 0


if __name__ == "__main__":
    sys.exit(main())
