"""Golden values for the rounded Gaussian: the least area of its ziggurat, and a second implementation of table and sampler.

    pip install mpmath
    python3 rounded_gaussian.py > rounded_gaussian.json

From the documented contract alone, with 60 digits instead of fixed-point numbers and error functions instead of a series.
"""
import hashlib
import json

from mpmath import erfc, floor, log, mp, mpf, sqrt, pi

from streams import NOISE, Stream

mp.dps = 60
LAYERS, CUT, UNIT = 256, 13, mpf(2) ** 126


def density(n, log2_sigma):
    """P(round(G) = n)·σ·√(2π), for n ≥ 0."""
    sigma = mpf(2) ** log2_sigma
    upper = [erfc((n + half) / (sqrt(2) * sigma)) for half in (mpf(-0.5), mpf(0.5))]
    return sigma * sqrt(pi / 2) * (upper[0] - upper[1])


def width(y, log2_sigma):
    y = y / UNIT
    n = int(floor(2**log2_sigma * sqrt(max(-2 * log(y), 0))))
    while density(n, log2_sigma) > y:
        n += 1
    while n > 0 and density(n - 1, log2_sigma) <= y:
        n -= 1
    return n


def table(log2_sigma, area):
    """Widths w and bottoms y (in units), one more than there are layers; None if the top is reached too soon."""
    widths, bottoms = [CUT << log2_sigma], [0]
    for _ in range(LAYERS):
        if widths[-1] == 0:
            return None
        bottoms.append(bottoms[-1] + ((area << (86 + log2_sigma)) // widths[-1]))
        widths.append(width(bottoms[-1], log2_sigma))
    return widths, bottoms


def least_area(log2_sigma):
    """In units of 2^-40·σ: the least with which the last layer's top is not below the peak."""
    def covers(area):
        layers = table(log2_sigma, area)
        return layers is None or layers[0][-1] == 0

    low, high = int(0.0045 * 2**40), int(0.0060 * 2**40)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if covers(middle) else (middle, high)
    assert table(log2_sigma, high) is not None
    return high


def sample(stream, widths, bottoms, log2_sigma):
    while True:
        word = stream.u64()
        layer, negative, u = word & 255, word >> 8 & 1, word >> 9
        column, remainder = divmod(u * widths[layer], 1 << 55)
        if remainder < (1 << 55) % widths[layer] or (negative and column == 0):
            continue
        if column >= widths[layer + 1]:
            share = stream.u64() << 64
            share |= stream.u64()
            offset = share * (bottoms[layer + 1] - bottoms[layer]) >> 128
            if bottoms[layer] + offset >= density(column, log2_sigma) * UNIT:
                continue
        return -column if negative else column


def golden(log2_sigma, count):
    area = least_area(log2_sigma)
    widths, bottoms = table(log2_sigma, area)
    stream = Stream(NOISE)
    draws = [sample(stream, widths, bottoms, log2_sigma) for _ in range(count)]
    text = b"".join(draw.to_bytes(4, "little", signed=True) for draw in draws)
    columns = [round(share * 2**log2_sigma) for share in (0, 0.001, 0.1, 0.5, 1, 1.5, 2, 3, 4.5, 6, 8, 12.9)]
    return {
        "log2_sigma": log2_sigma,
        "area": area,
        "widths": widths,
        "densities": [[n, hex(int(density(n, log2_sigma) * UNIT))] for n in columns],
        "first_draws": draws[:24],
        "count": count,
        "sha256_of_draws": hashlib.sha256(text).hexdigest(),
        "next_word": stream.u64(),
    }


if __name__ == "__main__":
    print(json.dumps([golden(4, 5_000), golden(24, 20_000)]))
