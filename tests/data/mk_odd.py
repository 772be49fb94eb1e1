#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""mk_odd.py FOLDER -- shards at the edges of FORMAT.md: FOLDER/good/* must be read, FOLDER/bad/* refused.

All sums and tables of a bad shard agree with what is in it; what is wrong is the one thing its name says. Frames
hold raw blocks, so no compressor is needed. A case of sections 3 to 6 is written in both carriers."""
import hashlib
import json
import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../spec/readshard"))
import readshard  # noqa: E402
from readshard import TERM, table  # noqa: E402

MIB = 1 << 20


def xxh64(content):
    return readshard.xxh64([content])


def tar_header(name, size, kind):
    """Section 3: the one form of a header."""
    h = name.ljust(100, b"\0") + b"0000444\0" + b"0000000\0" * 2 + b"%011o\0" % size + b"0" * 11 + b"\0" + b" " * 8 \
        + kind + bytes(100) + b"ustar\x0000" + bytes(64) + b"0000000\0" * 2 + bytes(167)
    return h[:148] + b"%06o\0 " % sum(h) + h[156:]


def canonical(obj):
    return json.dumps(obj, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def pad(b):
    return b + bytes(-len(b) % 512)


def member(name, content, kind=b"0", pax=None):
    """A member as section 3 says, with its PAX header."""
    name = name.encode() if isinstance(name, str) else name
    stub, text = name, b""
    if len(name) > 100 and pax is None:
        n = len(name) + 7
        n += len(str(n + len(str(n))))
        text = b"%d path=%s\n" % (n, name)
        stub = name[:100].decode(errors="ignore").encode()
    elif pax is not None:
        stub, text = name, pax
    head = tar_header(b"././@PaxHeader", len(text), b"x") + pad(text) if text else b""
    return head + tar_header(stub, len(content), kind) + pad(content)


def patched(at, new, fix=True, content=b"x"):
    """A member a.txt whose header has other bytes; its checksum is right all the same."""
    h = bytearray(member("a.txt", content))
    h[at:at + len(new)] = new
    if fix:
        h[148:156] = b" " * 8
        h[148:156] = b"%06o\0 " % sum(h[:512])
    return bytes(h)


def frame(content, flags=0xA4, window=b"", size=None, checksum=True):
    """A zstd frame of raw blocks; 0xA4: one segment, 4 bytes of content size, checksum."""
    n = len(content) if size is None else size
    fcs = {0: struct.pack("<B", n & 255), 1: struct.pack("<H", n - 256 & 0xFFFF), 2: struct.pack("<I", n),
           3: struct.pack("<Q", n)}[flags >> 6] if flags >> 6 or flags & 0x20 else b""
    blocks, step = b"", 1 << 17
    for at in range(0, len(content) or 1, step):
        part = content[at:at + step]
        blocks += struct.pack("<I", (at + step >= len(content)) | len(part) << 3)[:3] + part
    return b"\x28\xb5\x2f\xfd" + bytes([flags]) + window + fcs + blocks + \
        (struct.pack("<I", xxh64(content) & 0xFFFFFFFF) if checksum else b"")


class Seg:
    """A segment; what a case wants otherwise is an argument.
    data: tar bytes of DATA, whose members' lines and keys are given; man, tail: names to change (None: without it)."""

    def __init__(self, recs=(("a.txt", b"one"), ("a.json", b"{}"), ("b.txt", b"two")), kind="pairs", man=None, tail=None,
                 man_raw=None, tail_raw=None, data=None, lines=None, ident=None, tail_line=True, sums=None, extra=b""):
        recs = [(n.encode() if isinstance(n, str) else n, c) for n, c in recs]
        self.parts = [member(n, c) for n, c in recs] if data is None else [data]
        self.data = b"".join(self.parts)
        key = lambda n: n[:n.rfind(b"/") + 1] + n[n.rfind(b"/") + 1:].split(b".")[0]        # noqa: E731
        keys = [key(n) for n, _ in recs]
        first = keys[0].decode(errors="replace") if keys else None
        self.index = []                 # of each record: number of members, key
        for k in keys:
            if not self.index or self.index[-1][1] != k:
                self.index.append([0, k])
            self.index[-1][0] += 1
        m = dict(format=1, kind=kind, ordinal=0, first_key=first, **{})
        m.update(man or {})
        self.man = canonical({k: v for k, v in m.items() if v is not Ellipsis}) if man_raw is None else man_raw
        self.id = ident or "%016x" % xxh64(self.man)
        t = dict(records=len(self.index), members=len(recs), frames=1 if self.data else 0, bytes=len(self.data),
                 content_id=hashlib.sha256(self.data).hexdigest(), parents=[])
        t.update(tail or {})
        self.tail = canonical({k: v for k, v in t.items() if v is not Ellipsis}) if tail_raw is None else tail_raw
        self.lines = [b"%016x  %s\n" % (xxh64(c), n) for n, c in recs]
        self.tail_name = "__vl__/.tail.%s.json" % self.id
        last = b"%016x  %s\n" % (xxh64(self.tail), self.tail_name.encode())
        self.sums = b"".join(self.lines) + (last if tail_line else b"") if sums is None else sums(self, last)
        self.head_tar = member("__vl__/.manifest.%s.json" % self.id, self.man)
        self.tail_tar = member("__vl__/.sums." + self.id, self.sums) + member(self.tail_name, self.tail) + extra

    def plain(self):
        return self.head_tar + self.data + self.tail_tar

    def vlix(self, frame_of=lambda i: 1, change=lambda b: b, mark=b"VLIX"):
        at, line, keys, entries = 0, 0, b"", b""
        for i, (n, key) in enumerate(self.index):
            size = sum(map(len, self.parts[line:line + n]))
            keys += key
            entries += struct.pack("<QIIQI", at, size, frame_of(i), xxh64(b"".join(self.lines[line:line + n])), len(keys))
            at, line = at + size, line + n
        body = change(mark + struct.pack("<3I", 1, len(self.index), len(keys)) + entries + keys)
        return b"\x5d\x2a\x4d\x18" + struct.pack("<I", len(body) + 8) + body + struct.pack("<Q", xxh64(body))

    def zst(self, frames=None, vlix=b"", seek=table, change=lambda e: e):
        """frames: the frames before VLIX and SEEK; seek: how the table is written; change: of its entries."""
        frames = frames or [frame(self.head_tar)] + ([frame(self.data)] if self.data else []) + [frame(self.tail_tar)]
        entries = [(len(f), content_size(f), int.from_bytes(f[-4:], "little")) for f in frames]
        if vlix:
            entries.append((len(vlix), 0, 0x51D8E999))
        return b"".join(frames) + vlix + seek(change(entries))


