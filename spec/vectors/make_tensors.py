# SPDX-License-Identifier: MIT
"""make_tensors.py -- arrays: .npy as NumPy writes it, and .vlt of FORMAT.md section 9.

A good float-*.tar.zst with .vlt members has a twin float-*.npy.tar.zst (one for all filters), the same records with the raw
arrays, which `vlcat --plain` must give bit by bit.
"""
import struct

from shardbytes import Segment, xxh64

TYPES = {1: ('<f2', 2), 2: ('<f4', 4), 3: ('<f8', 8), 4: ('<u2', 2), 5: ('|u1', 1), 6: ('|i1', 1), 7: ('<u2', 2),
         8: ('<i2', 2), 9: ('<u4', 4), 10: ('<i4', 4), 11: ('<u8', 8), 12: ('<i8', 8), 13: ('|b1', 1),
         14: ('<c8', 4), 15: ('<c16', 8)}     # dtype of .vlt: as NumPy calls it, bytes of a word
COMPLEX = (14, 15)
TILE = 1 << 18


def npy(descr, shape, raw, version=1):
    text = "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }" % (
        descr, ''.join('%d,' % n for n in shape) if len(shape) == 1 else ', '.join(map(str, shape)))
    fixed = 10 if version == 1 else 12
    text += ' ' * (-(fixed + len(text) + 1) % 64) + '\n'
    size = struct.pack('<H' if version == 1 else '<I', len(text))
    return b'\x93NUMPY' + bytes([version, 0]) + size + text.encode() + raw


def words(raw, w):
    return [int.from_bytes(raw[i:i + w], 'little') for i in range(0, len(raw), w)]


def shuffle(raw, w):
    out = b''
    for at in range(0, len(raw), TILE * w):
        tile = raw[at:at + TILE * w]
        out += b''.join(tile[i::w] for i in range(w))
    return out


def filtered(raw, ref, w, filt):
    if filt == 0:
        return raw
    if filt == 1:
        return shuffle(raw, w)
    top, mask = 1 << 8 * w - 1, (1 << 8 * w) - 1
    out = b''
    for a, b in zip(words(raw, w), words(ref, w)):
        if filt == 2:
            d = a ^ b
        else:
            d = a - b & mask
            d = 2 * d if d < top else 2 * (mask + 1 - d) - 1
        out += d.to_bytes(w, 'little')
    return shuffle(out, w)


def vlt(code, dims, raw, use=1, ref=None, name='', **lies):
    """The member's bytes. lies: values of fields that are not what they should be."""
    w = TYPES.get(code, (None, 1))[1]
    uses = use in (2, 3)
    head = b'VLT1' + bytes([lies.get('dtype', code), lies.get('filt', use), lies.get('rank', len(dims)),
                            lies.get('tile', 18)])
    head += struct.pack('<QQH', lies.get('sum', xxh64(raw)), lies.get('ref_sum', xxh64(ref) if uses else 0),
                        lies.get('name_bytes', len(name.encode())))
    head += lies.get('reserved', bytes(6))
    head += b''.join(struct.pack('<Q', n) for n in lies.get('shape', dims)) + name.encode()
    head += lies.get('padding', b'\0') * (-len(head) % 64)
    body = filtered(raw, ref, w, use)
    return lies.get('magic', head[:4]) + head[4:] + lies.get('data', body)


# ---- numbers that lose bits where somebody computes with them -----------------------------------

F2 = [0x0000, 0x8000, 0x0001, 0x8001, 0x03ff, 0x0400, 0x3c00, 0x7bff, 0x7c00, 0xfc00, 0x7c01, 0x7e00, 0xfe01,
      0x7fff, 0xffff]
BF = [0x0000, 0x8000, 0x0001, 0x807f, 0x0080, 0x3f80, 0x7f7f, 0x7f80, 0xff80, 0x7f81, 0x7fc0, 0xffc1, 0x7fff]
F4 = [0, 1 << 31, 1, 0x80000001, 0x007fffff, 0x00800000, 0x3f800000, 0x7f7fffff, 0x7f800000, 0xff800000,
      0x7f800001, 0x7fc00000, 0xffc12345, 0x7fffffff, 0xffffffff, 0x7fa5a5a5, 0x33333333]
