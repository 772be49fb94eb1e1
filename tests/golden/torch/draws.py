# SPDX-License-Identifier: MIT
"""The toolkit's random numbers, from the description in pipeline/rng.h alone: Philox 4x32-10 under a key
(seed) and a counter (stream, index), streams named by XXH64. Python integers; slow and short."""
import math
import struct

M64 = (1 << 64) - 1
M32 = (1 << 32) - 1
P1, P2, P3 = 11400714785074694791, 14029467366897019727, 1609587929392839161
P4, P5 = 9650029242287828579, 2870177450012600261


def rotl(x, r):
    return (x << r | x >> (64 - r)) & M64


def xxh64(b):
    """Seed 0; inputs under 32 bytes, or of 32 bytes exactly."""
    def round_(acc, v):
        return rotl((acc + v * P2) & M64, 31) * P1 & M64

    if len(b) == 32:
        acc = [(P1 + P2) & M64, P2, 0, -P1 & M64]
        acc = [round_(a, v) for a, v in zip(acc, struct.unpack("<4Q", b))]
        h = sum(rotl(a, r) for a, r in zip(acc, (1, 7, 12, 18))) & M64
        for a in acc:
            h = ((h ^ round_(0, a)) * P1 + P4) & M64
        h = (h + 32) & M64
        b = b""
    else:
        assert len(b) < 32
        h = (P5 + len(b)) & M64
    while len(b) >= 8:
        h = (rotl(h ^ round_(0, struct.unpack("<Q", b[:8])[0]), 27) * P1 + P4) & M64
        b = b[8:]
    if len(b) >= 4:
        h = (rotl(h ^ struct.unpack("<I", b[:4])[0] * P1 & M64, 23) * P2 + P3) & M64
        b = b[4:]
    for c in b:
        h = rotl(h ^ c * P5 & M64, 11) * P1 & M64
    h = (h ^ h >> 33) * P2 & M64
    h = (h ^ h >> 29) * P3 & M64
    return h ^ h >> 32


def stream(purpose, a=0, b=0, c=0):
    return xxh64(struct.pack("<4Q", xxh64(purpose.encode()), a, b, c))


def rng(seed, strm, index):
    x = [index & M32, index >> 32, strm & M32, strm >> 32]
    k0, k1 = seed & M32, seed >> 32
    for _ in range(10):
        p0, p1 = 0xD2511F53 * x[0], 0xCD9E8D57 * x[2]
        x = [p1 >> 32 ^ x[1] ^ k0, p1 & M32, p0 >> 32 ^ x[3] ^ k1, p0 & M32]
        k0, k1 = (k0 + 0x9E3779B9) & M32, (k1 + 0xBB67AE85) & M32
    return x[1] << 32 | x[0]


def unit(seed, strm, index):
    return (rng(seed, strm, index) >> 11) * 2.0 ** -53


def shuffle(seed, strm, n):
    out = list(range(n))
    for i in range(n, 1, -1):
        j = rng(seed, strm, i) * i >> 64
        out[i - 1], out[j] = out[j], out[i - 1]
    return out


def beta(seed, strm, alpha):
    assert alpha > 0.5
    u, v = unit(seed, strm, 0), unit(seed, strm, 1)
    return 0.5 + 0.5 * math.sqrt(1 - u ** (2 / (2 * alpha - 1))) * math.cos(2 * math.pi * v)


def kept(seed, strm, n, p):
    """Dropout's mask as booleans: 32 bits an element, low half first."""
    return [(rng(seed, strm, i // 2) >> 32 * (i % 2) & M32) >= p * 2.0 ** 32 for i in range(n)]


def batch_rows(n, batch, seed, it, steps):
    """distill/unroll.h, vld_batch_rows."""
    rows, per_pass = [], n // batch
    for i in range(steps):
        if i % per_pass == 0:
            order = shuffle(seed, stream("rows", it, i // per_pass), n)
        rows.append(order[i % per_pass * batch:][:batch])
    return rows


# Known answers: Random123's first vector, and XXH64 of nothing.
assert rng(0, 0, 0) == 0xE169C58D6627E8D5 and xxh64(b"") == 0xEF46DB3751D8E999
