# SPDX-License-Identifier: MIT
"""make_good.py -- shards that every reader takes, and the segments that the damaged ones are made of."""
import struct

import ed25519
from shardbytes import Segment, TERM, block, canonical, frame, hex64, low32, zframe

SEED = bytes(range(32))     # the private key; its public half is signed.pub


def pairs(names):
    """A caption each, and with the first one a picture of a few bytes (no reader here looks inside) and JSON."""
    out = [(n, [('txt', b'caption of ' + n.encode())]) for n in names]
    out[0][1].insert(0, ('jpg', bytes(range(100, 125))))
    out[0][1].append(('json', canonical({'captions': ['caption of ' + names[0]]})))
    return out


def levels(content):
    """HEAD and TAIL at level 3, DATA at 1, as FORMAT.md's section 12 was written."""
    return zframe(content, 3 if content.startswith(b'__vl__/') else 1)


def minimal(**more):
    return Segment([('boat', [('txt', b'a red boat')])], **more)


def multi(**more):
    """Six records, two a frame; the key of the fourth is not in order, which nothing asks for."""
    return Segment(pairs(['a-000', 'a-001', 'a-002', 'dir/sub/x', 'a-004', 'a-005']), cuts=2, **more)


def small(**more):
    """What plain carriers are damaged in: there a member is 1 KiB."""
    return Segment([('a-000', [('txt', b'one')]), ('a-001', [('txt', b'two')])], **more)


def three():
    """A record a frame."""
    return Segment([('a-00%d' % i, [('txt', b'%d' % i)]) for i in range(3)], cuts=1)


def other(**more):
    return Segment(pairs(['b-000', 'b-001']), **more)


def embeddings(keys=('a-000', 'a-001'), **more):
    from make_tensors import npy
    recs = [(k, [('clip.img.npy', npy('<f4', (1, 2), struct.pack('<2f', i, -i)))]) for i, k in enumerate(keys)]
    return Segment(recs, kind='embeddings', **more)


def signed(records=None, message=None, seed=SEED, key=None, **changes):
    s = Segment(records or [('s-000', TXT)])
    text = message or 'vlkit content id v1\n%s %s\n' % (s.tail_json['content_id'], s.kind)
    value = ed25519.sign(seed, text.encode())
    s.tail_json['signature'] = {'algorithm': 'ed25519', 'key': (key or ed25519.public(seed)).hex(),
                                'value': value.hex()}
    s.tail_json['signature'].update(changes)
    return s


def layouts():
    m, b = minimal(), other()
    yield 'min.tar.zst', minimal(encode=levels).bytes(), 'FORMAT.md section 12, byte for byte'
    yield 'min-blocks.tar.zst', minimal(encode=frame).bytes(), 'the same in raw and RLE blocks'
    yield 'min.tar', m.plain(), 'the same in the plain carrier'
    yield 'no-index.tar.zst', minimal(index=False).bytes(), 'VLIX is optional'
    empty = Segment([])
    yield 'empty.tar.zst', empty.bytes(), 'a segment without records has no DATA'
    yield 'empty.tar', empty.plain(), 'the same, plain'
    yield 'term.tar.zst', m.bytes() + TERM, 'the end-of-archive mark'
    yield 'term.tar', m.plain() + bytes(1024), 'the same, plain'
    yield 'term-inner.tar.zst', m.bytes() + TERM + b.bytes(), 'a TERM may stand wherever a segment may begin'
    yield 'term-first.tar.zst', TERM + m.bytes(), 'and so before the first one'
    yield 'term-twice.tar.zst', m.bytes() + TERM + TERM + b.bytes() + TERM, 'and again'
    yield 'term-only.tar', bytes(2048), 'an empty tar archive is two of them'
    yield 'term-inner.tar', m.plain() + bytes(1024) + b.plain(), 'the same, plain'
    yield 'term-only.tar.zst', TERM, 'SHARD = (SEGMENT | TERM)+'
    yield 'multi.tar.zst', multi().bytes(), 'three frames and a record index'
    yield 'multi-blocks.tar.zst', multi(encode=frame).bytes(), 'the same in raw and RLE blocks'
    yield 'multi.tar', multi().plain(), 'its plain twin'
    yield 'cat.tar.zst', m.bytes() + multi().bytes() + TERM, 'cat of min, multi and TERM'
    yield 'cat.tar', m.plain() + other().plain(), 'cat of plain shards'
    yield 'two-kinds.tar.zst', multi().bytes() + embeddings().bytes(), 'a key once in each kind'
    yield 'ordinal.tar.zst', minimal(ordinal=7).bytes() + other(ordinal=7).bytes(), 'cat may repeat ordinals'
    yield 'long.tar.zst', long_member(), 'a member of 9 MiB: frames end at exactly 8 MiB'


