# SPDX-License-Identifier: MIT
"""shardbytes.py -- the bytes of FORMAT.md, section by section, for make.py.

Written from FORMAT.md, not from the C code, and with every field open to the caller, so that it also
builds what no writer may write. Compressed frames come from the zstd program (zframe), frames whose
parts a vector names are made here out of raw and RLE blocks (frame).
"""
import functools
import hashlib
import json
import re
import struct
import subprocess

# ---- section 0: sums ----------------------------------------------------------------------------

M64 = (1 << 64) - 1
P1, P2, P3, P4, P5 = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9,
                      0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5)


def _rotl(x, r):
    return (x << r | x >> (64 - r)) & M64


def _round(acc, lane):
    return _rotl((acc + lane * P2) & M64, 31) * P1 & M64


@functools.lru_cache(maxsize=None)
def xxh64(data):
    """XXH64 with seed 0."""
    n, at = len(data), 0
    if n >= 32:
        v = [(P1 + P2) & M64, P2, 0, -P1 & M64]
        for lanes in struct.iter_unpack('<4Q', data[:n // 32 * 32]):
            v = [_round(a, lane) for a, lane in zip(v, lanes)]
        h = sum(_rotl(a, r) for a, r in zip(v, (1, 7, 12, 18))) & M64
        for a in v:
            h = ((h ^ _round(0, a)) * P1 + P4) & M64
        at = n // 32 * 32
    else:
        h = P5
    h = (h + n) & M64
    while at + 8 <= n:
        h = (_rotl(h ^ _round(0, int.from_bytes(data[at:at + 8], 'little')), 27) * P1 + P4) & M64
        at += 8
    if at + 4 <= n:
        h = (_rotl(h ^ int.from_bytes(data[at:at + 4], 'little') * P1 & M64, 23) * P2 + P3) & M64
        at += 4
    for b in data[at:]:
        h = _rotl(h ^ b * P5 & M64, 11) * P1 & M64
    h = (h ^ h >> 33) * P2 & M64
    h = (h ^ h >> 29) * P3 & M64
    return h ^ h >> 32


def low32(data):
    return xxh64(data) & 0xffffffff


def hex64(data):
    return '%016x' % xxh64(data)


# ---- section 2: frames --------------------------------------------------------------------------

BLOCK = 128 << 10


def block(kind, size, body, last=0):
    return struct.pack('<I', last | kind << 1 | size << 3)[:3] + body


RUN = re.compile(rb'(.)\1{11,}', re.S)


def runs(content):
    """Splits content into (is a run, piece): runs of 12 equal bytes and more, and what is between."""
    at, out = 0, []
    for m in RUN.finditer(content):
        if at < m.start():
            out.append((False, content[at:m.start()]))
        out.append((True, m.group()))
        at = m.end()
    if at < len(content):
        out.append((False, content[at:]))
    return out


def blocks(content):
    parts = []
    for run, piece in runs(content):
        for i in range(0, len(piece), BLOCK):
            parts.append((run, piece[i:i + BLOCK]))
    out = b''
    for i, (run, piece) in enumerate(parts):
        last = i == len(parts) - 1
        out += block(1 if run else 0, len(piece), piece[:1] if run else piece, last)
    return out or block(0, 0, b'', 1)


def frame(content, descriptor=None, head=None, body=None, checksum=None, size=None):
    """One zstd frame. size: what the header says the content's length is."""
    n = len(content) if size is None else size
    if head is None:
        if n < 256:
            fcs, field = 0, struct.pack('<B', n)
        elif n < 65536 + 256:
            fcs, field = 1, struct.pack('<H', n - 256)
        elif n < 1 << 32:
            fcs, field = 2, struct.pack('<I', n)
        else:
            fcs, field = 3, struct.pack('<Q', n)
        head = bytes([fcs << 6 | 0x24 if descriptor is None else descriptor]) + field
    if body is None:
        body = blocks(content)
    if checksum is None:
        checksum = struct.pack('<I', low32(content))
    return b'\x28\xb5\x2f\xfd' + head + body + checksum


@functools.lru_cache(maxsize=None)
def zframe(content, level=19):
    """A frame by the zstd program: its bytes depend on the program's version."""
    if not content:
        return frame(content)
    return subprocess.run(['zstd', '-qc', '-%d' % level, '--check', '--single-thread',
                           '--stream-size=%d' % len(content)],
                          input=content, stdout=subprocess.PIPE, check=True).stdout


def zstd_version():
    text = subprocess.run(['zstd', '--version'], stdout=subprocess.PIPE, check=True).stdout.decode()
    return text.split(' v')[1].split(',')[0]


def skippable(magic, payload, size=None):
    return struct.pack('<II', magic, len(payload) if size is None else size) + payload


# ---- section 3: members -------------------------------------------------------------------------

def pad(body, fill=b'\0'):
    return body + fill * (-len(body) % 512)


def header(name, size, patch=(), fix_sum=True):
    """A ustar header in the one form. patch: (offset, bytes) written over it; the sum then fits again."""
    h = bytearray(512)
    raw = name if isinstance(name, bytes) else name.encode()
    h[:len(raw)] = raw
    h[100:108], h[108:116], h[116:124] = b'0000444\0', b'0000000\0', b'0000000\0'
    h[124:136] = b'%011o\0' % size
    h[136:148] = b'00000000000\0'
    h[156:157] = b'0'
    h[257:265] = b'ustar\x0000'
    h[329:345] = b'0000000\0' * 2
    for at, b in patch:
        if at != 148:
            h[at:at + len(b)] = b
    h[148:156] = b' ' * 8
    h[148:156] = b'%06o\0 ' % sum(h)
    for at, b in patch:
        if at == 148:
            h[at:at + len(b)] = b
    return bytes(h)


def pax_record(text):
    n = len(text) + 1
    while len('%d ' % n) + len(text) != n:
        n += 1
    return b'%d ' % n + text


def pax(records, patch=(), fill=b'\0'):
    return header('././@PaxHeader', len(records), ((156, b'x'),) + tuple(patch)) + pad(records, fill)


def cut_name(raw):
    n = 100
    while n and raw[n] & 0xc0 == 0x80:
        n -= 1
    return raw[:n]


def member(name, body, patch=(), fill=b'\0', size=None):
    raw = name if isinstance(name, bytes) else name.encode()
    long = pax(pax_record(b'path=' + raw + b'\n')) if len(raw) > 100 else b''
    short = cut_name(raw) if long else raw
    return long + header(short, len(body) if size is None else size, patch) + pad(body, fill)


# ---- sections 5 to 7: segments ------------------------------------------------------------------

def canonical(obj):
    return json.dumps(obj, sort_keys=True, separators=(',', ':'), ensure_ascii=False).encode() + b'\n'


TERM_FRAME = bytes.fromhex('28b52ffd6400034d000010000001 00fb2b8005cdac85f0')
TERM_TABLE = bytes.fromhex('5e2a4d1815000000 1700000000040000cdac85f0 0100000080b1ea928f')
TERM = TERM_FRAME + TERM_TABLE
EMPTY_SUM = 0x51D8E999


def vlix(entries, keys, magic=0x184D2A5D, mark=b'VLIX', version=1, n=None, k=None, sum_=None, size=None):
    """entries: (offset, bytes, frame, XXH64 of the lines, end of key)"""
    body = mark + struct.pack('<III', version, len(entries) if n is None else n, len(keys) if k is None else k)
    body += b''.join(struct.pack('<QIIQI', *e) for e in entries) + keys
    body += struct.pack('<Q', xxh64(body) if sum_ is None else sum_)
    return skippable(magic, body, size)


def seek(entries, n=None, descriptor=0x80, magic=0x184D2A5E, footer=0x8F92EAB1, size=None):
    body = b''.join(struct.pack('<III', *e) for e in entries)
    body += struct.pack('<IBI', len(entries) if n is None else n, descriptor, footer)
    return skippable(magic, body, size)


class Segment:
    """A segment in its parts; every part may be replaced before bytes() or plain() joins them.

    records   [(key, [(ext, content)])], or ready-made members: [(key, [(ext, content, tar bytes)])]
    cuts      where DATA is cut into frames: None, one frame; a number, after so many records each;
              a list of byte offsets
    """

    def __init__(self, records, kind='pairs', ordinal=0, cuts=None, manifest=None, tail=None,
                 index=None, encode=zframe, own_line=False):
        self.records, self.kind, self.encode = records, kind, encode
        self.manifest = {'first_key': records[0][0] if records else None, 'format': 1, 'kind': kind,
                         'ordinal': ordinal}
        self.manifest.update(manifest or {})
        self.head_text = canonical(self.manifest)
        self.id = hex64(self.head_text)
        self.members = [(key, ext, m[0], m[1] if len(m) > 1 else member('%s.%s' % (key, ext), m[0]))
                        for key, list_ in records for ext, *m in list_]
        self.data = b''.join(m[3] for m in self.members)
        self.lines = ['%s  %s.%s\n' % (hex64(body), key, ext) for key, ext, body, _ in self.members]
        self.frames = self.cut(cuts)
        self.tail_json = {'bytes': len(self.data), 'content_id': hashlib.sha256(self.data).hexdigest(),
                          'frames': len(self.frames), 'members': len(self.members), 'parents': [],
                          'records': len(records)}
        self.tail_json.update(tail or {})
        self.index = kind in ('pairs', 'embeddings') if index is None else index
        self.own_line = own_line

    def record_bytes(self):
        """(offset, bytes, key, lines) of each record."""
        at, i, out = 0, 0, []
        for key, list_ in self.records:
            k = len(list_)
            size = sum(len(m[3]) for m in self.members[i:i + k])
            out.append((at, size, key, ''.join(self.lines[i:i + k])))
            at, i = at + size, i + k
        return out

    def cut(self, cuts):
        ends = [len(self.data)]
        if isinstance(cuts, int):
            where = self.record_bytes()
            ends = sorted({r[0] + r[1] for r in where[cuts - 1::cuts]} | set(ends))
        elif cuts:
            ends = sorted(set(cuts) | set(ends))
        starts = [0] + ends[:-1]
        return [self.data[a:b] for a, b in zip(starts, ends) if b > a]

    def head(self):
        return member('__vl__/.manifest.%s.json' % self.id, self.head_text)

    def sums_text(self, own_line=None):
        text = ''.join(self.lines).encode()
        if self.own_line if own_line is None else own_line:
            text += b'%s  %s\n' % (hex64(self.tail_text()).encode(), self.tail_name().encode())
        return text

    def tail_name(self):
        return '__vl__/.tail.%s.json' % self.id

    def tail_text(self):
        return canonical(self.tail_json)

    def tail(self, own_line=None):
        return (member('__vl__/.sums.%s' % self.id, self.sums_text(own_line)) +
                member(self.tail_name(), self.tail_text()))

    def index_entries(self):
        starts, at, out, end = [], 0, [], 0
        for f in self.frames:
            starts.append(at)
            at += len(f)
        for at, size, key, lines in self.record_bytes():
            end += len(key.encode())
            number = max(i for i, s in enumerate(starts) if s <= at) + 1
            out.append((at, size, number, xxh64(lines.encode()), end))
        return out

    def keys(self):
        return ''.join(r[0] for r in self.records).encode()

    def vlix(self, **lies):
        return vlix(lies.pop('entries', self.index_entries()), lies.pop('keys', self.keys()), **lies)

    def parts(self, head=None, frames=None, tail=None, index=None, table=None):
        """[(name, bytes)] of the .tar.zst carrier. frames, tail: contents, or (bytes, dsize, sum)."""
        contents = [('HEAD', self.head() if head is None else head)]
        contents += [('DATA', f) for f in (self.frames if frames is None else frames)]
        tails = self.tail() if tail is None else tail
        contents += [('TAIL', t) for t in (tails if isinstance(tails, list) else [tails])]
        out, entries = [], []
        for name, c in contents:
            if isinstance(c, tuple):
                b, dsize, sum_ = c
            else:
                b, dsize, sum_ = self.encode(c), len(c), low32(c)
            out.append((name, b))
            entries.append((len(b), dsize, sum_))
        if index is None:
            index = self.vlix() if self.index else b''
        if index:
            out.append(('VLIX', index))
            entries.append((len(index), 0, EMPTY_SUM))
        self.entries = entries
        out.append(('SEEK', seek(entries) if table is None else
                    table(entries) if callable(table) else table))
        return out

    def bytes(self, **parts):
        return b''.join(b for _, b in self.parts(**parts))

    def plain(self, head=None, data=None, tail=None):
        return ((self.head() if head is None else head) + (self.data if data is None else data) +
                (self.tail(True) if tail is None else tail))