def content_size(f):
    at = 5 if f[4] & 0x20 else 6
    n = 1 << (f[4] >> 6)
    return int.from_bytes(f[at:at + n], "little") + (256 if n == 2 else 0)


def tar_cases():
    """(good or bad, name, segments): sections 3 to 6."""
    one = lambda name, content=b"x": Seg([(name, content)])         # noqa: E731
    yield "good", "smallest", [one("a.txt")]
    yield "good", "nothing", [Seg([])]
    yield "good", "empty-member", [one("a.txt", b"")]
    for what, at, new in (("mode", 100, b"0000644"), ("uid", 108, b"0000001"), ("gid", 116, b"0001750"), ("mtime", 136, b"00000000001"),
                          ("type-nul", 156, b"\0"), ("type-7", 156, b"7"), ("type-1", 156, b"1"), ("link", 157, b"b"),
                          ("gnu-magic", 257, b"ustar  \0"), ("user", 265, b"root"), ("group", 297, b"root"), ("device", 329, b"0000001"),
                          ("device-nul", 329, bytes(8)), ("prefix", 345, b"p"), ("rest", 511, b"\1"), ("size-space", 124, b"          1"),
                          ("size-blank-end", 135, b" "), ("mode-blank", 107, b" "), ("name-hole", 99, b"b"), ("name-nul", 6, b"b"),
                          ("size-base-256", 124, b"\x80" + bytes(10) + b"\1")):
        yield "bad", "header-" + what, [Seg([("a.txt", b"x")], data=patched(at, new))]
    yield "bad", "header-sum-blanks", [Seg([("a.txt", b"x")], data=patched(154, b" \0", fix=False))]
    yield "bad", "header-sum-wrong", [Seg([("a.txt", b"x")], data=patched(153, b"7", fix=False))]
    yield "bad", "header-folder", [Seg([("a.txt", b"x")], data=tar_header(b"d/", 0, b"5") + member("a.txt", b"x"))]
    yield "bad", "padding", [Seg([("a.txt", b"x")], data=member("a.txt", b"x")[:-1] + b"\1")]
    yield "bad", "size-lie", [Seg([("a.txt", b"x")], data=patched(124, b"07777777777"))]
    yield "bad", "size-over-1GiB", [Seg([("a.txt", b"x")], data=patched(124, b"10000000001"))]
    for n in (100, 101, 108, 109, 110, 998, 999, 1000):
        yield "good", "name-%d" % n, [one("n" * (n - 4) + ".txt")]
    yield "bad", "name-1001", [one("n" * 997 + ".txt")]
    yield "good", "name-utf8-cut", [one("n" * 99 + "\u00e4\u4e00.txt"), one("n" * 98 + "\U0001f600\u4e00.txt")]
    long = "n" * 120 + ".txt"
    pax = lambda text, stub=long[:100]: [Seg([(long, b"x")], data=member(stub, b"x", pax=text))]       # noqa: E731
    text = member(long, b"")[512:1024].rstrip(b"\0")
    yield "good", "pax-itself", pax(text)
    yield "bad", "pax-of-short-name", [Seg([("a.txt", b"x")], data=member("a.txt", b"x", pax=b"14 path=a.txt\n"))]
    yield "bad", "pax-len", pax(text.replace(b"134", b"133"))
    yield "bad", "pax-len-zero", pax(b"0135 path=" + long.encode() + b"\n")
    yield "bad", "pax-two", pax(text + b"12 mtime=1.0\n")
    yield "bad", "pax-mtime", pax(b"12 mtime=1.0\n" + text)
    yield "bad", "pax-stub", pax(text, long[:99])
    yield "bad", "pax-stub-other", pax(text, "x" * 100)
    yield "bad", "pax-twice", [Seg([(long, b"x")], data=member(long, b"x")[:1024] + member(long, b"x"))]
    yield "bad", "pax-last", [Seg([("a.txt", b"x")], data=member("a.txt", b"x") + member(long, b"x")[:1024])]
    yield "bad", "pax-stub-splits-utf8", [Seg([("n" * 99 + "\u00e4.txt", b"x")], data=member(
        b"n" * 99 + b"\xc3", b"x", pax=b"115 path=" + ("n" * 99 + "\u00e4.txt").encode() + b"\n"))]
    for what, name in (("folder", "d/a.txt"), ("dot-folder", "d.e/a.txt"), ("ext-dots", "a.b.c-d_e+1"), ("underscore", "_a.txt"),
                       ("end-underscores", "a__.txt"), ("blank", " a b .txt"), ("umlaut", "\u00e4.txt"), ("bom", "\ufeffa.txt"),
                       ("ext-255", "a." + "e" * 255), ("quote", "a\"b.txt"), ("dash", "-a.txt"), ("emoji", "\U0001f600.txt"),
                       ("noncharacter", "\uffff.txt"), ("colon", "c:a.txt"), ("a0", "\u00a0.txt"), ("vl-alike", "a/vl__.txt")):
        yield "good", "key-" + what, [one(name)]
    for what, name in (("two-slashes", "d//a.txt"), ("slash-first", "/a.txt"), ("slash-last", "d/.txt"), ("dot", ".a.txt"),
                       ("dot-part", "d/.e/a.txt"), ("dot-dot", "d/../a.txt"), ("underscores", "__a.txt"), ("part-underscores", "d/__e/a.txt"),
                       ("control", "a\1.txt"), ("newline", "a\nb.txt"), ("delete", "a\x7f.txt"), ("c1", "a\u0085.txt"),
                       ("backslash", "a\\b.txt"), ("not-utf8", b"a\xff.txt"), ("surrogate", b"a\xed\xa0\x80.txt"), ("overlong", b"a\xc1\x81.txt"),
                       ("no-dot", "a"), ("none", ".txt"), ("no-ext", "a."), ("ext-dot-dot", "a.b..c"), ("ext-last-dot", "a.b."),
                       ("ext-capital", "a.TXT"), ("ext-blank", "a.t t"), ("ext-umlaut", "a.\u00e4"), ("ext-256", "a." + "e" * 256),
                       ("vl", "__vl__/a.txt"), ("vl-manifest", "__vl__/.manifest.0123456789abcdef.json")):
        yield "bad", "key-" + what, [one(name)]
    yield "bad", "ext-twice", [Seg([("a.txt", b"1"), ("a.txt", b"2")])]
    yield "bad", "ext-twice-apart", [Seg([("a.txt", b"1"), ("a.json", b"2"), ("a.txt", b"1")])]
    yield "bad", "key-twice", [Seg([("a.txt", b"1"), ("b.txt", b"2"), ("a.json", b"1")])]
    yield "bad", "key-twice-segments", [one("a.txt"), one("a.json")]
    yield "good", "key-of-two-kinds", [one("a.txt"), Seg([("a.x.npy", b"1")], kind="embeddings")]
    yield "good", "key-prefix-of-other", [Seg([("a/b.txt", b"1"), ("a.txt", b"1"), ("ab.txt", b"2")])]
    yield "good", "members-4096", [Seg([("a.%d" % i, b"") for i in range(4096)])]
    yield "bad", "members-4097", [Seg([("a.%d" % i, b"") for i in range(4097)])]
    yield from json_cases()


