# SPDX-License-Identifier: MIT
"""Which records show or say the same thing, and the split that keeps them together.

A record is a concept's member through: an equal caption in normal form, an equal file stem, an equal
emoji base, or a picture that a difference hash cannot tell apart. Concepts are the connected
components; a component goes to one split as a whole, by the XXH64 of its smallest key."""
import numpy as np

P1, P2, P3, P4, P5 = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9,
                      0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5)
M64 = (1 << 64) - 1
HASH_DISTANCE = 4
CORRELATION = 93          # percent


def rotl(x, r):
    return ((x << r) | (x >> (64 - r))) & M64


def xxh64(data, seed=0):
    """XXH64 of the bytes, as `xxhsum -H1` prints it."""
    def mix(acc, lane):
        return rotl((acc + lane * P2) & M64, 31) * P1 & M64
    n, i = len(data), 0
    word = lambda at, size: int.from_bytes(data[at:at + size], 'little')
    if n >= 32:
        v = [(seed + P1 + P2) & M64, (seed + P2) & M64, seed, (seed - P1) & M64]
        while i + 32 <= n:
            v = [mix(v[k], word(i + 8 * k, 8)) for k in range(4)]
            i += 32
        h = (rotl(v[0], 1) + rotl(v[1], 7) + rotl(v[2], 12) + rotl(v[3], 18)) & M64
        for lane in v:
            h = ((h ^ mix(0, lane)) * P1 + P4) & M64
    else:
        h = (seed + P5) & M64
    h = (h + n) & M64
    while i + 8 <= n:
        h, i = (rotl(h ^ mix(0, word(i, 8)), 27) * P1 + P4) & M64, i + 8
    if i + 4 <= n:
        h, i = (rotl(h ^ (word(i, 4) * P1 & M64), 23) * P2 + P3) & M64, i + 4
    while i < n:
        h, i = rotl(h ^ (data[i] * P5 & M64), 11) * P1 & M64, i + 1
    h = (h ^ (h >> 33)) * P2 & M64
    h = (h ^ (h >> 29)) * P3 & M64
    return h ^ (h >> 32)


def split_of(key):
    """train, val or test for the smallest key of a concept."""
    bucket = xxh64(key.encode()) % 100
    return 'train' if bucket < 84 else 'val' if bucket < 92 else 'test'


class Union:
    """Union-find over 0..n-1; the root of a set is its smallest member."""
    def __init__(self, n):
        self.parent = list(range(n))

    def find(self, i):
        while self.parent[i] != i:
            self.parent[i] = self.parent[self.parent[i]]
            i = self.parent[i]
        return i

    def join(self, i, j):
        i, j = sorted((self.find(i), self.find(j)))
        self.parent[j] = i
        return i != j

    def join_equal(self, names_of):
        """Joins all that share a name; names_of[i] is a list of names. Returns the joins that counted."""
        first, joins = {}, 0
        for i, names in enumerate(names_of):
            for name in names:
                joins += self.join(i, first.setdefault(name, i))
        return joins

    def components(self):
        """Lists of members, ascending, ordered by their smallest."""
        out = {}
        for i in range(len(self.parent)):
            out.setdefault(self.find(i), []).append(i)
        return list(out.values())


def dhash(grid):
    """64 bits of a 9 wide x 8 high grey grid: bit set where a cell is lighter than its right neighbour."""
    grid = np.asarray(grid, dtype=np.int32)
    bits = (grid[:, :-1] > grid[:, 1:]).ravel()
    return int(np.packbits(bits).view('>u8')[0])


POPCOUNT = np.array([bin(i).count('1') for i in range(256)], dtype=np.uint8)


def popcount(x):
    x = np.ascontiguousarray(x, dtype=np.uint64)
    return POPCOUNT[x.view(np.uint8).reshape(x.shape + (8,))].sum(-1)


def alike(a, b):
    """True if two grey pictures (integer arrays) correlate by CORRELATION or more. Exact integers, so
    the answer is the same on every machine; two flat pictures are alike."""
    a, b = a.ravel().astype(np.int64), b.ravel().astype(np.int64)
    n = a.size
    cov = int(n * (a @ b) - a.sum() * b.sum())
    var = int(n * (a @ a) - a.sum() ** 2) * int(n * (b @ b) - b.sum() ** 2)
    return cov >= 0 and 100 ** 2 * cov * cov >= CORRELATION ** 2 * var


def hash_pairs(hashes, greys, distance=HASH_DISTANCE):
    """All i < j whose hashes differ in at most `distance` bits and whose grey pictures are alike.

    The hash alone says too little about a slim or flat drawing on white: its bits are those of an
    outline, so a candle, a bottle, a cello and every upright arrow agree, and chains of such neighbours
    join a third of the data. So the hash proposes and the correlation confirms. Recoloured and
    slightly shifted copies and the members of a series pass at 0.93; things of equal outline do not."""
    hashes = np.asarray(hashes, dtype=np.uint64)
    for i in range(len(hashes) - 1):
        for j in np.nonzero(popcount(hashes[i + 1:] ^ hashes[i]) <= distance)[0] + i + 1:
            if alike(greys[i], greys[j]):
                yield i, int(j)
