#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""text_hash.py -- golden rows for t_text_hash.c, written from text_hash.h alone.

Run by hand:  tests/data/text_hash.py > tests/data/text_hash_golden.h
It shares no code with the library: XXH64 is written out from its specification, and case folding,
NFKC and categories come from Python's unicodedata. The committed header was made with Python 3.11.2
(Unicode 14.0); captions keep to characters that every current Unicode library treats alike.
"""
import sys
import unicodedata

DIM = 768
P = (11400714785074694791, 14029467366897019727, 1609587929392839161,
     9650029242287828579, 2870177450012600261)
MASK = (1 << 64) - 1


def rotl(x, r):
    return ((x << r) | (x >> (64 - r))) & MASK


def rnd(acc, lane):
    return rotl((acc + lane * P[1]) & MASK, 31) * P[0] & MASK


def xxh64(data, seed):
    n, at = len(data), 0
    if n >= 32:
        v = [(seed + P[0] + P[1]) & MASK, (seed + P[1]) & MASK, seed, (seed - P[0]) & MASK]
        while n - at >= 32:
            for i in range(4):
                v[i] = rnd(v[i], int.from_bytes(data[at:at + 8], 'little'))
                at += 8
        h = (rotl(v[0], 1) + rotl(v[1], 7) + rotl(v[2], 12) + rotl(v[3], 18)) & MASK
        for i in range(4):
            h = ((h ^ rnd(0, v[i])) * P[0] + P[3]) & MASK
    else:
        h = (seed + P[4]) & MASK
    h = (h + n) & MASK
    while n - at >= 8:
        h = (rotl(h ^ rnd(0, int.from_bytes(data[at:at + 8], 'little')), 27) * P[0] + P[3]) & MASK
        at += 8
    if n - at >= 4:
        h = (rotl(h ^ (int.from_bytes(data[at:at + 4], 'little') * P[0] & MASK), 23) * P[1] + P[2]) & MASK
        at += 4
    for byte in data[at:]:
        h = rotl(h ^ (byte * P[4] & MASK), 11) * P[0] & MASK
    h = (h ^ (h >> 33)) * P[1] & MASK
    h = (h ^ (h >> 29)) * P[2] & MASK
    return h ^ (h >> 32)


def ignorable(c):
    o = ord(c)
    return o in (0xAD, 0x34F, 0x61C, 0xFEFF) or 0x200B <= o <= 0x200F or 0x2060 <= o <= 0x206F \
        or 0xFE00 <= o <= 0xFE0F


def words_of(caption):
    text = ''.join(c for c in caption if not ignorable(c))
    text = unicodedata.normalize('NFKC', unicodedata.normalize('NFKD', text).casefold())
    inside = lambda c: unicodedata.category(c)[0] in 'LMN' or unicodedata.category(c) in ('So', 'Cn')
    return ''.join(c if inside(c) else ' ' for c in text).split(' ')


def row_of(caption):
    row = {}

    def add(seed, weight, feature):
        h = xxh64(feature.encode(), seed)
        row[(h >> 1) % DIM] = row.get((h >> 1) % DIM, 0) + (-weight if h & 1 else weight)

    words = [w for w in words_of(caption) if w]
    for i, w in enumerate(words):
        add(1, 3, w)
        if i:
            add(2, 2, words[i - 1] + ' ' + w)
        marked = '^' + w + '$'
        for n in (3, 4):
            for at in range(len(marked) - n + 1):
                add(3, 1, marked[at:at + n])
    return ' '.join(f'{i}:{v}' for i, v in sorted(row.items()) if v)


CAPTIONS = (
    'a',
    'A dog runs.',
    'a DOG,runs',
    "Two dogs don't run; 3 cats do -- at 5 o'clock!",
    'incomprehensibilities counterrevolutionaries floccinaucinihilipilification',
    'Stra\u00dfe STRASSE strasse',
    'caf\u00e9 cafe\u0301 CAF\u00c9',
    '\uff26\uff55\uff4c\uff4c \u2460 \ufb01sh \u00bd x\u00b2',
    '\u0391\u03b8\u03ae\u03bd\u03b1 \u041c\u043e\u0441\u043a\u0432\u0430 \u6771\u4eac\u306e\u732b',
    'cost: $5 + 10% of ^2',
    '\u2764\ufe0f \U0001f600\u200d\U0001f408 smile',
    'soft\u00adhyphen zero\u200bwidth',
    'the the the the',
    '?!... --',
)


def main():
    if xxh64(b'', 0) != 0xEF46DB3751D8E999:
        sys.exit('xxh64 is wrong')
    print('/* SPDX-License-Identifier: MIT')
    print(' * text_hash_golden.h -- made by tests/data/text_hash.py; the row before it is normalised. */')
    print('/* clang-format off */')
    print('static const struct {\n    const char *caption, *row; /* "index:sum ..." */\n} golden[] = {')
    for c in CAPTIONS:
        text = ''.join(chr(b) if 32 <= b < 127 and b not in b'"\\?' else f'\\{b:03o}' for b in c.encode())
        print(f'    {{ "{text}",')
        words = row_of(c).split(' ')
        lines = [' '.join(words[i:i + 10]) for i in range(0, len(words), 10)]
        print('\n'.join(f'      "{l}{" " if i + 1 < len(lines) else ""}"' for i, l in enumerate(lines)) + ' },')
    print('};')
    print('/* clang-format on */')


main()
