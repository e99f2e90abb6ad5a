"""Load on the whole service: many small jobs, polls beside them, large uploads at once, and how long small calls take beside a plain handler.

Usage: python load.py DPFT HELLO [--emulated] [--scale X] [--only calls|jobs|uploads]. Ends with 1 if anything was lost. `cargo xtask bench load` builds the programs and runs it.
"""

import argparse
import itertools
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from service import FINAL, Connection, embedded, emulated, percentile, put, started, ticket, timed

UPLOADS, UPLOAD_BYTES = 200, 20_000_000
JOBS = 1_000
POLLS_A_MINUTE = 10_000
CALLS = 2_000
CLIENTS = 16
SMALL = {"steps": 1, "batch_size": 2, "max_length": 16, "rank": 2}


def uploads(service, count):
    """All links first, then everything at once."""
    # Random, and no two alike.
    block = os.urandom(UPLOAD_BYTES - 8)
    ready = threading.Barrier(count + 1)
    statuses = [None] * count
    ids = [None] * count

    def send(number):
        content = number.to_bytes(8, "big") + block
        try:
            announced = ticket(content, service.connect())
            ids[number] = announced["id"]
        finally:
            ready.wait()
        statuses[number] = put(announced["upload"], content)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    ready.wait()
    begun = time.perf_counter()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - begun
    connection = service.connect()
    there = (status == 200 and connection.wanted("GET", f"/files/{file}")["bytes"] == UPLOAD_BYTES for status, file in zip(statuses, ids))
    lost = sum(not arrived for arrived in there)
    figure = f"{seconds:.0f} s, {count * UPLOAD_BYTES / 1e6 / seconds:.0f} MB/s"
    return f"{count} uploads of {UPLOAD_BYTES / 1e6:.0f} MB at once", figure, service.memory.peak_since(), lost


def jobs(service, count, polls):
    """Queues all jobs, polls while they run, and waits for the last."""
    local = threading.local()

    def make(number):
        local.connection = getattr(local, "connection", None) or service.connect()
        file = service.upload(b"one %d\ntwo\nthree\nfour\n" % number, local.connection)
        return service.job(file, SMALL, local.connection)

    begun = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        ids = list(pool.map(make, range(count)))
    queued = time.perf_counter() - begun
    polled = poll(service, ids, polls)
    connection, failed = service.connect(), 0
    for number, job in enumerate(ids):
        while (status := connection.wanted("GET", f"/fine_tuning/jobs/{job}")["status"]) not in FINAL:
            print(f"  {number} of {count} jobs are over", file=sys.stderr)
            time.sleep(2)
        failed += status != "succeeded"
    minutes = (time.perf_counter() - begun) / 60
    figure = f"queued within {queued:.0f} s; {count / minutes:.0f} a minute to the adapter"
    return [(f"{count} small jobs", figure, service.memory.peak_since(), failed), polled]


def poll(service, ids, total):
    """Status polls at an even rate for a minute, while jobs run."""
    took, errors, lock, numbers = [], [], threading.Lock(), itertools.count()
    begun = time.perf_counter()

    def work():
        connection = service.connect()
        while True:
            with lock:
                number = next(numbers)
            if number >= total:
                return
            # Each has its own moment, whatever the one before it took.
            time.sleep(max(0.0, begun + number * 60 / total - time.perf_counter()))
            ms, (status, _) = timed(lambda: connection.call("GET", f"/fine_tuning/jobs/{ids[number % len(ids)]}"))
            with lock:
                took.append(ms)
                if status != 200:
                    errors.append(status)

    threads = [threading.Thread(target=work) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rate = len(took) / (time.perf_counter() - begun) * 60
    figure = f"{rate:,.0f} a minute; p50 {percentile(took, 0.5):.1f}, p99 {percentile(took, 0.99):.1f}, longest {max(took):.0f} ms"
    return f"{total:,} status polls while they run", figure, None, len(errors) + total - len(took)


def latencies(service, hello, calls):
    """Small calls one after the other: each kind in turn, so that all meet the same moments."""
    connection = service.connect()
    job = service.job(service.upload(b"one\ntwo\nthree\nfour\n", connection), SMALL, connection)
    while connection.wanted("GET", f"/fine_tuning/jobs/{job}")["status"] not in FINAL:
        time.sleep(0.2)
    bare = Connection(service.base.removesuffix("/v1"))
    with started([hello], {"base": r"(http\S+)"}) as (_, found):
        plain = Connection(found["base"])
        kinds = {
            "a plain handler of axum": lambda: plain.call("GET", "/hello"),
            "GET /v1/models": lambda: connection.call("GET", "/models"),
            "GET /v1/fine_tuning/jobs/{id}": lambda: connection.call("GET", f"/fine_tuning/jobs/{job}"),
        }
        if service.watches_itself:
            kinds["GET /healthz"] = lambda: bare.call("GET", "/healthz")
        took, lost = {name: [] for name in kinds}, dict.fromkeys(kinds, 0)
        for _ in range(calls):
            for name, call in kinds.items():
                ms, (status, _) = timed(call)
                took[name].append(ms)
                lost[name] += status != 200
    base = percentile(took["a plain handler of axum"], 0.99)
    for name, values in took.items():
        p50, p99 = percentile(values, 0.5), percentile(values, 0.99)
        yield f"{name}, {calls:,} calls", f"p50 {p50:.2f} ms, p99 {p99:.2f} ms, {p99 / base:.1f} × plain", None, lost[name]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("dpft")
    parser.add_argument("hello")
    parser.add_argument("--emulated", action="store_true", help="the deployed stack on the emulator of AWS")
    parser.add_argument("--scale", type=float, default=1.0, help="of all numbers")
    parser.add_argument("--only", choices=("calls", "jobs", "uploads"), help="one kind of load, on a service that has seen no other")
    arguments = parser.parse_args()
    if arguments.scale <= 0:
        parser.error("--scale must be above 0")
    uploading, queued, polled, calls = (max(1, round(number * arguments.scale)) for number in (UPLOADS, JOBS, POLLS_A_MINUTE, CALLS))
    with emulated() if arguments.emulated else embedded(arguments.dpft) as service:
        rows = []
        if arguments.only in (None, "calls"):
            rows += latencies(service, arguments.hello, calls)
        if arguments.only in (None, "jobs"):
            rows += jobs(service, queued, polled)
        if arguments.only in (None, "uploads"):
            rows.append(uploads(service, uploading))
    print("| load | figure | peak memory | lost |\n|---|---|---|---|")
    for what, figure, memory, lost in rows:
        print(f"| {what} | {figure} | {'' if memory is None else f'{memory:,.0f} MB'} | {lost} |")
    return 1 if any(row[3] for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