def json_cases():
    """Sections 5 and 6."""
    for what, man in (("others", {"x": [1, {"y": None}], "\u00e4": "\U0001f600"}), ("kind-unknown", {"kind": "my-kind"}),
                      ("kind-23", {"kind": "k" * 23}), ("kind-dash", {"kind": "-"}), ("ordinal-7", {"ordinal": 7}),
                      ("real", {"x": 0.1}), ("types", {"cat": 1, "select": {}, "various": [], "joined": "x", "schema": 0})):
        yield "good", "man-" + what, [Seg(man=man)]
    for what, man in (("format-2", {"format": 2}), ("format-0", {"format": 0}), ("format-real", {"format": 1.0}), ("format-text", {"format": "1"}),
                      ("format-true", {"format": True}), ("no-format", {"format": ...}), ("no-kind", {"kind": ...}), ("kind-empty", {"kind": ""}),
                      ("kind-24", {"kind": "k" * 24}), ("kind-capital", {"kind": "Pairs"}), ("kind-digit", {"kind": "p2"}), ("kind-1", {"kind": 1}),
                      ("no-ordinal", {"ordinal": ...}), ("ordinal-text", {"ordinal": "0"}), ("ordinal-negative", {"ordinal": -1}),
                      ("ordinal-real", {"ordinal": 0.5}),
                      ("no-first-key", {"first_key": ...}), ("first-key-other", {"first_key": "b"}), ("first-key-null", {"first_key": None})):
        yield "bad", "man-" + what, [Seg(man=man)]
    yield "bad", "no-first-key-of-nothing", [Seg([], man={"first_key": ...})]
    text = Seg().man
    for verdict, what, raw in (
            ("good", "blanks", text.replace(b",", b" ,\n").replace(b":", b" : ")), ("good", "unsorted", b'{"ordinal":0,"kind":"pairs","format":1,"first_key":"a"}\n'),
            ("good", "no-newline", text[:-1]), ("good", "escape", text.replace(b'"a"', b'"\\u0061"')),
            ("bad", "array", b"[1]\n"), ("bad", "empty", b""), ("bad", "two", text + text), ("bad", "rest", text + b"x"), ("bad", "nan", text[:-2] + b',"x":NaN}\n'),
            ("bad", "not-utf8", text[:-2] + b',"x":"\xff"}\n'), ("bad", "comma", text[:-2] + b",}\n"), ("bad", "bom", b"\xef\xbb\xbf" + text),
            ("bad", "twice", text[:-2] + b',"kind":"pairs"}\n'), ("bad", "newline-in-text", text[:-2] + b',"x":"\n"}\n'),
            ("bad", "lone-surrogate", text[:-2] + b',"x":"\\ud800"}\n'), ("good", "pair-of-surrogates", text[:-2] + b',"x":"\\ud83d\\ude00"}\n'),
            ("bad", "nul", text[:-2] + b',"x":"\\u0000"}\n'), ("bad", "leading-zero", text.replace(b'"ordinal":0', b'"ordinal":00')),
            ("good", "integers", text[:-2] + b',"x":[9223372036854775807,-9223372036854775808]}\n'),
            ("bad", "integer-2^63", text[:-2] + b',"x":9223372036854775808}\n'), ("bad", "name-twice-inside", text[:-2] + b',"x":{"y":1,"y":1}}\n'),
            ("bad", "huge-real", text[:-2] + b',"x":1e999}\n'), ("bad", "huge-integer", text[:-2] + b',"x":123456789012345678901234567890}\n'),
            ("good", "deep-2048", text[:-2] + b',"x":' + b"[" * 2047 + b"]" * 2047 + b"}\n"),
            ("bad", "deep-2049", text[:-2] + b',"x":' + b"[" * 2048 + b"]" * 2048 + b"}\n"),
            ("bad", "deep", text[:-2] + b',"x":' + b"[" * 100000 + b"]" * 100000 + b"}\n"),
            ("good", "1MiB", text[:-2] + b',"x":"' + b"y" * (MIB - len(text) - 7) + b'"}\n'),
            ("bad", "1MiB-and-1", text[:-2] + b',"x":"' + b"y" * (MIB - len(text) - 6) + b'"}\n')):
        yield verdict, "json-" + what, [Seg(man_raw=raw)]
    yield "bad", "id", [Seg(ident="0123456789abcdef")]
    yield "bad", "id-capitals", [Seg(ident=Seg().id.upper())]
    for what in ("records", "members", "bytes"):
        yield "bad", "tail-" + what, [Seg(tail={what: 9})]
        yield "bad", "tail-%s-real" % what, [Seg(tail={what: float(json.loads(Seg().tail)[what])})]
        yield "bad", "tail-no-" + what, [Seg(tail={what: ...})]
    yield "bad", "tail-no-content-id", [Seg(tail={"content_id": ...})]
    yield "bad", "tail-content-id", [Seg(tail={"content_id": "0" * 64})]
    yield "bad", "tail-content-id-capitals", [Seg(tail={"content_id": hashlib.sha256(Seg().data).hexdigest().upper()})]
    yield "good", "tail-others", [Seg(tail={"note": [1, 2]})]
    parent = {"content_id": "0" * 64, "kind": "pairs"}
    yield "good", "tail-parents", [Seg(tail={"parents": [parent, dict(parent, kind="x")]})]
    for what, value in (("missing", ...), ("object", {}), ("of-text", ["0" * 64]), ("no-kind", [{"content_id": "0" * 64}]),
                        ("short-id", [dict(parent, content_id="00")]), ("kind", [dict(parent, kind="X")])):
        yield "bad", "tail-parents-" + what, [Seg(tail={"parents": value})]
    for what, tail in (("licences", {"licences": ["CC0-1.0", "MIT"], "licence": "MIT", "sources": ["a", "b"]}),
                       ("ancestors", {"ancestors": [parent]}), ("types", {"licences": 1, "ancestors": "x", "signature": None})):
        yield "good", "tail-" + what, [Seg(tail=tail)]
    yield "bad", "tail-1MiB-and-1", [Seg(tail={"x": "y" * MIB})]
    yield "bad", "tail-json", [Seg(tail_raw=b"{}\n")]
    yield "bad", "tail-rest", [Seg(tail_raw=Seg().tail + b"x")]
    yield "good", "tail-line-absent", [Seg(tail_line=False)]
    for what, sums in (("tail-line-wrong", lambda s, last: b"".join(s.lines) + b"0" * 16 + last[16:]), ("cut", lambda s, last: (b"".join(s.lines))[:-1]),
                       ("one-missing", lambda s, last: b"".join(s.lines[:-1])), ("one-more", lambda s, last: b"".join(s.lines + s.lines[:1])),
                       ("tail-line-twice", lambda s, last: b"".join(s.lines) + last * 2), ("wrong", lambda s, last: b"0" * 16 + b"".join(s.lines)[16:]),
                       ("capitals", lambda s, last: b"".join(line[:16].upper() + line[16:] for line in s.lines)),
                       ("order", lambda s, last: b"".join(s.lines[::-1])), ("one-blank", lambda s, last: b"".join(s.lines).replace(b"  ", b" ")),
                       ("star", lambda s, last: b"".join(s.lines).replace(b"  ", b" *")), ("crlf", lambda s, last: b"".join(s.lines).replace(b"\n", b"\r\n"))):
        yield "bad", "sums-" + what, [Seg(sums=sums)]
    yield "bad", "tail-third-member", [Seg(extra=member("c.txt", b"x"))]
    swapped = Seg(tail_line=False)
    swapped.tail_tar = member(swapped.tail_name, swapped.tail) + member("__vl__/.sums." + swapped.id, swapped.sums)
    yield "bad", "tail-first", [swapped]
    other = Seg(tail_line=False)
    other.tail_tar = other.tail_tar.replace(other.id.encode(), b"0123456789abcdef")
    yield "bad", "tail-of-other-id", [other]
    no_sums = Seg()
    no_sums.tail_tar = member(no_sums.tail_name, no_sums.tail)
    yield "bad", "no-sums", [no_sums]


