"""One step of DP-SGD by K functions: measured on this machine with worker processes, and modelled for AWS Lambda.

Usage: python fan_out.py DPFT [--model-only]. `cargo xtask bench fan-out` builds the program and runs it.
"""

import argparse
import math
import sys
import time

from service import FINAL, ROOT, embedded

# Assumptions of the model, with where they come from.
SMALL_REQUEST = 0.03  # s; a GET or PUT of S3 Standard from a function in the region, as AWS's guides state 100-200 ms at most and 10-40 ms mostly
BANDWIDTH = 80e6  # bytes/s of one function to S3: Lambda's network is about 600 Mbit/s
HOP = 0.05  # s from a sent message to the handler of a warm function
AT_A_TIME = 16  # shards that the reducer reads at a time
GB_SECOND = 0.0000133334  # $; arm64, us-east-1, as infra/aws/README.md
PUT, GET = 0.005 / 1000, 0.0004 / 1000  # $
# Of the measured jobs.
BATCH = 256
POLL_SECONDS = 0.05
MEMORY_GB = 5308 / 1024
CORES = 3
# Records a second and core and trained values of the two shapes of BENCHMARKS.md (S: the shipped model, M: SmolLM2-135M).
SHAPES = {"S": (11.0, 65_536), "M": (1.3, 460_800)}


def largest_shard(batch, workers):
    """About the expected number of records of the largest of `workers` shards, when each record falls in one at random (normal approximation)."""
    mean = batch / workers
    if workers == 1:
        return mean
    spread = math.sqrt(mean * (1 - 1 / workers))
    return mean + spread * math.sqrt(2 * math.log(workers))


def step(batch, workers, rate, values):
    """Seconds and dollars of one step."""
    compute = largest_shard(batch, workers) / (rate * CORES)
    if workers == 1:
        # One function makes step after step; its checkpoints are rare.
        return compute, compute * MEMORY_GB * GB_SECOND
    checkpoint, shard = 12 * values, 8 * values
    shard_time = 2 * SMALL_REQUEST + checkpoint / BANDWIDTH + compute + 3 * SMALL_REQUEST + shard / BANDWIDTH
    busy_shards = workers * (5 * SMALL_REQUEST + (checkpoint + shard) / BANDWIDTH) + batch / (rate * CORES)
    reads = math.ceil(workers / AT_A_TIME) * SMALL_REQUEST + workers * shard / BANDWIDTH
    reduce_time = 6 * SMALL_REQUEST + checkpoint / BANDWIDTH + reads + checkpoint / BANDWIDTH + workers * 0.01
    seconds = HOP + shard_time + HOP + reduce_time
    dollars = (busy_shards + reduce_time) * MEMORY_GB * GB_SECOND + (workers + 6) * PUT + 6 * workers * GET
    return seconds, dollars


def check():
    """What the model must say whatever its parameters are."""
    assert largest_shard(100, 1) == 100
    assert all(largest_shard(1000, k) >= 1000 / k for k in (2, 16, 256))
    rate, values = SHAPES["M"]
    assert step(64, 1, rate, values)[0] < step(64, 256, rate, values)[0], "a small batch gains nothing"
    assert step(4096, 16, rate, values)[0] < step(4096, 1, rate, values)[0] / 4, "a large one does"
    assert all(step(1024, k, rate, values)[1] > step(1024, 1, rate, values)[1] for k in (2, 16)), "it is never cheaper"


def model():
    """A table for each shape."""
    workers = [1, 2, 4, 8, 16, 32, 64, 128, 256]
    for name, (rate, values) in SHAPES.items():
        print(f"\nShape {name}: {rate} records a second and core, {values:,} trained values, {CORES} cores a function\n")
        print("| batch | " + " | ".join(f"K = {k}" for k in workers) + " |\n|" + "---|" * (len(workers) + 1))
        for batch in (256, 1024, 4096):
            cells = []
            for k in workers:
                seconds, dollars = step(batch, k, rate, values)
                cells.append(f"{seconds:.1f} s, ${1000 * dollars:.2f}")
            print(f"| {batch} | " + " | ".join(cells) + " |")
    print("\nSeconds a step; dollars a thousand steps.")


def measured(dpft, processes, workers, steps):
    """Seconds a step, from the upload to the adapter, of a job of `workers` on `processes` worker processes with a thread each."""
    text = (ROOT / "examples/workshop-notes.txt").read_bytes()
    with embedded(dpft, "--workers", str(processes), "--threads", str(processes)) as service:
        connection = service.connect()
        settings = {"steps": steps, "batch_size": BATCH, "max_length": 64, "workers": workers}
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
    arguments = parser.parse_args()
    check()
    if not arguments.model_only:
        print("| worker processes, a thread each | workers of the job | seconds a step | speed-up |\n|---|---|---|---|")
        base = None
        for processes, workers in ((1, 1), (1, 2), (2, 2), (2, 4)):
            seconds = measured(arguments.dpft, processes, workers, arguments.steps)
            base = base or seconds
            print(f"| {processes} | {workers} | {seconds:.2f} | {base / seconds:.2f} × |", flush=True)
    model()
    return 0


if __name__ == "__main__":
    sys.exit(main())
