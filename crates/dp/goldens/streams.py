"""Golden values for the seeded streams and the samplers: a second implementation, from the documented contracts alone.

    python3 streams.py > streams.json

Seed 00 01 … 1f, step 3. ChaCha20 as in RFC 8439 with a 64-bit block counter and a zero nonce.
"""
import hashlib
import json
import math
from fractions import Fraction


def keystream(key):
    def rotate(x, n):
        return ((x << n) | (x >> (32 - n))) & 0xFFFFFFFF

    def words(data):
        return [int.from_bytes(data[i:i + 4], "little") for i in range(0, len(data), 4)]

    counter = 0
    while True:
        start = words(b"expand 32-byte k") + words(key) + [counter & 0xFFFFFFFF, counter >> 32, 0, 0]
        s = list(start)
        for _ in range(10):
            for a, b, c, d in ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
                               (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)):
                for x, y, z, n in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
                    s[x] = (s[x] + s[y]) & 0xFFFFFFFF
                    s[z] = rotate(s[z] ^ s[x], n)
        yield from ((x + y) & 0xFFFFFFFF for x, y in zip(s, start))
        counter += 1


class Stream:
    def __init__(self, purpose, step=3):
        text = b"dp-seed-stream-v1" + bytes(range(32)) + bytes([purpose]) + step.to_bytes(8, "little")
        self.words = keystream(hashlib.sha256(text).digest())

    def u64(self):
        return next(self.words) | next(self.words) << 32

    def below(self, bound):
        while True:
            draw = self.u64() >> (64 - (bound - 1).bit_length())
            if draw < bound:
                return draw


def set_response(stream, domain, neighbours, hi, lo):
    draw = stream.below(hi * len(neighbours) + lo * (domain - len(neighbours)))
    weighted = [(y, hi) for y in neighbours] + [(y, lo) for y in range(domain) if y not in neighbours]
    for item, weight in weighted:
        if draw < weight:
            return item
        draw -= weight


SAMPLING, NOISE, INIT, PERTURBATION, LOSS, SHARD_NOISE, SHARD_LOSS = 1, 2, 3, 4, 5, 6, 7
if __name__ == "__main__":
    rate = Fraction(0.3)
    sampling, responses = Stream(SAMPLING), Stream(PERTURBATION)
    hi, lo = math.floor(math.e**2 * 2**32 * (1 - 2**-50)), 2**32
    print(json.dumps({
        "first_u64": [[purpose, Stream(purpose).u64()]
                      for purpose in (SAMPLING, NOISE, INIT, PERTURBATION, LOSS, SHARD_NOISE, SHARD_LOSS)],
        "poisson_30_of_0.3": [i for i in range(30) if sampling.u64() < math.floor(rate * 2**64)],
        "set_rr_weights": [hi, lo],
        "set_rr_10_of_set_4_1_7": [set_response(responses, 10, [4, 1, 7], hi, lo) for _ in range(40)],
    }, indent=1))
