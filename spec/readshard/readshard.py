#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""readshard.py [FILE|-]... -- a second reader of vlkit shards, written from FORMAT.md alone.

Prints a JSON line for each record, segment and shard that verified, and on standard error a line
for each shard that did not; exits 1 if there was one. A file is read forward, like a pipe.
Needs libzstd and libxxhash. Numbers in comments are sections of FORMAT.md.
"""
import ctypes.util
import hashlib
import json
import re
import struct
import sys
from ctypes import c_size_t, c_uint64
from itertools import accumulate

MIB, GIB = 1 << 20, 1 << 30
ZSTD, SEEK, VLIX = b"\x28\xb5\x2f\xfd", b"\x5e\x2a\x4d\x18", b"\x5d\x2a\x4d\x18"
TERM = bytes.fromhex("28b52ffd6400034d00001000000100fb2b8005cdac85f0"
                     "5e2a4d18150000001700000000040000cdac85f00100000080b1ea928f")
HEADER = re.compile(  # 3: name, size, checksum, type
    b"([^\0]+)\0*" b"0000444\0" b"(?:0000000\0){2}" b"([0-7]{11})\0" b"0{11}\0" b"([0-7]{6})\0 "
    b"([0x])" b"\0{100}" b"ustar\0" b"00" b"\0{64}" b"(?:0000000\0){2}" b"\0{167}")
META = rb"__vl__/\.%s\.([0-9a-f]{16})%s"
PARENT = {"content_id": '"[0-9a-f]{64}"', "kind": '"[a-z-]{1,23}"'}  # JSON values, as text
MANIFEST = {"format": "1", "kind": PARENT["kind"], "ordinal": "[0-9]+", "first_key": 'null|".*"'}
compact = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode
NAME = re.compile(  # 4: key, extension
    r"((?:(?!\.|__)[^/\\\0-\x1f\x7f-\x9f]+/)*(?!__)[^/.\\\0-\x1f\x7f-\x9f]+)"
    r"\.(?=.{1,255}$)([a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*)")
LIBZSTD, LIBXXHASH = (ctypes.CDLL(ctypes.util.find_library(name)) for name in ("zstd", "xxhash"))
LIBZSTD.ZSTD_findFrameCompressedSize.restype = LIBZSTD.ZSTD_decompress.restype = c_size_t
LIBZSTD.ZSTD_getFrameContentSize.restype = LIBXXHASH.XXH64_digest.restype = c_uint64


def need(true, cause, *values):
    if not true:
        raise ValueError(cause % values)


def xxh64(pieces):
    """XXH64 with seed 0 of pieces of bytes, one behind the other."""
    state = (c_uint64 * 16)()  # more than XXH64_state_t
    LIBXXHASH.XXH64_reset(state, c_uint64(0))
    for piece in pieces:
        LIBXXHASH.XXH64_update(state, piece, c_size_t(len(piece)))
    return LIBXXHASH.XXH64_digest(state)


def parse_header(h):
    m = HEADER.fullmatch(h)
    need(m and int(m[3], 8) == sum(h[:148] + b" " * 8 + h[156:]) and int(m[2], 8) <= GIB,
         "header %r is not in its one form", h[:100].rstrip(b"\0"))
    return m[1], int(m[2], 8), m[4]


def parse_json(raw, what):
    """5: one object; what two parsers could read differently is refused."""
    def pairs(items):
        need(len(dict(items)) == len(items), "a name twice in one object")
        return dict(items)

    def integer(text):
        need(-1 << 63 <= int(text) < 1 << 63, "an integer of more than 64 bits")
        return int(text)
    try:
        bare = re.sub(r'"(\\.|[^"\\])*"', "", raw.decode())
        depth = accumulate((c in "[{") - (c in "]}") for c in bare)
        need(max(depth, default=0) <= 2048, "nested too deep")
        obj = json.loads(raw.decode(), object_pairs_hook=pairs, parse_int=integer)
        text = json.dumps(obj, ensure_ascii=False, allow_nan=False)
        need("\\u0000" not in text.replace("\\\\", ""), "U+0000 in a text")
        text.encode()  # fails for half a surrogate pair
    except (ValueError, RecursionError) as bad:
        raise ValueError("%s is not JSON: %s" % (what, bad)) from None
    return obj


def check(what, obj, rules):
    """The names that must be there, each with the form of its value."""
    for name, form in rules.items():
        need(type(obj) is dict and re.fullmatch(form, json.dumps(obj.get(name, {}))),
             "%s: %s is not %s", what, name, form)


def table(entries):
    """7: SEEK, the table of a segment's frames."""
    rows = b"".join(struct.pack("<3I", *e) for e in entries)
    foot = struct.pack("<IBI", len(entries), 0x80, 0x8F92EAB1)
    return SEEK + struct.pack("<I", len(rows) + 9) + rows + foot