F8 = [0, 1 << 63, 1, (1 << 63) + 1, (1 << 52) - 1, 1 << 52, 0x3ff << 52, 0x7ff << 52, 0xfff << 52,
      (0x7ff << 52) + 1, 0x7ff8 << 48, 0xfff8123456789abc, (1 << 64) - 1]
SPECIAL = {1: F2, 2: F4, 3: F8, 4: BF}


def special(dtype):
    """Every dtype's own hard cases, or, for whole numbers, its ends and what lies between."""
    w = TYPES[dtype][1]
    if dtype in COMPLEX:
        return special(2 if dtype == 14 else 3)[:12 * w]
    top = 1 << 8 * w
    ints = [0, 1] if dtype == 13 else [0, 1, top // 2 - 1, top // 2, top // 2 + 1, top - 1, top // 3]
    return b''.join(v.to_bytes(w, 'little') for v in SPECIAL.get(dtype, ints))


def elements(dtype, raw):
    return len(raw) // TYPES[dtype][1] // (2 if dtype in COMPLEX else 1)


def rolled(raw, w, by):
    k = by * w % len(raw) if raw else 0
    return raw[k:] + raw[:k]


def chain(filt, tensors, steps=3, keyframe=None):
    """Segments of a trajectory: tensors {ext: [(dtype, shape, raw)] a step}; and the twin of raw arrays."""
    coded, plain, before = b'', b'', {}
    for step in range(steps):
        key = 'expert-0000/snap-%04d' % step
        a, b = [], []
        for name, list_ in tensors.items():
            dtype, shape, raw = list_[step % len(list_)]
            last = before.get(name)
            use = filt if last and filt > 1 and step != keyframe else min(filt, 1)
            a.append((name + '.vlt', vlt(dtype, shape, raw, use, last[0] if use > 1 else None,
                                         last[1] if use > 1 else '')))
            b.append((name + '.npy', npy(TYPES[dtype][0], shape, raw)))
            before[name] = (raw, '%s.%s.vlt' % (key, name))
        schema = {name + '.npy': {'dtype': 'bf16'} for name, l in tensors.items() if l[0][0] == 4}
        coded += Segment([(key, a)], kind='trajectory', ordinal=step).bytes()
        plain += Segment([(key, b)], kind='trajectory', ordinal=step,
                         manifest={'schema': schema} if schema else None).bytes()
    return coded, plain


def all_types():
    out = {}
    for dtype in TYPES:
        raw, w = special(dtype), TYPES[dtype][1]
        w *= 2 if dtype in COMPLEX else 1
        out['t%02d' % dtype] = [(dtype, (elements(dtype, raw),), rolled(raw, w, i)) for i in range(3)]
    return out


def twin(name, why, *args, **more):
    coded, plain = chain(*args, **more)
    yield 'float-%s.tar.zst' % name, coded, why
    yield 'float-%s.npy.tar.zst' % name, plain, 'its raw arrays'


def good():
    tensors = all_types()
    for filt, text in enumerate(('raw', 'byte shuffle', 'xor and shuffle', 'subtract, zigzag, shuffle')):
        coded, plain = chain(filt, tensors, steps=2)
        yield ('float-filter%d.tar.zst' % filt, coded, 'filter %d, %s: NaN payloads, infinities, -0, denormals of '
               '15 types' % (filt, text))
    yield 'float-filter.npy.tar.zst', plain, 'the raw arrays of these four'
    f4 = special(2)
    odd = {'n%d' % n: [(2, (n,), rolled(f4, 4, i)[:4 * n]) for i in range(3)] for n in (0, 1, 2, 3, 5, 7, 13)}
    odd['scalar'] = [(2, (), f4[:4]), (2, (), f4[4:8])]
    odd['wide'] = [(2, (1, 1, 1, 1, 1, 1, 1, 3), f4[:12])]
    odd['none'] = [(3, (4, 0, 2), b'')]
    yield from twin('shapes', 'odd lengths, no elements, no dimensions, eight of them', 3, odd)
    # ±: one word before, at and behind the end of a tile; the words repeat, so the file stays small
    seam = {'n%d' % n: [(5, (n,), bytes(n - 2) + b'\x01\x02'), (5, (n,), bytes(n - 2) + b'\x03\xff')]
            for n in (TILE - 1, TILE, TILE + 1)}
    yield from twin('tiles', 'lengths about one tile', 3, seam, steps=2)
    yield from twin('keyframe', 'a chain that begins anew in its middle', 3,
                    {'w': [(2, (17,), rolled(f4, 4, i)) for i in range(4)]}, steps=4, keyframe=2)
    arrays = [('v%d.npy' % v, npy('<f4', (17,), f4, v)) for v in (1, 2, 3)]
    arrays += [('a%02d.npy' % t, npy(TYPES[t][0], (elements(t, special(t)),), special(t))) for t in TYPES]
    yield 'npy.tar.zst', Segment([('set', arrays)], kind='distilled', manifest={
        'schema': {'a04.npy': {'dtype': 'bf16'}}}).bytes(), '.npy of all versions and types'


# ---- what a reader of tensors must refuse -------------------------------------------------------

def pair(second, first=None, key='expert-0000/snap-0000', ext='w.vlt', third=None):
    """Snapshots; the first one's tensor is what the second refers to, if it is right."""
    first = vlt(2, (17,), special(2)) if first is None else first
    records = [(key, [(ext, first)])] if first else []
    records += [('expert-0000/snap-0001', [('w.vlt', second)])]
    records += [('expert-0000/snap-0002', [('w.vlt', third)])] if third else []
    return Segment(records, kind='trajectory').bytes()


def bad():
    """The shards are sound, what is in them is not: `vlls --check` takes them, who decodes does not."""
    raw = special(2)
    new, name = rolled(raw, 4, 1), 'expert-0000/snap-0000.w.vlt'

    def key(**lies):
        return pair(vlt(2, (17,), new, 1, **lies))

    def delta(filt=3, ref=raw, ref_name=name, **lies):
        return vlt(2, (17,), new, filt, ref, ref_name, **lies)
    yield 'magic', key(magic=b'VLT2'), 'magic'
    yield 'dtype-0', key(dtype=0), 'dtype 0'
    yield 'dtype-16', key(dtype=16), 'dtype 16'
    yield 'filter-4', key(filt=4), 'filter 4'
    yield 'rank-9', pair(vlt(2, (1,) * 9, raw[:4])), 'nine dimensions'
    yield 'tile-17', key(tile=17), 'another tile'
    yield 'sum', key(sum=1), 'sum of the raw array'
    yield 'reserved', key(reserved=b'\0\0\0\0\0\1'), 'reserved bytes'
    yield 'padding', key(padding=b'\1'), 'padding'
    yield 'keyframe-ref-sum', key(ref_sum=5), 'a sum of no reference'
    yield 'keyframe-name', pair(vlt(2, (17,), new, 1, name='expert-0000/snap-0000.w.vlt')), 'a name of no reference'
    yield 'short', key(data=new[:-1]), 'a byte too few'
    yield 'long', key(data=new + b'\0'), 'a byte too many'
    yield 'shape-smaller', key(shape=(16,)), 'shape of fewer elements than there are'
    yield 'shape-2-64', pair(vlt(2, (0, 0), b'', shape=(1 << 33, 1 << 33))), 'bytes that overflow 64 bits'
    yield 'shape-2-63', pair(vlt(2, (0,), b'', shape=(1 << 61,))), 'bytes that overflow 63 bits'
    yield 'header-cut', pair(vlt(2, (17,), new)[:31]), 'a header of 31 bytes'
    yield 'shape-cut', pair(vlt(2, (17,), new)[:36]), 'a header that ends in its shape'
    yield 'empty', pair(b''), 'no bytes'
    for f in (2, 3):
        yield 'filter%d-no-name' % f, pair(delta(f, ref_name='')), 'a difference to nothing'
        yield 'filter%d-missing' % f, pair(delta(f), first=b''), 'the reference is not in the shard'
        yield 'filter%d-other-bytes' % f, pair(delta(f), vlt(2, (17,), rolled(raw, 4, 2))), \
            'the reference has other bytes'
        yield 'filter%d-flip' % f, pair(delta(f, data=flipped(filtered(new, raw, 4, f)))), 'a bit of the data'
    yield 'ref-sum', pair(delta(ref_sum=xxh64(new))), 'the sum of another reference'
    yield 'ref-name', pair(delta(ref_name='expert-0000/snap-0009.w.vlt')), 'another name'
    yield 'ref-name-other-ext', pair(delta(ref_name='expert-0000/snap-0000.v.vlt'), ext='v.vlt'), \
        'a namesake with another extension'
    yield 'ref-shape', pair(delta(), vlt(2, (16,), raw[:64])), 'a smaller reference'
    yield 'ref-reshaped', pair(delta(), vlt(2, (17, 1), raw)), 'a reference of another shape'
    yield 'ref-dtype', pair(delta(), vlt(9, (17,), raw)), 'a reference of another type'
    yield 'ref-name-1001', pair(delta(ref_name='k' * 997 + '.vlt')), 'a name of 1001 bytes'
    yield 'ref-name-dots', pair(delta(ref_name='../etc.vlt')), 'a name that is no member\'s'
    yield 'ref-name-utf8', pair(bytes_in_name(delta())), 'a name that is not UTF-8'
    yield 'ref-self', pair(delta(ref_name='expert-0000/snap-0001.w.vlt')), 'itself'
    yield 'ref-far', pair(delta(), third=delta()), 'not the last record before it'


def flipped(b):
    return b[:5] + bytes([b[5] ^ 4]) + b[6:]


def bytes_in_name(b):
    return b.replace(b'snap', b'sn\xffp')


def bad_npy():
    raw = special(2)
    sound = npy('<f4', (17,), raw)

    def text(old, new):
        body = sound.replace(old, new)
        return body if len(old) == len(new) else body[:8] + struct.pack('<H', len(body) - 10 - len(raw)) + body[10:]
    yield 'magic', b'\x94' + sound[1:], 'magic'
    yield 'version-4', sound[:6] + b'\x04' + sound[7:], 'version 4'
    yield 'version-1-1', sound[:7] + b'\x01' + sound[8:], 'version 1.1'
    yield 'big-endian', text(b'<f4', b'>f4'), 'big-endian'
    yield 'fortran', text(b'False', b'True '), 'Fortran order'
    yield 'object', text(b"'<f4'", b"'|O' "), 'Python objects'
    yield 'struct', text(b"'<f4'", b"[('a','<f4')]"), 'a structure'
    yield 'short', sound[:-1], 'a byte too few'
    yield 'long', sound + b'\0', 'a byte too many'
    yield 'shape-negative', text(b'(17,)', b'(-7,)'), 'negative shape'
    yield 'shape-overflow', text(b'(17,)', b'(4294967296,4294967296,)'), 'a product over 64 bits'
    yield 'header-long', sound[:8] + b'\xff\xff' + sound[10:], 'a header longer than the member'
    yield 'header-cut', sound[:9], 'nine bytes'
    yield 'no-shape', text(b"'shape': (17,), ", b' ' * 16), 'no shape'
    yield 'twice', text(b"'fortran_order': False", b"'descr': '<f4'        "), 'a name twice'


def bad_vectors():
    for name, data, why in bad():
        yield 'vlt-%s.tar.zst' % name, data, why
    for name, data, why in bad_npy():
        yield 'npy-%s.tar.zst' % name, Segment([('set', [('w.npy', data)])], kind='distilled').bytes(), why