def frame_cases():
    """(good or bad, name, bytes): sections 1, 2, 7 and 10 of the carrier .tar.zst."""
    s = Seg()
    head, data, tail, vlix = frame(s.head_tar), frame(s.data), frame(s.tail_tar), s.vlix()
    other = Seg([("z.txt", b"z")]).zst()
    zst = lambda *frames, **kw: s.zst(list(frames), **kw)           # noqa: E731
    with_frames = lambda n: Seg(tail={"frames": n})                 # noqa: E731
    yield "good", "frame-plainest", s.zst()
    yield "good", "frame-vlix", s.zst(vlix=vlix)
    yield "good", "frame-vlix-of-nothing", Seg([]).zst(vlix=Seg([]).vlix())
    yield "good", "frame-vlix-trajectory", Seg(kind="trajectory").zst(vlix=Seg(kind="trajectory").vlix())
    yield "good", "frame-size-8-bytes", zst(head, frame(s.data, 0xE4), tail)
    yield "good", "frame-size-2-bytes", zst(head, frame(s.data, 0x64), tail)
    yield "good", "frame-window-8MiB", zst(head, frame(s.data, 0x84, b"\x68"), tail)
    yield "good", "frame-window-1KiB-blocks", zst(head, frame(s.data, 0x84, b"\x38"), tail)
    yield "bad", "frame-window-9MiB", zst(head, frame(s.data, 0x84, b"\x69"), tail)
    yield "bad", "frame-window-2GiB", zst(head, frame(s.data, 0x84, b"\xa8"), tail)
    yield "bad", "frame-no-size", s.zst([head, frame(s.data, 0x04, b"\x68"), tail], change=lambda e: [e[0], (e[1][0], len(s.data), e[1][2]), e[2]])
    yield "bad", "frame-no-checksum", zst(head, frame(s.data, 0xA0, checksum=False), tail)
    yield "bad", "frame-dictionary", zst(head, b"\x28\xb5\x2f\xfd\xa5\0" + data[5:], tail)
    yield "bad", "frame-reserved-bit", zst(head, data[:4] + b"\xac" + data[5:], tail)
    yield "bad", "frame-unused-bit", zst(head, data[:4] + b"\xb4" + data[5:], tail)
    yield "bad", "frame-checksum", zst(head, data[:-1] + bytes([data[-1] ^ 1]), tail)
    yield "bad", "frame-size-lie", zst(head, frame(s.data, size=len(s.data) + 1), tail)
    yield "bad", "frame-size-over-8MiB", zst(head, frame(s.data, size=8 * MIB + 1), tail)
    yield "bad", "frame-legacy", zst(head, b"\x27" + data[1:], tail)
    two = with_frames(2)
    parts = lambda t, *cuts: [frame(t[a:b]) for a, b in zip((0,) + cuts, cuts + (len(t),))]         # noqa: E731
    yield "good", "frame-data-cut", two.zst([head_of(two)] + parts(two.data, 1024) + [frame(two.tail_tar)])
    yield "good", "frame-data-cut-in-header", two.zst([head_of(two)] + parts(two.data, 1100) + [frame(two.tail_tar)],
                                                       vlix=two.vlix(frame_of=lambda i: 1 + i))
    three = with_frames(3)
    yield "good", "frame-data-cut-to-a-byte", three.zst([head_of(three)] + parts(three.data, 1, 2) + [frame(three.tail_tar)],
                                                        vlix=three.vlix(frame_of=lambda i: 1 + 2 * i))
    yield "bad", "frame-empty", two.zst([head_of(two), frame(two.data), frame(b""), frame(two.tail_tar)])
    yield "bad", "frame-count", two.zst()
    yield "good", "frame-tail-cut", zst(head, data, *parts(s.tail_tar, 700))
    yield "bad", "frame-head-cut", zst(*parts(s.head_tar, 700), data, tail)
    yield "bad", "frame-head-and-data", zst(frame(s.head_tar + s.data), tail)
    yield "bad", "frame-data-and-tail", zst(head, frame(s.data + s.tail_tar))
    yield "bad", "frame-all", zst(frame(s.plain()))
    yield "bad", "frame-tail-then-head", zst(head, data, frame(s.tail_tar + s.head_tar))
    yield "bad", "frame-zeros-in-data", zst(head, frame(s.data + bytes(1024)), tail)
    yield "bad", "frame-zeros-in-tail", zst(head, data, frame(s.tail_tar + bytes(1024)))
    skip = b"\x50\x2a\x4d\x18\4\0\0\0skip"
    for what, at in (("first", 0), ("before-data", 1), ("before-tail", 2), ("before-vlix", 3)):
        parts4 = [head, data, tail]
        for kind, part in (("skip", skip), ("vlix", vlix), ("seek", table([(len(head), len(s.head_tar), 0)]))):
            if kind != "vlix" or at != 3:
                yield "bad", "%s-%s" % (kind, what), s.zst(vlix=vlix if at == 3 else b"").replace(
                    b"".join(parts4), b"".join(parts4[:at]) + part + b"".join(parts4[at:]))
    yield "bad", "skip-behind-vlix", s.zst(vlix=vlix + skip)
    yield "bad", "vlix-twice", s.zst(vlix=vlix + vlix)
    yield "bad", "skip-behind-seek", s.zst() + skip
    for what, more in (("byte", b"x"), ("zero", b"\0"), ("zeros", bytes(1024)), ("magic", b"\x28\xb5\x2f\xfd"), ("plain", Seg([("z.txt", b"z")]).plain())):
        yield "bad", "behind-seek-" + what, s.zst() + more
    for what, change in (("sum", lambda e: e[:1] + [e[1][:2] + (e[1][2] ^ 1,)] + e[2:]), ("size", lambda e: e[:1] + [(e[1][0], e[1][1] + 1, e[1][2])] + e[2:]),
                         ("bytes", lambda e: e[:1] + [(e[1][0] + 1,) + e[1][1:]] + e[2:]), ("missing", lambda e: e[:-1]),
                         ("one-more", lambda e: e + e[-1:]), ("vlix-not-there", lambda e: e + [(64, 0, 0x51D8E999)]), ("order", lambda e: e[::-1])):
        yield "bad", "table-" + what, s.zst(change=change)
    yield "bad", "table-vlix-absent", s.zst(vlix=vlix, change=lambda e: e[:-1])
    yield "bad", "table-vlix-sum", s.zst(vlix=vlix, change=lambda e: e[:-1] + [e[-1][:2] + (0,)])
    for what, seek in (("descriptor", lambda e: table(e)[:-5] + b"\x81" + table(e)[-4:]), ("footer", lambda e: table(e)[:-1] + b"\0"),
                       ("count", lambda e: table(e)[:-9] + b"\x09" + table(e)[-8:]), ("none", lambda e: b""), ("magic", lambda e: b"\x5f" + table(e)[1:]),
                       ("no-sums", lambda e: b"\x5e\x2a\x4d\x18" + struct.pack("<I", 8 * len(e) + 9) + b"".join(struct.pack("<2I", *x[:2]) for x in e)
                        + struct.pack("<IBI", len(e), 0, 0x8F92EAB1)), ("empty", lambda e: table([]))):
        yield "bad", "table-" + what, s.zst(seek=seek)
    for what, change in (("version", lambda b: b[:4] + b"\2" + b[5:]), ("mark", lambda b: b"VLIY" + b[4:]), ("offset", lambda b: b[:16] + b"\1" + b[17:]),
                         ("length", lambda b: b[:24] + b"\1" + b[25:]), ("frame", lambda b: b[:28] + b"\2" + b[29:]), ("lines", lambda b: b[:32] + b"\0\0" + b[34:]),
                         ("key", lambda b: b[:-1] + b"c"), ("key-end", lambda b: b[:40] + b"\2" + b[41:]), ("more", lambda b: b + b"x"),
                         ("less", lambda b: b[:-1])):
        yield "bad", "index-" + what, s.zst(vlix=s.vlix(change=change))
    yield "bad", "index-sum", s.zst(vlix=vlix[:-1] + bytes([vlix[-1] ^ 1]))
    for what, shard in (("only", TERM), ("first", TERM + s.zst()), ("last", s.zst() + TERM), ("between", s.zst() + TERM + other),
                        ("twice", s.zst() + TERM + TERM + other + TERM)):
        yield "good", "term-" + what, shard
    for what, shard in (("cut", s.zst() + TERM[:-1]), ("no-table", s.zst() + TERM[:23]), ("no-table-then", s.zst() + TERM[:23] + other),
                        ("another-size", s.zst() + frame(bytes(512)) + table([(len(frame(bytes(512))), 512, 0)])),
                        ("another-form", s.zst() + frame(bytes(1024)) + table([(len(frame(bytes(1024))), 1024, xxh64(bytes(1024)) & 0xFFFFFFFF)])),
                        ("inside", s.zst().replace(data, TERM + data)), ("in-data", zst(head, TERM[:23], data, tail))):
        yield "bad", "term-" + what, shard
    yield "bad", "empty", b""
    yield "bad", "three-bytes", b"\x28\xb5\x2f"