class Tape:
    """The tar bytes of a shard, segment by segment, in either carrier."""

    def __init__(self, data):
        self.data, self.pos, self.buf, self.at, self.taken = data, 0, b"", 0, 0
        self.plain = data[:4] not in (ZSTD, b"")

    def raw(self, n):
        """Bytes of the file. They must be there: else the shard is truncated."""
        raw = self.data[self.pos:self.pos + n]
        self.pos += len(raw)
        need(len(raw) == n, "truncated: no tail or seek table, file ends at byte %d", self.pos)
        return raw

    def frame(self):
        """2: the content of the next frame."""
        raw, i = self.data[self.pos:self.pos + 8 * MIB + 65536], len(self.entries)
        need(raw[:4] == ZSTD[:len(raw)], "byte %d: no zstd frame where one must be", self.pos)
        n = LIBZSTD.ZSTD_findFrameCompressedSize(raw, c_size_t(len(raw)))
        need(n <= len(raw), "truncated: no seek table, and no whole frame at byte %d", self.pos)
        raw, flags, window = self.raw(n), raw[4], raw[5]
        window = 0 if flags & 0x20 else 8 + (window & 7) << 7 + (window >> 3)
        need(flags & 0x1F == 4 and window <= 8 * MIB, "frame %d: descriptor or window", i)
        size = LIBZSTD.ZSTD_getFrameContentSize(raw, c_size_t(n))
        need(1 <= size <= 8 * MIB and i < 1 << 22, "frame %d: %d bytes of content", i, size)
        self.entries.append((n, size, int.from_bytes(raw[-4:], "little")))
        out = ctypes.create_string_buffer(size)
        got = LIBZSTD.ZSTD_decompress(out, c_size_t(size), raw, c_size_t(n))
        need(got == size, "frame %d: does not decode", i)
        return out.raw

    def edge(self):
        """Does the next byte begin a frame?"""
        return self.at == len(self.buf)

    def pieces(self, n, *digests):
        """The next n bytes of a segment, as they come, on their way into digests."""
        while n:
            if self.edge():
                self.buf, self.at = self.raw(min(n, MIB)) if self.plain else self.frame(), 0
            piece = self.buf[self.at:self.at + n]
            self.at, self.taken, n = self.at + len(piece), self.taken + len(piece), n - len(piece)
            for digest in digests:
                digest.update(piece)
            yield piece

    def take(self, n):
        return b"".join(self.pieces(n))

    def padding(self, n, *digests):
        need(not any(map(any, self.pieces(-n % 512, *digests))), "padding is not zero")

    def header(self):
        """3: (name, size, header bytes) of the next member, with its PAX header."""
        raw = self.take(512)
        name, size, kind = parse_header(raw)
        if kind == b"0":
            return name, size, raw
        text = self.take(size) if size <= 1011 else b""  # 1011 path=NAME, newline
        long = re.fullmatch(rb"\d+ path=(.{101,1000})\n", text, re.DOTALL)
        need(name == b"././@PaxHeader" and long and text == b"%d path=%s\n" % (size, long[1]),
             "PAX header of another form")
        self.padding(size)
        raw, long = raw + text + bytes(-size % 512) + self.take(512), long[1]
        name, size, kind = parse_header(raw[-512:])
        short = long.decode()[:100].encode()[:100].decode(errors="ignore").encode()
        need(kind == b"0" and name == short, "member %r does not go with its PAX header", name)
        return long, size, raw