def long_member():
    s = Segment([('zeros', [('bin', bytes(9 << 20))]), ('last', [('txt', b'behind it')])], cuts=[8 << 20], encode=frame)
    return s.bytes()


def frames():
    """What section 2 allows a writer to choose."""
    m = minimal()
    n = len(m.data)

    def with_data(f):
        return m.bytes(frames=[(f, n, low32(m.data))])
    yield ('frame-window.tar.zst', with_data(frame(m.data, head=b'\x44\x50' + struct.pack('<H', n - 256))),
           'a window descriptor (1 MiB) in place of single segment')
    yield ('frame-window-8m.tar.zst', with_data(frame(m.data, head=b'\x44\x68' + struct.pack('<H', n - 256))),
           'a window of exactly 8 MiB')
    yield ('frame-size4.tar.zst', with_data(frame(m.data, head=b'\xa4' + struct.pack('<I', n))),
           'content size in 4 bytes where 2 would do')
    yield ('frame-size8.tar.zst', with_data(frame(m.data, head=b'\xe4' + struct.pack('<Q', n))),
           'content size in 8 bytes')
    cut = block(0, 512, m.data[:512]) + block(0, 0, b'') + block(0, n - 512, m.data[512:], 1)
    yield 'frame-empty-block.tar.zst', with_data(frame(m.data, body=cut)), 'an empty block in a frame'
    many = block(0, n, m.data) + block(0, 0, b'') * 3000 + block(0, 0, b'', 1)
    yield 'frame-empty-blocks.tar.zst', with_data(frame(m.data, body=many)), '3000 of them'
    raw = block(0, n, m.data, 1)
    yield 'frame-raw.tar.zst', with_data(frame(m.data, body=raw)), 'a frame stored as it is'
    s = multi()
    odd = list(range(512, len(s.data), 512))
    yield ('frames-512.tar.zst', multi_cut(odd), 'every 512 bytes a frame: shorter than a writer makes them')
    yield ('frames-ragged.tar.zst', multi_cut([1, 100, 511, 513, 1000, 2047, 2049, 5000, 5001]),
           'frames that end inside headers, contents and padding')
    t = s.tail()
    yield 'tail-two.tar.zst', multi().bytes(tail=[t[:512], t[512:]]), 'TAIL in two frames'
    yield 'tail-many.tar.zst', multi().bytes(tail=[t[:600]] + [t[i:i + 97] for i in range(600, len(t), 97)]), \
        'TAIL in many'


def multi_cut(cuts):
    s = multi()
    return Segment(s.records, cuts=cuts).bytes()


TXT = [('txt', b'caption')]