def head_of(s):
    return frame(s.head_tar)


def plain_cases():
    """Section 10: the plain carrier."""
    s, z = Seg(), Seg([("z.txt", b"z")])
    for what, shard in (("only", bytes(1024)), ("first", bytes(1024) + s.plain()), ("last", s.plain() + bytes(1024)),
                        ("between", s.plain() + bytes(1024) + z.plain()), ("twice", s.plain() + bytes(2048))):
        yield "good", "plain-term-" + what, shard
    yield "good", "plain-two", s.plain() + z.plain()
    yield "good", "plain-frames", Seg(tail={"frames": 9}).plain()
    yield "good", "plain-frames-text", Seg(tail={"frames": "many"}).plain()
    yield "good", "plain-frames-none", Seg(tail={"frames": ...}).plain()
    for what, shard in (("half", s.plain() + bytes(512)), ("one-and-half", s.plain() + bytes(1536)), ("half-then", s.plain() + bytes(512) + z.plain()),
                        ("inside", s.head_tar + bytes(1024) + s.data + s.tail_tar)):
        yield "bad", "plain-term-" + what, shard
    yield "bad", "plain-then-frames", s.plain() + z.zst()
    yield "bad", "plain-rest", s.plain() + b"x"
    yield "bad", "plain-tar", member("a.txt", b"x") + bytes(1024)
    yield "bad", "plain-text", b"hello\n"


def main():
    folder = sys.argv[1]
    for verdict in ("good", "bad"):
        os.makedirs(os.path.join(folder, verdict))

    def write(verdict, name, data):
        with open(os.path.join(folder, verdict, name), "xb") as f:
            f.write(data)

    for verdict, name, segments in tar_cases():
        write(verdict, name + ".tar", b"".join(s.plain() for s in segments))
        write(verdict, name + ".tar.zst", b"".join(s.zst() for s in segments))
    for verdict, name, shard in frame_cases():
        write(verdict, name + ".tar.zst", shard)
    for verdict, name, shard in plain_cases():
        write(verdict, name + ".tar", shard)


main()
