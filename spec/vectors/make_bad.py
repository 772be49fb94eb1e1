# SPDX-License-Identifier: MIT
"""make_bad.py -- cut, flipped and hostile shards, and files that are none: what FORMAT.md's sections 1, 2, 7,
8 and 10 say about the carriers. What is wrong inside members, names and JSON is in make_names.py."""
import struct

import ed25519
from make_good import SEED, TXT, long_member, minimal, other, signed, small, three
from shardbytes import EMPTY_SUM, Segment, TERM, TERM_FRAME, block, frame, header, low32, member, pad, seek, skippable


def places(s, **parts):
    """{part: (start, end)}; DATA frames are DATA0, DATA1 ..."""
    at, out, n = 0, {}, 0
    for name, b in s.parts(**parts):
        if name == 'DATA':
            name, n = 'DATA%d' % n, n + 1
        out[name] = (at, at + len(b))
        at += len(b)
    return out


def cuts():
    s = three()
    b, at = s.bytes(), places(s)
    for what, n in (
            ('0', 0), ('1', 1), ('3', 3), ('head-magic', 4), ('head-header', 6), ('head-block', at['HEAD'][1] // 2),
            ('head-checksum', at['HEAD'][1] - 1), ('head', at['HEAD'][1]), ('data0-magic', at['DATA0'][0] + 2),
            ('data0-block', sum(at['DATA0']) // 2), ('data0-checksum', at['DATA0'][1] - 2),
            ('data0', at['DATA0'][1]), ('data1-block', sum(at['DATA1']) // 2), ('data1', at['DATA1'][1]),
            ('data2-checksum', at['DATA2'][1] - 4), ('data2', at['DATA2'][1]), ('tail-block', sum(at['TAIL']) // 2),
            ('tail', at['TAIL'][1]), ('vlix-magic', at['VLIX'][0] + 3), ('vlix-size', at['VLIX'][0] + 8),
            ('vlix-entry', at['VLIX'][0] + 60), ('vlix-sum', at['VLIX'][1] - 1), ('seek-before', at['SEEK'][0]),
            ('seek-magic', at['SEEK'][0] + 4), ('seek-entries', at['SEEK'][0] + 8 + 18),
            ('seek-footer', at['SEEK'][1] - 9), ('seek-last', at['SEEK'][1] - 1)):
        yield 'cut-%s.tar.zst' % what, b[:n], 'ends at byte %d' % n
    first = minimal().bytes()
    yield 'cut-second-head.tar.zst', first + b[:9], 'a sound segment, then one that is cut in HEAD'
    yield 'cut-second-data.tar.zst', first + b[:at['DATA1'][0] + 5], 'in DATA'
    yield 'cut-second-seek.tar.zst', first + b[:-5], 'in SEEK'
    yield 'cut-term-frame.tar.zst', first + TERM[:11], 'a terminator that is cut'
    yield 'cut-term-table.tar.zst', first + TERM[:40], 'in its table'
    yield 'cut-term-no-table.tar.zst', first + TERM[:23], 'before its table'
    yield 'cut-front.tar.zst', b[at['DATA1'][0]:], 'the beginning is missing'
    yield 'cut-middle.tar.zst', b[:at['DATA1'][0]] + b[at['DATA1'][1]:], 'a frame is missing'
    yield 'cut-middle-first.tar.zst', b[:at['DATA0'][0]] + b[at['DATA0'][1]:], 'the first frame is missing'
    yield 'cut-no-tail.tar.zst', b[:at['TAIL'][0]] + b[at['TAIL'][1]:], 'TAIL is missing'
    yield 'cut-no-index.tar.zst', b[:at['VLIX'][0]] + b[at['VLIX'][1]:], 'VLIX is missing, SEEK has its entry'
    t = small()
    p, head, data = t.plain(), len(t.head()), len(t.data)
    for what, n in (('head-header', 300), ('head', head), ('header', head + 100),
                    ('header-end', head + 512), ('content', head + 515), ('padding', head + 600),
                    ('record', head + 1024), ('data', head + data),
                    ('sums', head + data + 700), ('sums-end', len(p) - 1024), ('tail-header', len(p) - 600),
                    ('tail-content', len(p) - 500), ('tail-padding', len(p) - 1)):
        yield 'cut-%s.tar' % what, p[:n], 'plain, ends at byte %d' % n
    yield 'cut-middle.tar', p[:head] + p[head + 1024:], 'plain, a record is missing'
    yield 'cut-second.tar', minimal().plain() + p[:head + 1700], 'plain, a sound segment before it'
    yield 'cut-term.tar', minimal().plain() + bytes(512), 'plain, half a terminator'


def flip(b, at, bit=0):
    return b[:at] + bytes([b[at] ^ 1 << bit]) + b[at + 1:]


def flips():
    s = three()
    b, at = s.bytes(), places(s)
    for part in ('HEAD', 'DATA0', 'DATA1', 'DATA2', 'TAIL'):
        start, end = at[part]
        for what, where, bit in (('magic', start, 1), ('descriptor', start + 4, 3), ('size', start + 5, 2),
                                 ('block-header', start + 7, 3), ('block', (start + end) // 2, 5),
                                 ('checksum', end - 2, 4)):
            yield 'flip-%s-%s.tar.zst' % (part.lower(), what), flip(b, where, bit), 'a bit of %s' % part
    start, end = at['VLIX']
    for what, k in (('magic', 0), ('length', 4), ('mark', 8), ('version', 12), ('n', 16), ('k', 20), ('offset', 24),
                    ('bytes', 32), ('frame', 36), ('lines', 40), ('key-end', 48), ('entry2', 24 + 28 * 2 + 1),
                    ('keys', end - start - 12), ('sum', end - start - 8)):
        yield 'flip-vlix-%s.tar.zst' % what, flip(b, start + k), 'a bit of VLIX at byte %d of it' % k
    start, end = at['SEEK']
    for what, k in (('magic', 0), ('length', 4), ('csize', 8), ('dsize', 12), ('sum', 16), ('entry1-csize', 20),
                    ('entry2-dsize', 36), ('entry3-sum', 52), ('tail-csize', 56), ('vlix-csize', 68),
                    ('vlix-dsize', 72), ('vlix-sum', 76), ('n', end - start - 9), ('descriptor', end - start - 5),
                    ('descriptor-checksums', end - start - 5), ('footer', end - start - 1)):
        yield ('flip-seek-%s.tar.zst' % what, flip(b, start + k, 7 if what.endswith('checksums') else 1),
               'a bit of SEEK at byte %d of it' % k)
    two = b + other().bytes()
    yield 'flip-first-of-two.tar.zst', flip(two, sum(at['DATA1']) // 2, 5), 'the segment behind it is sound'
    yield 'flip-first-head-of-two.tar.zst', flip(two, at['HEAD'][1] - 2), 'the first HEAD, and a sound segment'
    yield 'flip-first-seek-of-two.tar.zst', flip(two, at['SEEK'][0] + 9), 'the first SEEK, and a sound segment'
    yield 'flip-long.tar.zst', flip(long_member(), 500), 'a frame of a member that goes on in the next'
    t = minimal()
    p, head, data = t.plain(), len(t.head()), len(t.data)
    for what, where in (('head-content', 530), ('name', head), ('size', head + 133), ('mtime', head + 140),
                        ('sum', head + 150), ('type', head + 156), ('rest', head + 511), ('content', head + 512),
                        ('padding', head + 1023), ('sums-header', head + data + 30), ('sums', head + data + 512),
                        ('sums-name', head + data + 535), ('tail-header', len(p) - 1000),
                        ('tail', len(p) - 500), ('tail-padding', len(p) - 1)):
        yield 'flip-%s.tar' % what, flip(p, where), 'plain, a bit of byte %d' % where


def tables():
    """SEEK that lies. From a file it is met first, from a pipe last."""
    s = three()
    s.bytes()
    e = s.entries

    def with_table(entries=e, **lies):
        return s.bytes(table=seek(entries, **lies))

    def entry(i, **new):
        v = dict(zip(('csize', 'dsize', 'sum'), e[i]))
        v.update(new)
        return e[:i] + [(v['csize'], v['dsize'], v['sum'])] + e[i + 1:]
    yield 'seek-n-2-27.tar.zst', with_table(n=(1 << 27) + 1), '2^27 + 1 frames'
    yield 'seek-n-2-32.tar.zst', with_table(n=0xffffffff), '2^32 - 1 frames'
    yield 'seek-n-2-22.tar.zst', with_table(n=(1 << 22) + 1), 'one frame more than allowed'
    yield 'seek-n-0.tar.zst', with_table(n=0), 'no frames, though there are'
    yield 'seek-empty.tar.zst', with_table([]), 'a table without entries'
    yield 'seek-n-less.tar.zst', with_table(n=len(e) - 1), 'n is one less than there are entries'
    yield 'seek-n-more.tar.zst', with_table(n=len(e) + 1), 'n is one more'
    yield 'seek-missing-entry.tar.zst', with_table(e[:3] + e[4:]), 'a frame has no entry'
    yield 'seek-extra-entry.tar.zst', with_table(e + [e[1]]), 'an entry has no frame'
    yield 'seek-swapped.tar.zst', with_table([e[0], e[2], e[1]] + e[3:]), 'two entries have changed places'
    for bit in range(7):
        yield 'seek-reserved-%d.tar.zst' % bit, with_table(descriptor=0x80 | 1 << bit), \
            'descriptor: bit %d is set' % bit
    yield 'seek-no-checksums.tar.zst', s.bytes(table=no_checksums(e)), 'a table of eight bytes an entry'
    yield 'seek-past-start.tar.zst', with_table(entry(1, csize=0x7fffffff)), 'sums go past the start of the file'
    yield 'seek-csize-max.tar.zst', with_table(entry(0, csize=0xffffffff)), 'an entry of 4 GiB'
    yield 'seek-csize-0.tar.zst', with_table(entry(1, csize=0)), 'an entry of no bytes'
    yield 'seek-csize-off.tar.zst', with_table(entry(1, csize=e[1][0] - 1)), 'sums land on byte 1'
    yield 'seek-csize-moved.tar.zst', with_table([(e[0][0] + 9,) + e[0][1:], (e[1][0] - 9,) + e[1][1:]] + e[2:]), \
        'the sum is right, the seam between two frames is not'
    yield 'seek-dsize-lie.tar.zst', with_table(entry(1, dsize=1 << 30)), 'decoded size of 1 GiB'
    yield 'seek-dsize-0.tar.zst', with_table(entry(2, dsize=0)), 'decoded size 0'
    yield 'seek-sum-lie.tar.zst', with_table(entry(2, sum=1)), 'a checksum'
    yield 'seek-vlix-sum.tar.zst', with_table(entry(5, sum=0)), 'the checksum of nothing is not 0'
    yield 'seek-length-0.tar.zst', with_table(size=0), 'payload of 0 bytes'
    yield 'seek-length-max.tar.zst', with_table(size=0xffffffff), 'payload of 4 GiB'
    yield 'seek-length-off.tar.zst', with_table(size=12 * len(e) + 10), 'payload a byte too long'
    yield 'seek-twice.tar.zst', s.bytes() + seek(e), 'a second table'
    yield 'seek-only.tar.zst', seek(e), 'nothing but a table'
    yield 'seek-first.tar.zst', seek([(20, 0, 0)]) + s.bytes(), 'a table comes first'
    a = minimal().bytes()
    yield 'seek-other-segment.tar.zst', a + s.bytes(table=seek([(len(a) - 20, 1024, 1)] + e)), \
        'a table that begins inside another segment'
    yield 'seek-whole-file.tar.zst', a + s.bytes(table=seek([(len(a), 0, EMPTY_SUM)] + e)), \
        'a table that claims the segment before as a frame'
    both = minimal()
    b1 = both.bytes()
    yield 'seek-resealed.tar.zst', b1 + s.bytes(table=seek(both.entries + e)), \
        'one table for both segments, behind the second'
    yield 'seek-term.tar.zst', b1 + TERM_FRAME + seek(both.entries), 'a terminator with another table'


def no_checksums(e):
    body = b''.join(struct.pack('<II', *x[:2]) for x in e) + struct.pack('<IBI', len(e), 0, 0x8F92EAB1)
    return skippable(0x184D2A5E, body)


def indexes():
    s = three()
    good = s.index_entries()

    def with_index(entries=None, **lies):
        return s.bytes(index=s.vlix(entries=entries or good, **lies))

    def entry(i, **new):
        v = dict(zip(('at', 'size', 'frame', 'lines', 'end'), good[i]))
        v.update(new)
        return good[:i] + [tuple(v.values())] + good[i + 1:]
    yield 'vlix-version.tar.zst', with_index(version=2), 'another version'
    yield 'vlix-mark.tar.zst', with_index(mark=b'VLIY'), 'another mark'
    yield 'vlix-n-less.tar.zst', with_index(n=2), 'n is less than there are entries'
    yield 'vlix-n-max.tar.zst', with_index(n=0xffffffff), '2^32 - 1 records'
    yield 'vlix-n-2-20.tar.zst', with_index(n=(1 << 20) + 1), 'one record more than allowed'
    yield 'vlix-k-max.tar.zst', with_index(k=0xffffffff), 'keys of 4 GiB'
    yield 'vlix-k-less.tar.zst', with_index(k=3), 'keys of 3 bytes'
    yield 'vlix-sum.tar.zst', with_index(sum_=0), 'its sum'
    yield 'vlix-length-max.tar.zst', with_index(size=0xffffffff), 'payload of 4 GiB'
    yield 'vlix-length-0.tar.zst', s.bytes(index=skippable(0x184D2A5D, b'')), 'an empty payload'
    yield 'vlix-length-23.tar.zst', s.bytes(index=skippable(0x184D2A5D, bytes(23))), 'a payload of 23 bytes'
    yield 'vlix-offset.tar.zst', with_index(entry(2, at=good[2][0] + 512)), 'an offset that leaves a gap'
    yield 'vlix-offset-max.tar.zst', with_index(entry(2, at=(1 << 64) - 512)), 'an offset of 2^64 - 512'
    yield 'vlix-bytes.tar.zst', with_index(entry(2, size=good[2][1] - 512)), 'the last record is too short'
    yield 'vlix-bytes-max.tar.zst', with_index(entry(1, size=0xffffffff)), 'a record of 4 GiB'
    yield 'vlix-frame.tar.zst', with_index(entry(2, frame=1)), 'a frame in which the record does not begin'
    yield 'vlix-frame-0.tar.zst', with_index(entry(0, frame=0)), 'HEAD as the frame of a record'
    yield 'vlix-frame-max.tar.zst', with_index(entry(0, frame=0xffffffff)), 'a frame that is not there'
    yield 'vlix-lines.tar.zst', with_index(entry(1, lines=0)), 'the sum of a record\'s lines'
    yield 'vlix-key-end.tar.zst', with_index(entry(1, end=good[1][4] - 1)), 'keys split elsewhere'
    yield 'vlix-key-back.tar.zst', with_index(entry(1, end=0)), 'a key that ends before it begins'
    yield 'vlix-key-past.tar.zst', with_index(entry(2, end=1000)), 'a key that ends behind all keys'
    yield 'vlix-key.tar.zst', with_index(keys=b'b' + s.keys()[1:]), 'another key'
    yield 'vlix-order.tar.zst', with_index(keys=s.keys()[5:10] + s.keys()[:5] + s.keys()[10:]), 'keys in another order'
    yield 'vlix-missing-record.tar.zst', with_index(good[:2], keys=s.keys()[:-5]), 'the last record is not in it'
    yield 'vlix-none.tar.zst', s.bytes(index=other().vlix()), 'the index of another segment'
    x = s.vlix()
    yield 'vlix-twice.tar.zst', s.bytes(index=x + x), 'two of them'
    yield 'vlix-before-tail.tar.zst', moved(s, x), 'before TAIL'


def moved(s, x):
    parts = s.parts(index=b'')
    out, entries = b'', []
    for (name, b), e in zip(parts[:-1], s.entries):
        if name == 'TAIL':
            out += x
            entries.append((len(x), 0, EMPTY_SUM))
        out += b
        entries.append(e)
    return out + seek(entries)


def frames():
    """Frames that zstd may take and a reader of shards must not (section 2)."""
    m = minimal()
    n, data = len(m.data), m.data

    def with_data(f, dsize=n, sum_=None):
        return m.bytes(frames=[(f, dsize, low32(data) if sum_ is None else sum_)])
    fcs = struct.pack('<H', n - 256)
    yield 'frame-no-size.tar.zst', with_data(frame(data, head=b'\x04\x50')), 'content size is absent'
    yield 'frame-no-checksum.tar.zst', with_data(frame(data, descriptor=0x60, checksum=b'')), 'no checksum'
    yield 'frame-checksum.tar.zst', with_data(frame(data, checksum=b'\1\2\3\4')), 'checksum is wrong'
    yield 'frame-dictionary.tar.zst', with_data(frame(data, head=b'\x65\x07' + fcs)), 'a dictionary id'
    yield 'frame-dictionary-0.tar.zst', with_data(frame(data, head=b'\x65\x00' + fcs)), 'dictionary id 0, spelled out'
    yield 'frame-reserved.tar.zst', with_data(frame(data, descriptor=0x6c)), 'the reserved bit'
    yield 'frame-unused.tar.zst', with_data(frame(data, descriptor=0x74)), 'the unused bit'
    yield 'frame-window-9m.tar.zst', with_data(frame(data, head=b'\x44\x69' + fcs)), 'a window of 9 MiB'
    yield 'frame-window-max.tar.zst', with_data(frame(data, head=b'\x44\xff' + fcs)), 'a window of 3.75 TiB'
    yield 'frame-empty.tar.zst', m.bytes(frames=[data, b'']), 'content of no bytes'
    yield 'frame-over-8m.tar.zst', over_8m(), 'content of 8 MiB and 512 bytes'
    yield 'frame-size-lie.tar.zst', with_data(frame(data, size=2048), 2048), 'content size is a lie'
    yield 'frame-size-less.tar.zst', with_data(frame(data, size=512), 512), 'more content than it says'
    yield 'frame-size-huge.tar.zst', with_data(frame(data, size=(1 << 62)), 0xffffffff), 'content of 2^62 bytes'
    yield 'frame-size-1g.tar.zst', with_data(frame(data, size=(1 << 30)), 1 << 30), 'content of 1 GiB'
    yield 'frame-block-type3.tar.zst', with_data(frame(data, body=block(3, 8, bytes(8), 1))), 'block type 3'
    yield 'frame-block-big.tar.zst', with_data(frame(data, body=block(0, 200 << 10, bytes(100), 1))), \
        'a block of 200 KiB'
    yield 'frame-block-rle-bomb.tar.zst', with_data(frame(data, body=block(1, (1 << 21) - 1, b'x') * 4 +
                                                          block(1, 1, b'x', 1))), 'runs of 2 MiB'
    yield 'frame-block-no-last.tar.zst', with_data(frame(data, body=block(0, n, data, 0))), 'no last block'
    yield 'frame-garbage-block.tar.zst', with_data(frame(data, body=block(2, 60, bytes(range(60)), 1))), \
        'a compressed block of nonsense'
    for magic in (0x184D2A50, 0x184D2A51, 0x184D2A5C, 0x184D2A5F):
        yield 'skippable-%x.tar.zst' % magic, insert(m, 2, skippable(magic, b'something')), 'between DATA and TAIL'
    yield 'skippable-before-data.tar.zst', insert(m, 1, skippable(0x184D2A51, b'')), 'between HEAD and DATA'
    yield 'skippable-first.tar.zst', skippable(0x184D2A51, b'hello') + m.bytes(), 'before HEAD'
    yield 'skippable-pzstd-first.tar.zst', skippable(0x184D2A50, struct.pack('<I', 99)) + m.bytes(), 'as pzstd does'
    yield 'skippable-last.tar.zst', m.bytes() + skippable(0x184D2A51, b'bye'), 'behind SEEK'
    yield 'skippable-between.tar.zst', m.bytes() + skippable(0x184D2A5D, b'VLIX') + other().bytes(), 'between segments'
    nest = skippable(0x184D2A51, skippable(0x184D2A51, skippable(0x184D2A51, b'deep')))
    yield 'skippable-nested.tar.zst', insert(m, 2, nest), 'one in another'
    yield 'skippable-huge.tar.zst', insert(m, 2, skippable(0x184D2A51, b'', 0xffffffff)), 'of 4 GiB'
    inner = skippable(0x184D2A51, m.bytes())
    yield 'skippable-shard.tar.zst', inner, 'a shard in a skippable frame'
    yield 'skippable-hides-shard.tar.zst', other().bytes() + inner, 'the same behind a segment'
    legacy = b'\x27\xb5\x2f\xfd' + frame(data)[4:]
    yield 'frame-legacy.tar.zst', with_data(legacy), 'a magic number of zstd 0.7'


def over_8m():
    s = Segment([('k', [('bin', bytes(8 << 20))])], encode=frame)     # a header and 8 MiB
    return s.bytes()


def insert(s, at, b):
    parts = s.parts()
    return b''.join(p[1] for p in parts[:at]) + b + b''.join(p[1] for p in parts[at:])


def order():
    """The parts of a segment, each sound, in other places (section 1)."""
    m, o = minimal(), other()

    def built(contents, index=b''):
        out, entries = b'', []
        for c in contents:
            f = frame(c)
            out += f
            entries.append((len(f), len(c), low32(c)))
        return out + seek(entries)
    yield 'order-no-head.tar.zst', built([m.data, m.tail()]), 'no HEAD'
    yield 'order-head-twice.tar.zst', built([m.head(), m.head(), m.data, m.tail()]), 'HEAD twice'
    yield 'order-head-only.tar.zst', built([m.head()]), 'HEAD and SEEK alone'
    yield 'order-tail-first.tar.zst', built([m.tail(), m.head(), m.data]), 'TAIL first'
    yield 'order-tail-twice.tar.zst', built([m.head(), m.data, m.tail(), m.tail()]), 'TAIL twice'
    yield 'order-data-behind-tail.tar.zst', built([m.head(), m.data, m.tail(), o.data]), 'DATA behind TAIL'
    yield 'order-tail-of-other.tar.zst', built([m.head(), m.data, o.tail()]), 'the tail of another segment'
    yield 'order-data-of-other.tar.zst', built([m.head(), o.data, m.tail()]), 'the data of another segment'
    yield 'order-joined-head-data.tar.zst', built([m.head() + m.data, m.tail()]), 'HEAD and DATA in one frame'
    yield 'order-joined-data-tail.tar.zst', built([m.head(), m.data + m.tail()]), 'DATA and TAIL in one frame'
    yield 'order-head-split.tar.zst', built([m.head()[:512], m.head()[512:], m.data, m.tail()]), 'HEAD in two frames'
    yield 'order-one-frame.tar.zst', built([m.plain()]), 'the plain carrier in one frame'
    sound = m.bytes()
    yield 'behind-byte.tar.zst', sound + b'\n', 'a byte behind SEEK'
    yield 'behind-zeros.tar.zst', sound + bytes(1024), 'zero bytes behind SEEK'
    yield 'behind-text.tar.zst', sound + b'# end of the shard\n' * 3, 'text behind SEEK'
    yield 'behind-frame.tar.zst', sound + frame(b'x' * 600), 'a frame of text behind SEEK'
    yield 'behind-plain.tar.zst', sound + m.plain(), 'the other carrier behind it'
    yield 'behind-frames.tar', o.plain() + sound, 'and the other way round'
    yield 'behind-byte.tar', m.plain() + b'\n', 'plain, a byte behind the tail'
    yield 'behind-text.tar', m.plain() + b'x' * 512, 'plain, a block of text'
    yield 'behind-zeros.tar', m.plain() + bytes(512), 'plain, one zero block'
    yield 'zeros-in-data.tar.zst', Segment([('a', [('txt', b'1', member('a.txt', b'1') + bytes(1024))]),
                                            ('b', [('txt', b'2')])]).bytes(), 'the end-of-archive mark inside DATA'
    z = Segment([('a', [('txt', b'1', member('a.txt', b'1') + bytes(1024))]), ('b', [('txt', b'2')])])
    yield 'zeros-in-data.tar', z.plain(), 'the same, plain'


def foreign():
    """Files of other makers (made here, so that their bytes do not depend on what is installed)."""
    tar = header('a.txt', 5, ((100, b'0000644\0'), (136, b'14716460000\0'), (265, b'user'))) + pad(b'hello')
    end = bytes(2048)
    yield 'foreign-ustar.tar', tar + end, 'a tar archive'
    yield 'foreign-ustar.tar.zst', frame(tar + end), 'the same behind zstd'
    yield 'foreign-no-table.tar.zst', frame(tar) + frame(member('b.txt', b'x')), 'frames of a tar stream, no table'
    body = frame(tar + end)
    yield 'foreign-pzstd.tar.zst', skippable(0x184D2A50, struct.pack('<I', len(body))) + body, 'as pzstd writes it'
    seekable = frame(tar) + seek([(len(frame(tar)), len(tar), low32(tar))])
    yield 'foreign-seekable.tar.zst', seekable, 'a seekable zstd file'
    yield 'foreign-zeros.tar', bytes(2048) + b'x', 'zero bytes and another'
    yield 'foreign-text.txt', b'image.jpg\ta caption\n' * 40, 'a table'
    yield 'foreign-json.json', b'{"captions": []}\n', 'JSON'
    yield 'foreign-gzip.gz', bytes.fromhex('1f8b0800000000000003cb48cdc9c9070086a6103605000000'), 'gzip'
    yield 'foreign-zip.zip', b'PK\5\6' + bytes(18), 'an empty zip archive'
    yield 'foreign-png.png', b'\x89PNG\r\n\x1a\n' + bytes(100), 'a picture'
    yield 'foreign-zst.zst', frame(b'hello, zstd\n'), 'a text behind zstd'
    yield 'foreign-zeros.bin', bytes(1), 'a zero byte'


def signatures():
    """Sound shards whose signature fails: `--check` takes them, `--verify` does not."""
    two = [('s-000', TXT)]
    yield 'signature-none.tar.zst', Segment(two).bytes(), 'not signed'
    yield 'signature-content.tar.zst', signed(two, 'vlkit content id v1\n%s pairs\n' % ('0' * 64)).bytes(), \
        'of other records'
    yield 'signature-kind.tar.zst', signed(two, 'vlkit content id v1\n%s embeddings\n' % Segment(two).tail_json[
        'content_id']).bytes(), 'of another kind'
    yield 'signature-bare.tar.zst', signed(two, Segment(two).tail_json['content_id']).bytes(), 'of the id alone'
    yield 'signature-key.tar.zst', signed(two, seed=bytes(32)).bytes(), 'by another key'
    yield 'signature-key-lie.tar.zst', signed(two, seed=bytes(32), key=owner()).bytes(), \
        'by another key, under the name of the right one'
    value = signed(two).tail_json['signature']['value']
    yield 'signature-flip.tar.zst', signed(two, value='%x' % (int(value[0], 16) ^ 1) + value[1:]).bytes(), 'a bit of it'
    yield 'signature-short.tar.zst', signed(two, value=value[:-2]).bytes(), 'a byte is missing'
    yield 'signature-upper.tar.zst', signed(two, value=value.upper()).bytes(), 'not lower-case hex'
    yield 'signature-algorithm.tar.zst', signed(two, algorithm='rsa').bytes(), 'another algorithm'
    big = int.from_bytes(bytes.fromhex(value[64:]), 'little') + 2**252 + 27742317777372353535851937790883648493
    yield 'signature-malleable.tar.zst', signed(two, value=value[:64] + big.to_bytes(32, 'little').hex()).bytes(), \
        'S + L in place of S: RFC 8032 refuses it'
    yield 'signature-one-of-two.tar.zst', signed(two).bytes() + Segment([('s-002', TXT)]).bytes(), \
        'the second segment is not signed'


def owner():
    return ed25519.public(SEED)


def vectors():
    for group in (cuts, flips, tables, indexes, frames, order, foreign, signatures):
        yield from group()
