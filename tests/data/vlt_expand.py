#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""vlt_expand.py FOLDER -- writes FILE.npy beside each FILE.vlt of an unpacked shard.

A second decoder, after FORMAT.md and with the standard library only. References are found by name, which is
the path below FOLDER. Sums are left to the tool that is tested."""
import os
import struct
import sys

DESCR = [None, "<f2", "<f4", "<f8", "<u2", "|u1", "|i1", "<u2", "<i2", "<u4", "<i4", "<u8", "<i8", "|b1", "<c8",
         "<c16"]
TILE = 1 << 18


def words(data, size):
    return [int.from_bytes(data[i:i + size], "little") for i in range(0, len(data), size)]


def unshuffle(data, size):
    out = bytearray(len(data))
    for at in range(0, len(data), TILE * size):
        tile = data[at:at + TILE * size]
        n = len(tile) // size
        for k in range(size):
            out[at + k:at + len(tile):size] = tile[k * n:(k + 1) * n]
    return bytes(out)


def decode(path, top, known):
    if path in known:
        return known[path]
    with open(os.path.join(top, path), "rb") as f:
        b = f.read()
    magic, dtype, kind, rank, tile, _, _, ref_n, zero = struct.unpack("<4sBBBBQQH6s", b[:32])
    assert magic == b"VLT1" and tile == 18 and zero == bytes(6)
    shape = struct.unpack("<%dQ" % rank, b[32:32 + 8 * rank])
    ref = b[32 + 8 * rank:32 + 8 * rank + ref_n].decode()
    head = (32 + 8 * rank + ref_n + 63) // 64 * 64
    descr = DESCR[dtype]
    size = int(descr[2:]) // (2 if descr[1] == "c" else 1)
    mask = (1 << 8 * size) - 1
    raw = b[head:] if kind == 0 else unshuffle(b[head:], size)
    if kind >= 2:
        before = decode(ref, top, known)[2]
        pairs = zip(words(raw, size), words(before, size))
        if kind == 2:
            new = [d ^ r for d, r in pairs]
        else:
            new = [(r + (z >> 1 ^ -(z & 1))) & mask for z, r in pairs]
        raw = b"".join(v.to_bytes(size, "little") for v in new)
    known[path] = descr, shape, raw
    return known[path]


def npy(descr, shape, raw):
    text = "{'descr': '%s', 'fortran_order': False, 'shape': %r, }" % (descr, tuple(shape))
    pad = -(10 + len(text) + 1) % 64
    head = (text + " " * pad + "\n").encode()
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head + raw


def main():
    top, known = sys.argv[1], {}
    for folder, _, names in os.walk(top):
        for name in names:
            if name.endswith(".vlt"):
                path = os.path.relpath(os.path.join(folder, name), top)
                with open(os.path.join(folder, name[:-3] + "npy"), "wb") as f:
                    f.write(npy(*decode(path, top, known)))


main()
