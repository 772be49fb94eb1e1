# SPDX-License-Identifier: MIT
"""carrier.py -- bytes of a shard: XXH64, frames and their table, tar members, the two carriers. See readshard.py."""
import functools
import re
import struct
import subprocess

MIB, GIB, MASK = 1 << 20, 1 << 30, (1 << 64) - 1
ZSTD, SEEK, VLIX = b"\x28\xb5\x2f\xfd", b"\x5e\x2a\x4d\x18", b"\x5d\x2a\x4d\x18"
TERM = bytes.fromhex("28b52ffd6400034d00001000000100fb2b8005cdac85f0"
                     "5e2a4d18150000001700000000040000cdac85f00100000080b1ea928f")
P1, P2, P3, P4, P5 = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63,
                      0x27D4EB2F165667C5)


def need(true, cause, *values):
    if not true:
        raise ValueError(cause % values if values else cause)


def xxh64(data):
    """XXH64 with seed 0."""
    def rotl(x, r):
        return (x << r | x >> 64 - r) & MASK

    def word(at, n):
        return int.from_bytes(data[at:at + n], "little")

    n, h, at = len(data), P5, 0
    if n >= 32:
        a, b, c, d, at = (P1 + P2) & MASK, P2, 0, -P1 & MASK, n & ~31
        for w, x, y, z in struct.iter_unpack("<4Q", memoryview(data)[:at]):
            a = ((a := a + w * P2 & MASK) << 31 | a >> 33) * P1 & MASK
            b = ((b := b + x * P2 & MASK) << 31 | b >> 33) * P1 & MASK
            c = ((c := c + y * P2 & MASK) << 31 | c >> 33) * P1 & MASK
            d = ((d := d + z * P2 & MASK) << 31 | d >> 33) * P1 & MASK
        h = rotl(a, 1) + rotl(b, 7) + rotl(c, 12) + rotl(d, 18) & MASK
        for v in (a, b, c, d):
            h = (h ^ rotl(v * P2 & MASK, 31) * P1 & MASK) * P1 + P4 & MASK
    h = h + n & MASK
    for at in range(at, n & ~7, 8):
        h = rotl(h ^ rotl(word(at, 8) * P2 & MASK, 31) * P1 & MASK, 27) * P1 + P4 & MASK
    if n & 4:
        h = rotl(h ^ word(n & ~7, 4) * P1 & MASK, 23) * P2 + P3 & MASK
    for byte in data[n & ~3:]:
        h = rotl(h ^ byte * P5 & MASK, 11) * P1 & MASK
    h = (h ^ h >> 33) * P2 & MASK
    h = (h ^ h >> 29) * P3 & MASK
    return h ^ h >> 32


class Source:
    """Bytes of a file or pipe. A short take is a truncated shard: what is taken must be there."""

    def __init__(self, f):
        self.f, self.pos, self.kept = f, 0, b""
        self.name, self.end = ("file", f.seek(0, 2)) if f.seekable() else ("input", 0)
        self.rewind()

    def rewind(self):
        """Back to the first byte of a file, behind a walk through its tables."""
        if self.end:
            self.f.seek(0)
            self.kept = b""

    def peek(self, n):
        while len(self.kept) < n and (b := self.f.read(min(n - len(self.kept), MIB))):      # n may be a lie
            self.kept += b
        return self.kept[:n]

    def take(self, n):
        out, left = [], n
        while left and (b := self.peek(min(left, MIB))):
            out, self.kept = out + [b], self.kept[len(b):]
            left, self.pos = left - len(b), self.pos + len(b)
        need(not left, "truncated: no %s, %s ends at byte %d", self.lacks, self.name, self.pos)
        return b"".join(out)


@functools.lru_cache(8)                     # damaged copies of one shard have most frames in common
def decode(raw):
    """Content of a frame whose checksum agrees, else nothing."""
    got = subprocess.run(["zstd", "-dcq"], input=raw, capture_output=True)
    return b"" if got.returncode else got.stdout