def metadata():
    s = Segment([('m-000', TXT)])
    text = (b'{ "kind" : "pairs",\n  "format":1, "first_key":"m-000", "ordinal":0, '
            b'"note":"\\u00e4 and \xc3\xa4" }')
    yield 'manifest-spaced.tar.zst', with_head(s, text), 'the canonical form is not checked'
    yield ('manifest-more.tar.zst', Segment([('m-000', TXT)], manifest={
        'tool': 'other 1.0', 'options': {'x': [1, 2.5, None, True]}, 'zzz': 'kept'}).bytes(), 'unknown names')
    yield ('kind-other.tar.zst', Segment([('m-000', TXT)], kind='abcdefghijklmnopqrstu-z').bytes(),
           'a kind of 23 letters that no tool knows')
    parents = [{'content_id': '0' * 63 + '1', 'kind': 'pairs'}, {'content_id': 'f' * 64, 'kind': 'mixed'}]
    yield 'parents.tar.zst', Segment([('m-000', TXT)], tail={'parents': parents}).bytes(), 'two parents'
    yield ('input-loss.tar.zst', Segment([('m-000', TXT)], tail={'input_loss': {
        'bad_frames': 1, 'lost_records': 1, 'lost_tails': 0, 'keys': ['m-001'],
        'gaps': [{'after': 'm-000', 'before': None}]}}).bytes(), 'what a salvaged input lacked')
    yield 'sums-tail.tar.zst', own_line(Segment([('m-000', TXT)])), 'a line for the tail in this carrier, too'
    yield ('licences.tar.zst', Segment([('m-000', TXT)], manifest={
        'licence': 'CC-BY-4.0', 'source': 'here'}, tail={
            'licences': ['CC-BY-SA-4.0', 'CC0-1.0'], 'licence': 'CC-BY-SA-4.0', 'sources': ['there']}).bytes(),
           'licences and sources of its own and of its parents')
    yield ('licence-unknown.tar.zst', Segment([('m-000', TXT)], tail={
        'licences': ['CC0-1.0', 'NOASSERTION'], 'licence': 'NOASSERTION'}).bytes(), 'a parent without one')
    yield ('sums-no-tail-line.tar', minimal().plain(tail=minimal().tail(False)),
           'plain without a line for the tail: what zstd -dc gives')
    yield 'signed.tar.zst', signed().bytes(), 'an Ed25519 signature over content id and kind'
    yield 'signed.tar', signed().plain(), 'which holds in either carrier'
    yield ('signed-cat.tar.zst', signed().bytes() + signed([('s-002', TXT)]).bytes(),
           'and after cat, a signature a segment')


def own_line(s):
    return s.bytes(tail=s.tail(True))


def with_head(s, text):
    """The segment with this manifest, whose id then stands in all names."""
    s.head_text, s.id = text, hex64(text)
    return s.bytes()


def names():
    def one(key, ext='txt'):
        return Segment([(key, [(ext, b'content')])]).bytes()
    yield ('names-utf8.tar.zst', Segment([(k, [('txt', k.encode())]) for k in (
        'Ordner/größe', '船', 'a b', 'e\u0301', '🚤', 'ab=c', "quote'\"", '~', '-n', '%d', 'trailing ')]).bytes(),
        'valid UTF-8 is taken as it is')
    yield 'names-100.tar.zst', one('k' * 96), 'a name of 100 bytes has no PAX header'
    yield 'names-101.tar.zst', one('k' * 97), 'a name of 101 bytes has one'
    yield 'names-1000.tar.zst', one('k' * 996), 'the longest name'
    yield 'names-1000.tar', Segment([('k' * 996, [('txt', b'content')])]).plain(), 'the same, plain'
    yield 'names-cut-utf8.tar.zst', one('k' * 95 + 'ä' * 4), 'byte 100 lies inside a character'
    yield 'names-deep.tar.zst', one('/'.join('abcdefgh')), 'parts between slashes'
    yield ('names-ext.tar.zst', Segment([('k', [(e, b'x') for e in (
        'img.npy', 'a', '0', '-x', '_y', 'q+r', 'a.b.c.d', 'e' * 255)])]).bytes(), 'what an extension may hold')
    yield 'names-dir-dot.tar.zst', one('v1.0/set.a/x'), 'a dot in a part that is not the last'
    yield 'names-prefix-like.tar.zst', one('a__vl__/_x/x'), 'not the reserved prefix'
    yield ('content-empty.tar.zst', Segment([('k', [('txt', b''), ('bin', b'')])]).bytes(), 'members of no bytes')
    yield ('content-512.tar.zst', Segment([('k', [('txt', b'x' * 511), ('bin', b'y' * 512), ('b2', b'z' * 513)])]
                                          ).bytes(), 'with and without padding')
    yield ('content-zeros.tar.zst', Segment([('k', [('bin', bytes(4096))])]).bytes(),
           'zero blocks inside a member are content')
    yield 'content-zeros.tar', Segment([('k', [('bin', bytes(4096))])]).plain(), 'the same, plain'
    inner = Segment([('k', [('tar', minimal().plain()), ('zst', minimal().bytes())])])
    yield 'content-shard.tar.zst', inner.bytes(), 'shards as content'
    yield 'content-shard.tar', inner.plain(), 'the same, plain: its tail must not be taken for the shard\'s'


def vectors():
    for group in (layouts, frames, metadata, names):
        yield from group()
