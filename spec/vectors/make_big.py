# SPDX-License-Identifier: MIT
"""make_big.py -- vectors too big to commit, written to standard output piece by piece.

Their files are small (runs of one byte), what they decode to is not.
"""
import hashlib
import sys

from shardbytes import EMPTY_SUM, Segment, canonical, frame, header, low32, member, seek, vlix, xxh64

GIB = 1 << 30
ZEROS_1G = 0xcf9ad580b7ff077f   # XXH64 of 2^30 zero bytes; xxhsum says the same
PIECE = 8 << 20


def zeros(records):
    """One segment of `records` records, each a member of 1 GiB of zero bytes: frames of exactly 8 MiB, the
    last of each record 512 bytes, for the header shifts the content."""
    keys = ['zeros-%d' % i for i in range(records)]
    names = [k + '.bin' for k in keys]
    heads = [header(n, GIB) for n in names]
    whole = frame(bytes(PIECE))
    whole_sum, sha = low32(bytes(PIECE)), hashlib.sha256()
    s = Segment([], manifest={'first_key': keys[0]})
    out, entries = [], []

    def put(f, dsize, sum_):
        out.append(f)
        entries.append((len(f), dsize, sum_))
    put(frame(s.head()), len(s.head()), low32(s.head()))
    starts = []
    for h in heads:
        starts.append(len(entries))
        first, last = h + bytes(PIECE - 512), bytes(512)
        put(frame(first), PIECE, low32(first))
        for _ in range(GIB // PIECE - 1):
            put(whole, PIECE, whole_sum)
        put(frame(last), 512, low32(last))
        sha.update(h)
        for _ in range(GIB // PIECE):
            sha.update(bytes(PIECE))
    lines = ['%016x  %s\n' % (ZEROS_1G, n) for n in names]
    text = canonical({'bytes': records * (GIB + 512), 'content_id': sha.hexdigest(), 'frames': len(entries) - 1,
                      'members': records, 'parents': [], 'records': records})
    tail = member('__vl__/.sums.%s' % s.id, ''.join(lines).encode()) + member(s.tail_name(), text)
    put(frame(tail), len(tail), low32(tail))
    index, end = [], 0
    for i, (k, line) in enumerate(zip(keys, lines)):
        end += len(k)
        index.append((i * (GIB + 512), GIB + 512, starts[i], xxh64(line.encode()), end))
    x = vlix(index, ''.join(keys).encode())
    out.append(x)
    entries.append((len(x), 0, EMPTY_SUM))
    return b''.join(out) + seek(entries)


def many():
    """100,000 records, 1000 a frame, in one segment."""
    return Segment([('dir%02d/%06d' % (i % 100, i), [('txt', b'caption %d' % i)]) for i in range(100000)],
                   cuts=1000).bytes()


BIG = {'member-1g': lambda: zeros(1), 'segment-5g': lambda: zeros(5), 'records-100000': many}


def main(name):
    if name == 'list':
        print('\n'.join(BIG))
        return 0
    if name not in BIG:
        sys.stderr.write('make.py: no big vector %s\n' % name)
        return 2
    sys.stdout.buffer.write(BIG[name]())
    return 0