class Shard:
    """1: segments one behind the other; what is known of all of them, then of the open one."""

    def __init__(self, name, tape):
        self.name, self.tape = name, tape
        self.segments = self.records = self.text = self.frames = 0
        self.keys, self.sha = set(), hashlib.sha256()

    def read(self):
        tape = self.tape
        end, seen = (bytes(1024), 512) if tape.plain else (TERM, 23)
        while tape.pos < len(tape.data) or not tape.pos:
            if tape.data[tape.pos:tape.pos + seen] == end[:seen]:
                need(tape.raw(len(end)) == end, "half an end-of-archive mark")
            else:
                self.segment()
        print(compact(dict(content_id=self.sha.hexdigest(), file=self.name, file_bytes=tape.pos,
                           frames=self.frames, raw_bytes=tape.taken, records=self.records,
                           segments=self.segments)))

    def segment(self):
        tape = self.tape
        tape.entries, self.open, self.id = [], None, None
        self.digests, self.lines, self.index = [self.sha, hashlib.sha256()], [], []
        self.index_keys = b""
        # 5: HEAD
        manifest = self.meta(tape.header(), b"manifest")
        need(self.id == b"%016x" % xxh64([manifest]), "the manifest has another id")
        need(tape.edge() and len(tape.entries) < 2, "HEAD is more than one frame")
        self.man = parse_json(manifest, "manifest")
        check("manifest", self.man, MANIFEST)
        self.kind, self.first = self.man["kind"], self.man["first_key"]
        # 6: DATA and TAIL
        header, frames, size = self.data()
        sums = self.meta(header, b"sums", b"", GIB)
        header = tape.header()
        tail = self.meta(header, b"tail")
        need(tape.edge(), "TAIL holds more than sums and tail")
        want, last = b"".join(self.lines), b"%016x  %s\n" % (xxh64([tail]), header[0])
        need(sums in (want, want + last), "the sums differ from the members")
        said = parse_json(tail, "tail")
        check("tail", said, dict(
            records=str(len(self.index)), members=str(len(self.lines)), bytes=str(size),
            content_id='"%s"' % self.digests[1].hexdigest(), parents=r"\[.*\]",
            frames=".*" if tape.plain else str(frames)))
        for parent in said["parents"]:
            check("a parent", parent, PARENT)
        # 7: VLIX, if there is one, and SEEK are what follows from the records and frames
        if not tape.plain and tape.data[tape.pos:tape.pos + 4] == VLIX:
            body = struct.pack("<4s3I", b"VLIX", 1, len(self.index), len(self.index_keys)) \
                + b"".join(self.index) + self.index_keys
            vlix = VLIX + struct.pack("<I%dsQ" % len(body), len(body) + 8, body, xxh64([body]))
            need(tape.raw(len(vlix)) == vlix, "the record index differs from the records")
            tape.entries.append((len(vlix), 0, 0x51D8E999))
        seek = b"" if tape.plain else table(tape.entries)
        need(tape.raw(len(seek)) == seek, "the seek table differs from the frames")
        self.frames += len(tape.entries)
        print('{"file":%s,"manifest":%s,"segment":%d,"tail":%s}' % (
            compact(self.name), manifest.decode()[:-1], self.segments, tail.decode()[:-1]))
        self.segments += 1

    def meta(self, header, what, suffix=rb"\.json", limit=MIB):
        """A member of HEAD or TAIL: its content."""
        name, size, _ = header
        named = re.fullmatch(META % (what, suffix), name)
        need(named and self.id in (None, named[1]), "member %r where %r must be", name, what)
        self.id, self.text = named[1], self.text + (size if suffix else 0)
        need(size <= limit and self.text <= 64 * MIB, "%r: too much text", name)
        raw = self.tape.take(size)
        self.tape.padding(size)
        return raw

    def data(self):
        """All records. Returns the header of the sums, number of frames and bytes before it."""
        self.start = self.tape.taken
        while True:
            edge, taken = self.tape.edge(), self.tape.taken
            frame = len(self.tape.entries) - (not edge)
            header = self.tape.header()
            if header[0].startswith(b"__vl__/"):
                break
            self.member(*header, frame, taken - self.start)
        need(edge and header[0] == b"__vl__/.sums." + self.id, "member %r inside DATA", header[0])
        self.release(taken - self.start)
        need(self.index or self.first is None, "first_key %r, but no record", self.first)
        return header, frame - 1, taken - self.start  # HEAD is frame 0

    def member(self, name, size, raw, frame, at):
        i, match = len(self.lines), NAME.fullmatch(name.decode())
        need(match, "name of member %r", name)
        key, ext = match.groups()
        if not self.open or self.open["key"] != key:
            self.release(at)
            need(len(self.index) < 1 << 20 and self.records < 1 << 26, "too many records")
            need(self.index or self.first == key, "first key %r, not %r", key, self.first)
            need((self.kind, key) not in self.keys, "key %r is used twice", key)
            self.keys.add((self.kind, key))
            self.open, self.begun = dict(key=key, bytes=0, members={}), (at, frame, i)
        r = self.open
        r["bytes"] += size
        need(ext not in r["members"], "record %r: two members %s", key, ext)
        need(len(r["members"]) < 4096 and r["bytes"] <= GIB and i < 1 << 22, "%r: too large", key)
        for digest in self.digests:
            digest.update(raw)
        self.lines.append(b"%016x  %s\n" % (xxh64(self.tape.pieces(size, *self.digests)), name))
        self.tape.padding(size, *self.digests)
        r["members"][ext] = size

    def release(self, end):
        """The open record is whole: the next one, or TAIL, has begun."""
        r, self.open = self.open, None
        if r:
            start, frame, line = self.begun
            self.index_keys += r["key"].encode()
            self.index.append(struct.pack("<QIIQI", start, end - start, frame,
                                          xxh64(self.lines[line:]), len(self.index_keys)))
            self.records += 1
            print(compact(dict(r, file=self.name, kind=self.kind, segment=self.segments)))


def main(names, shard=lambda name, f: Shard(name, Tape(f.read()))):
    failed = 0
    sys.stdout.reconfigure(encoding="utf-8")
    sys.setrecursionlimit(10000)  # JSON of 2048 levels
    for name in names or ["-"]:
        try:
            with sys.stdin.buffer if name == "-" else open(name, "rb") as f:
                shard(name, f).read()
        except (ValueError, OSError) as bad:
            failed = 1
            print("readshard: %s: %s" % (name, bad), file=sys.stderr)
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
