#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""readshard.py [--tensors] [FILE|-]... -- a second reader of vlkit shards, written from FORMAT.md alone.

Prints a JSON line for each record, segment and shard that verified, and on standard error one line for each shard
that did not; exits 1 if there was one. Needs the program zstd. Made to be read, not to be fast; no salvage.
Numbers in comments are sections of FORMAT.md."""
import hashlib
import json
import math
import re
import struct
import sys
from itertools import accumulate

import arrays
from carrier import (GIB, MIB, SEEK, TERM, VLIX, ZSTD, Frames, Plain, Source, need, next_header, padded, parse_header,
                     table, walk_tables, xxh64)


def split_name(name):
    """4: key and extension."""
    text = name.decode()
    stem, dot, ext = text[text.rfind("/") + 1:].partition(".")
    key = text[:text.rfind("/") + 1] + stem
    need(not re.search(r"[\0-\x1f\x7f-\x9f\\]", key) and all(p and not re.match(r"\.|__", p) for p in key.split("/")),
         "key of member %r", text)
    need(re.fullmatch(r"[a-z0-9_+-]+(\.[a-z0-9_+-]+)*", ext) and len(ext) <= 255, "extension of member %r", text)
    return key, ext


def parse_json(raw, what):
    """5: one object; what two parsers could read differently is refused."""
    def pairs(items):
        need(len(dict(items)) == len(items), "a name twice in one object")
        return dict(items)

    def integer(text):
        need(len(text) < 21 and -1 << 63 <= int(text) < 1 << 63, "an integer of more than 64 bits")
        return int(text)

    def real(text):
        need(math.isfinite(float(text)), "a real that is too large")
        return float(text)

    try:
        bare = re.sub(r'"(\\.|[^"\\])*"', "", raw.decode())
        need(max(accumulate((c in "[{") - (c in "]}") for c in bare), default=0) <= 2048, "nested too deep")
        obj = json.loads(raw.decode(), object_pairs_hook=pairs, parse_int=integer, parse_float=real,
                         parse_constant=lambda word: need(0, word))
        text = json.dumps(obj, ensure_ascii=False)
        need("\\u0000" not in text.replace("\\\\", ""), "U+0000 in a text")
        text.encode()                       # fails for half a surrogate pair
    except (ValueError, RecursionError) as bad:
        raise ValueError("%s is not JSON: %s" % (what, bad)) from None
    need(type(obj) is dict, "%s is no JSON object", what)
    return obj


def is_parent(p):
    return type(p) is dict and type(p.get("kind")) is str and re.fullmatch("[a-z-]{1,23}", p["kind"]) \
        and type(p.get("content_id")) is str and re.fullmatch("[0-9a-f]{64}", p["content_id"])


class Segment:
    """5, 6: HEAD, DATA and the members of TAIL, from either carrier."""

    def __init__(self, shard, tape):
        self.shard, self.tape, self.open = shard, tape, None
        self.lines, self.index, self.keys, self.bytes, self.sha = [], [], b"", 0, hashlib.sha256()
        name, self.man_raw = self.meta(rb"__vl__/\.manifest\.[0-9a-f]{16}\.json", MIB)
        self.id = name[17:33]
        need(self.id == b"%016x" % xxh64(self.man_raw), "the id of the manifest is not that of its content")
        need(tape.edge() and len(tape.entries) < 2, "HEAD is more than one frame with the manifest")
        self.man = man = parse_json(self.man_raw, "manifest")
        need(type(man.get("format")) is int and man["format"] == 1, "format %r, not 1", man.get("format"))
        self.kind, self.first = man.get("kind"), man.get("first_key", 0)
        need(type(self.kind) is str and re.fullmatch("[a-z-]{1,23}", self.kind), "kind %r", self.kind)
        need(type(man.get("ordinal")) is int and man["ordinal"] >= 0, "ordinal %r", man.get("ordinal"))
        self.data()
        self.tail()

    def meta(self, name, limit, header=None):
        got, size, raw = header or next_header(self.tape)
        need(re.fullmatch(name, got), "member %r where %s must be", got, name.decode())
        need(size <= limit, "%s has %d bytes", got.decode(), size)
        self.shard.text += size if limit == MIB else 0
        need(self.shard.text <= 64 * MIB, "more than 64 MiB of JSON in the shard")
        raw = padded(self.tape, size)
        self.shard.raw_bytes += 512 + len(raw)
        return got, raw[:size]

    def data(self):
        """All records, up to the header of the sums."""
        while True:
            edge, self.at, header = self.tape.edge(), self.tape.number(), next_header(self.tape)
            name, size, raw = header
            if name.startswith(b"__vl__/"):
                break
            key, ext = split_name(name)
            if not self.open or self.open["key"] != key:
                self.release()
                self.begin(key)
            r, i = self.open, len(self.lines)
            need(ext not in r["members"], "record %r: two members %s", key, ext)
            r["bytes"] += size
            need(len(r["members"]) < 4096 and r["bytes"] <= GIB, "record %r: more than 4096 members or 1 GiB", key)
            need(i < 1 << 22, "more than 2^22 members in a segment")
            raw += padded(self.tape, size)
            content = raw[len(header[2]):][:size]
            line = b"%016x  %s\n" % (xxh64(content), name)
            known = getattr(self.tape, "sums", None)
            need(known is None or known[i:i + 1] == [line], "member %r differs from the sums", name)
            self.lines.append(line)
            self.sha.update(raw)
            self.shard.sha.update(raw)
            self.bytes += len(raw)
            r["members"][ext], r["sums"][ext] = size, line[:16].decode()
            if self.shard.tensors and ext.endswith((".npy", ".vlt")):
                r["arrays"][ext] = content
        need(edge and re.fullmatch(rb"__vl__/\.sums\." + self.id, name), "member %r where it must not be", name)
        self.frames = len(self.tape.entries) - 2            # HEAD, and TAIL has begun
        self.release()
        need(self.index or self.first is None, "first_key %r, but no record", self.first)
        self.sums_header = header

    def begin(self, key):
        need(len(self.index) < 1 << 20 and self.shard.records < 1 << 26, "too many records")
        need(self.index or self.first == key, "first key %r, but first_key %r", key, self.first)
        need((self.kind, key) not in self.shard.keys, "key %r is used twice", key)
        self.shard.keys.add((self.kind, key))
        self.open = dict(key=key, bytes=0, members={}, sums={}, arrays={}, at=(self.bytes, self.at, len(self.lines)))

    def release(self):
        """The open record is whole: the next one, or TAIL, has begun."""
        r, self.open = self.open, None
        if r:
            (offset, frame, line), self.keys = r["at"], self.keys + r["key"].encode()
            self.index.append(struct.pack("<QIIQI", offset, self.bytes - offset, frame,
                                          xxh64(b"".join(self.lines[line:])), len(self.keys)))
            self.shard.release(self, r)

    def tail(self):
        _, sums = self.meta(rb"__vl__/\.sums\." + self.id, GIB, self.sums_header)
        name, self.tail_raw = self.meta(rb"__vl__/\.tail\." + self.id + rb"\.json", MIB)
        want, last = b"".join(self.lines), b"%016x  %s\n" % (xxh64(self.tail_raw), name)
        need(sums in (want, want + last), "the sums differ from the members")
        need(self.tape.edge(), "TAIL holds more than sums and tail")
        said, self.shard.raw_bytes = parse_json(self.tail_raw, "tail"), self.shard.raw_bytes + self.bytes
        found = dict(records=len(self.index), members=len(self.lines), bytes=self.bytes, content_id=self.sha.hexdigest())
        if type(self.tape) is not Plain:
            found["frames"] = self.frames
        for k, v in found.items():
            need(type(said.get(k)) is type(v) and said[k] == v, "tail: %s %r, found %r", k, said.get(k), v)
        need(type(said.get("parents")) is list and all(map(is_parent, said["parents"])), "tail: parents")


def record_index(segment):
    """7: VLIX of a segment that was read."""
    body = struct.pack("<4s3I", b"VLIX", 1, len(segment.index), len(segment.keys)) + b"".join(segment.index) + segment.keys
    return VLIX + struct.pack("<I", len(body) + 8) + body + struct.pack("<Q", xxh64(body))


def walk_plain(f, end):
    """10: {first byte of a segment: lines of its sums}, or {} where the segments do not chain."""
    def back(end, name):
        for at in range(end - 512, -1, -512):
            f.seek(at)
            if got := parse_header(f.read(512)):
                need(re.fullmatch(name, got[0]) and at + 512 + -got[1] // 512 * -512 == end, "no chain")
                return at, f.read(got[1])
        raise ValueError("no chain")
    plan = {}
    while end:
        f.seek(max(end - 1024, 0))
        if f.read(1024) == bytes(1024):
            end -= 1024
            continue
        at, tail = back(end, rb"__vl__/\.tail\.[0-9a-f]{16}\.json")
        at, sums = back(at, rb"__vl__/\.sums\.[0-9a-f]{16}")
        data = parse_json(tail, "tail").get("bytes")
        need(type(data) is int and 0 <= data < at, "no chain")
        end, _ = back(at - data, rb"__vl__/\.manifest\.[0-9a-f]{16}\.json")
        whole = sums[-1:] in (b"", b"\n")       # else no member agrees
        plan[end] = [line + b"\n" for line in sums.split(b"\n")[:-1]] if whole else [b""]
    return plan


class Shard:
    """1: segments one behind the other; what is known of all of them."""

    def __init__(self, name, src, tensors):
        self.name, self.src, self.tensors = name, src, tensors
        self.segments = self.records = self.raw_bytes = self.text = self.frames = 0
        self.keys, self.sha, self.chain = set(), hashlib.sha256(), {}

    def say(self, **line):
        print(json.dumps(line, sort_keys=True, separators=(",", ":"), ensure_ascii=False))

    def release(self, segment, r):
        extra = {}
        if self.tensors:
            extra["tensors"], self.chain = arrays.describe(r["key"], r["arrays"], self.chain, segment.man.get("schema"), xxh64)
        self.records += 1
        self.say(bytes=r["bytes"], file=self.name, key=r["key"], kind=segment.kind, members=r["members"],
                 segment=self.segments, sums=r["sums"], **extra)

    def read(self):
        plain = self.src.peek(4) not in (ZSTD, b"")
        read, self.src.lacks = (self.read_plain, "tail") if plain else (self.read_frames, "seek table")
        plan = {}
        try:
            plan = (walk_plain if plain else walk_tables)(self.src.f, self.src.end)
        except ValueError:
            pass                            # where the chain breaks, read as from a pipe
        self.src.rewind()
        while self.src.peek(1) or not self.src.pos:
            read(plan.get(self.src.pos))
        self.say(content_id=self.sha.hexdigest(), file=self.name, file_bytes=self.src.pos, frames=self.frames,
                 raw_bytes=self.raw_bytes, records=self.records, segments=self.segments)

    def read_plain(self, sums):
        if self.src.peek(512) == bytes(512):
            need(not any(self.src.take(1024)), "half an end-of-archive mark")
        else:
            self.finish(Segment(self, Plain(self.src, sums)))

    def read_frames(self, entries):
        if self.src.peek(23) == TERM[:23]:
            need(self.src.take(52) == TERM, "end-of-archive mark without its table")
            return
        tape = Frames(self.src, entries)
        segment, at = Segment(self, tape), self.src.pos
        if self.src.peek(4) == VLIX:
            index = record_index(segment)
            need(self.src.take(len(index)) == index, "byte %d: the record index differs from the records", at)
            tape.entries.append((len(index), 0, 0x51D8E999))
            at = self.src.pos
        want = table(tape.entries)
        need(self.src.take(4) == SEEK, "byte %d: no seek table where it must be", at)
        need(self.src.take(len(want) - 4) == want[4:], "byte %d: the seek table differs from the frames", at)
        self.frames += len(tape.entries)
        self.finish(segment)

    def finish(self, s):
        """A sealed segment: its JSON as it stands in the file, without the newline."""
        man, tail = (raw.decode().rstrip("\n") for raw in (s.man_raw, s.tail_raw))
        name = json.dumps(self.name, ensure_ascii=False)
        print('{"file":%s,"manifest":%s,"segment":%d,"tail":%s}' % (name, man, self.segments, tail))
        self.segments += 1


def main(args):
    tensors, failed = args[:1] == ["--tensors"], 0
    for name in args[tensors:] or ["-"]:
        try:
            with sys.stdin.buffer if name == "-" else open(name, "rb") as f:
                Shard(name, Source(f), tensors).read()
        except (ValueError, OSError) as bad:
            failed = 1
            print("readshard: %s: %s" % (name, bad), file=sys.stderr)
    return failed


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")
    sys.setrecursionlimit(10000)            # JSON of 2048 levels
    sys.exit(main(sys.argv[1:]))