class Frames:
    """2: the content of a segment's frames. entries: what SEEK must say; expected: what it says, where known."""

    def __init__(self, src, expected):
        self.src, self.expected, self.entries, self.buf = src, expected, [], b""

    def pull(self):
        at, i, src, raw = self.src.pos, len(self.entries), self.src, bytearray()

        def more(n):
            need(len(raw) + n <= 8 * MIB + 65536, "byte %d: frame of more than 8 MiB + 64 KiB", at)
            raw.extend(src.take(n))
            return int.from_bytes(raw[len(raw) - n:], "little") if n <= 8 else 0

        need(more(4) == 0xFD2FB528, "byte %d: no zstd frame where one must be", at)
        flags = more(1)                     # content checksum, no dictionary, no spare bits, content size
        need(flags & 0x1F == 4 and flags & 0xE0, "byte %d: frame descriptor 0x%02x", at, flags)
        window = 0 if flags & 0x20 else more(1)
        need(8 + (window & 7) << 7 + (window >> 3) <= 8 * MIB, "byte %d: window of more than 8 MiB", at)
        size = more(1 << (flags >> 6)) + (256 if flags >> 6 == 1 else 0)
        need(1 <= size <= 8 * MIB, "byte %d: frame of %d bytes of content", at, size)
        last = 0
        while not last:
            block = more(3)
            last, kind = block & 1, block >> 1 & 3
            need(kind < 3, "byte %d: block of the reserved type", at)
            more(1 if kind == 1 else block >> 3)
        entry = (len(raw) + 4, size, more(4))
        need(i < 1 << 22, "more than 2^22 frames in a segment")
        need(not self.expected or self.expected[i:i + 1] == [entry], "byte %d: frame differs from its entry", at)
        self.entries.append(entry)
        content = decode(bytes(raw))
        need(len(content) == size, "byte %d: frame does not decode", at)
        self.buf = memoryview(content)

    def edge(self):                         # does a frame begin here?
        return not self.buf

    def number(self):                       # of the frame in which the next byte lies
        return len(self.entries) - bool(self.buf)

    def take(self, n):
        out = []
        while n:
            self.buf or self.pull()
            out.append(self.buf[:n])
            self.buf, n = self.buf[n:], n - len(out[-1])
        return b"".join(out)


class Plain:
    """10: the same of the plain carrier. sums: the lines of the segment's sums, where known beforehand."""
    entries, edge, number = [], staticmethod(lambda: True), staticmethod(lambda: 0)

    def __init__(self, src, sums):
        self.take, self.sums = src.take, sums


def table(entries):
    """7: SEEK, the table of a segment's frames."""
    return SEEK + struct.pack("<I", 12 * len(entries) + 9) + b"".join(struct.pack("<3I", *e) for e in entries) \
        + struct.pack("<IBI", len(entries), 0x80, 0x8F92EAB1)


def walk_tables(f, end):
    """8: {first byte of a segment: entries}, or {} where the chain of tables breaks."""
    plan = {}
    while end:
        f.seek(max(end - 9, 0))
        n = int.from_bytes(f.read(4), "little")
        if not 1 <= n <= 1 << 22 or 12 * n + 17 > end:
            return {}
        f.seek(end - 12 * n - 17)
        raw = f.read(12 * n + 17)
        entries = list(struct.iter_unpack("<3I", raw[8:-9]))
        end -= len(raw) + sum(e[0] for e in entries)
        if raw != table(entries) or end < 0:
            return {}
        plan[end] = entries
    return plan


def tar_header(name, size, kind):
    """3: the one form of a header."""
    h = name.ljust(100, b"\0") + b"0000444\0" + b"0000000\0" * 2 + b"%011o\0" % size + b"0" * 11 + b"\0" + b" " * 8 \
        + kind + bytes(100) + b"ustar\x0000" + bytes(64) + b"0000000\0" * 2 + bytes(167)
    return h[:148] + b"%06o\0 " % sum(h) + h[156:]


def parse_header(h):
    """(name, size, type), or None; what was read is written again and compared."""
    name, size, kind = h[:100].rstrip(b"\0"), h[124:135], h[156:157]
    fine = re.fullmatch(b"[0-7]{11}", size) and kind in (b"0", b"x") and tar_header(name, int(size, 8), kind) == h
    return (name, int(size, 8), kind) if fine and int(size, 8) <= GIB else None


def padded(tape, size):
    raw = tape.take(-(-size // 512) * 512)
    need(not any(raw[size:]), "padding is not zero")
    return raw


def next_header(tape):
    """(name, size of the content, header bytes) of the next member, with its PAX header."""
    raw = tape.take(512)
    name, size, kind = parse_header(raw) or need(0, "header %r is not in its one form", raw[:100].rstrip(b"\0"))
    if kind == b"0":
        return name, size, raw
    need(name == b"././@PaxHeader" and size <= 1011, "PAX header of another form")      # 1011 path=NAME, newline
    text = padded(tape, size)
    long = re.fullmatch(rb"\d+ path=(.{101,1000})\n", text[:size], re.DOTALL)
    need(long and text[:size] == b"%d path=%s\n" % (size, long[1]), "PAX header of another form")
    raw, long = raw + text + tape.take(512), long[1]
    name, size, kind = parse_header(raw[-512:]) or need(0, "header behind a PAX header is not in its one form")
    need(kind == b"0" and name == long.decode()[:100].encode()[:100].decode(errors="ignore").encode(),
         "member %r does not go with its PAX header", name)
    return long, size, raw
