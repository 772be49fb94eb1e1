#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""readfile.py [--tensors] [FILE|-]... -- readshard.py with what a file lets a reader know before.

The tables (sections 7 and 8), or in the plain carrier the sums (10), are found from the end, so
that a record is held against them before it is given. Where they do not chain, and of pipes,
nothing is known. --tensors adds type, shape and SHA-256 of .npy and .vlt members to the lines.
"""
import hashlib
import mmap
import re
import struct
import sys

import arrays
from readshard import HEADER, META, Shard, Tape, check, main, need, parse_header, parse_json, table


def walk_tables(data):
    """{first byte of a segment: entries}."""
    plan, end = {}, len(data)
    while end:
        n = int.from_bytes(data[max(end - 9, 0):end - 5], "little")
        need(1 <= n <= 1 << 22 and 12 * n + 17 <= end, "no chain")
        raw = data[end - 12 * n - 17:end]
        entries = list(struct.iter_unpack("<3I", raw[8:-9]))
        end -= len(raw) + sum(e[0] for e in entries)
        need(raw == table(entries) and end >= 0, "no chain")
        plan[end] = entries
    return plan


def walk_plain(data):
    """{first byte of a segment: lines of its sums}."""
    def back(end, what, suffix=b""):
        at = end - 512
        while at >= 0 and not HEADER.fullmatch(data[at:at + 512]):
            at -= 512
        need(at >= 0, "no chain")
        name, size, _ = parse_header(data[at:at + 512])
        need(re.fullmatch(META % (what, suffix), name), "no chain")
        need(at + 512 + size + -size % 512 == end, "no chain")
        return at, data[at + 512:at + 512 + size]

    plan, end = {}, len(data)
    while end:
        if data[max(end - 1024, 0):end] == bytes(1024):
            end -= 1024
            continue
        at, raw = back(end, b"tail", rb"\.json")
        at, sums = back(at, b"sums")
        tail = parse_json(raw, "tail")
        check("tail", tail, {"bytes": "[0-9]+"})
        need(tail["bytes"] < at, "no chain")
        end, _ = back(at - tail["bytes"], b"manifest", rb"\.json")
        whole = sums[-1:] in (b"", b"\n")  # else no member agrees
        plan[end] = re.findall(b".*\n", sums) if whole else [b""]
    return plan


class Kept(bytearray):
    """What goes into the digests, kept."""
    update = bytearray.extend


class KnownTape(Tape):
    said = None  # entries of the open segment, or lines of its sums

    def frame(self):
        content, i = super().frame(), len(self.entries) - 1
        need(not self.said or self.said[i:i + 1] == self.entries[i:],
             "frame %d: differs from its entry", i)
        return content


class KnownShard(Shard):
    def __init__(self, name, f, tensors):
        try:
            data = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
        except (ValueError, OSError):
            data = f.read()  # a pipe, or nothing
        super().__init__(name, KnownTape(data))
        self.tensors, self.chain, self.plan = tensors, {}, {}
        try:
            if not isinstance(data, bytes):
                self.plan = (walk_plain if self.tape.plain else walk_tables)(data)
        except ValueError:
            pass

    def segment(self):
        self.tape.said = self.plan.get(self.tape.pos)
        super().segment()

    def member(self, name, size, raw, *where):
        kept = Kept()
        if self.tensors and name.endswith((b".npy", b".vlt")):
            self.digests.append(kept)
        super().member(name, size, raw, *where)
        del self.digests[2:]
        i, said = len(self.lines) - 1, self.tape.said
        need(not self.tape.plain or said is None or said[i:i + 1] == self.lines[i:],
             "member %r differs from the sums", name)
        if kept:
            ext = name.decode()[len(self.open["key"]) + 1:]
            self.open.setdefault("tensors", {})[ext] = bytes(kept[len(raw):len(raw) + size])

    def release(self, end):
        if self.open and self.tensors:
            self.open["tensors"] = self.describe(self.open["key"], self.open.get("tensors", {}))
        super().release(end)

    def describe(self, key, members):
        """{extension: [dtype, shape, SHA-256 of the raw array]}"""
        out, tensors, schema = {}, {}, self.man.get("schema")
        for ext, raw in members.items():
            try:
                if ext.endswith(".vlt"):
                    dtype, shape, data, xsum = arrays.vlt(raw, ext, self.chain)
                    tensors[ext] = ("%s.%s" % (key, ext)).encode(), dtype, shape, xsum, data
                else:
                    dtype, shape, data = arrays.npy(raw)
            except ValueError as bad:
                raise ValueError("record %r: %s: %s" % (key, ext, bad)) from None
            said = schema.get(ext) if type(schema) is dict else None
            if dtype == "<u2" and type(said) is dict and said.get("dtype") == "bf16":
                dtype = "bf16"
            out[ext] = [dtype, shape, hashlib.sha256(data).hexdigest()]
        self.chain = tensors or self.chain
        return out


if __name__ == "__main__":
    flag = sys.argv[1:2] == ["--tensors"]
    sys.exit(main(sys.argv[1 + flag:], lambda name, f: KnownShard(name, f, flag)))
