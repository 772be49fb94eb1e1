#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""pairs.py STATE_DIR OUT_DIR -- the demonstration's image-text pairs out of what fetch.sh unpacked.

Writes OUT_DIR/images/, OUT_DIR/{train,val,test}.tsv (path TAB caption TAB caption ...; paths relative
to OUT_DIR) and OUT_DIR/audit.txt, which is printed too. The same packages give the same bytes."""
import collections
import hashlib
import io
import multiprocessing
import os
import shutil
import sys
import time

import numpy as np
from PIL import Image, ImageChops

sys.dont_write_bytecode = True      # the tree stays clean
import captions
import concepts
import sources

SIDE = 128              # longest side that is stored
VIEW = 64               # side of the square that pictures are compared at
SMALLEST = 16           # longest side below which nothing can be made out
FILLED = 0.75           # a drawing that takes less of its page's long side is cut out
MAX_PIXELS = 100_000_000
SPLITS = ('train', 'val', 'test')
Image.MAX_IMAGE_PIXELS = None   # our own limit is checked on the header, before anything is decoded


def premultiplied(im):
    """Any PNG as RGB, or as RGB premultiplied with alpha, so that scaling lets no hidden colour bleed."""
    if im.mode.startswith('I'):
        im = Image.fromarray((np.asarray(im).astype(np.uint32) >> 8).astype(np.uint8))
    if im.mode in ('L', 'RGB') and 'transparency' not in im.info:
        return im.convert('RGB')
    return im.convert('RGBA').convert('RGBa')


def over_white(im, size, box=None):
    """RGB: `box` (or all) of a premultiplied() image, scaled to `size`, then put over white."""
    if box or size != im.size:
        im = im.resize(size, Image.LANCZOS, box=box, reducing_gap=3.0)
    if im.mode == 'RGB':
        return im
    white = Image.new('RGBA', im.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, im.convert('RGBA')).convert('RGB')


def content(im):
    """The box of what is drawn on a mostly empty page, with a margin; None if the page is well filled.

    Much clip-art is a small drawing on a large white or transparent page; at 64 pixels nothing would be
    left of it."""
    red, green, blue = over_white(im, im.size).split()
    darkest = ImageChops.darker(ImageChops.darker(red, green), blue)
    box = darkest.point([255] * 239 + [0] * 17).getbbox()       # more than 16 off white
    if not box or max(box[2] - box[0], box[3] - box[1]) > FILLED * max(im.size):
        return None
    margin = 1 + max(box[2] - box[0], box[3] - box[1]) // 16
    return (max(0, box[0] - margin), max(0, box[1] - margin),
            min(im.width, box[2] + margin), min(im.height, box[3] + margin))


def view(im):
    """u8 [64, 64, 3]: over white, padded with white to a square, antialiased."""
    scale = VIEW / max(im.size)
    size = tuple(max(1, round(s * scale)) for s in im.size)
    im = over_white(premultiplied(im), size)
    square = Image.new('RGB', (VIEW, VIEW), (255, 255, 255))
    square.paste(im, ((VIEW - size[0]) // 2, (VIEW - size[1]) // 2))
    return np.asarray(square)


def blank(pixels):
    """True if under 20 of the 4096 pixels differ visibly from the commonest grey: nothing is to be seen."""
    far = np.abs(pixels.astype(np.int16) - np.median(pixels.reshape(-1, 3), axis=0)).max(axis=-1)
    return int((far > 24).sum()) < 20


def grey(pixels, width, height):
    """u8 [height, width]: mean grey of the cells of a grid over the view."""
    return np.asarray(Image.fromarray(pixels).convert('L').resize((width, height), Image.BOX))


def encode(im, box):
    """How, and the PNG: the box (or all) scaled down to SIDE on the long side, over white."""
    size = (box[2] - box[0], box[3] - box[1]) if box else im.size
    scale = min(1, SIDE / max(size))
    im = over_white(im, tuple(max(1, round(s * scale)) for s in size), box)
    buffer = io.BytesIO()
    im.save(buffer, 'PNG', compress_level=6, optimize=False)
    return ('cut' if box else 'scaled'), buffer.getvalue()


def store(task):
    """Decodes one image, writes its stored form; returns (why not, how, sha256 of the view, hash, grey)."""
    image, path = task
    if isinstance(image, str):
        with open(image, 'rb') as f:
            image = f.read()
    try:
        im = Image.open(io.BytesIO(image))
        if im.width * im.height > MAX_PIXELS:
            return 'more than 100 megapixels', '', '', 0, None
        if max(im.size) < SMALLEST:
            return f'under {SMALLEST} pixels', '', '', 0, None
        small_png = im.format == 'PNG' and max(im.size) <= SIDE
        full = premultiplied(im)
        # Means of factor x factor pixels: what looks at the whole picture needs no more than 4 SIDE.
        factor = max(1, max(im.size) // (4 * SIDE))
        quick = full.reduce(factor) if factor > 1 else full
        box = content(quick)
        if box:
            box = tuple(min(b * factor, limit) for b, limit in zip(box, im.size * 2))
        how, data = ('copied', image) if small_png and not box else encode(full if box else quick, box)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as e:
        return 'does not decode', str(e), '', 0, None
    pixels = view(Image.open(io.BytesIO(data)))
    if blank(pixels):
        return 'blank over white', '', '', 0, None
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'wb') as f:
        f.write(data)
    return '', how, hashlib.sha256(pixels.tobytes()).hexdigest(), concepts.dhash(grey(pixels, 9, 8)), grey(pixels, 32, 32)


def merge_equal(records, out):
    """One record a picture: records with equal views give their captions to the first of them."""
    kept, first = [], {}
    for r in records:
        other = first.setdefault(r['view'], r)
        if other is r:
            r['stems'] = [r['stem']]
            kept.append(r)
        else:
            other['captions'] = sources.cap.unique(other['captions'] + r['captions'])
            other['stems'].append(r['stem'])
            if os.path.exists(r['file']):       # not where both are links to one file
                os.remove(r['file'])
            out[f"{r['source']}: same picture as another, captions joined to it"] += 1
    return kept


def group(records):
    """Concepts of the records and how many joins each rule made."""
    union, joins = concepts.Union(len(records)), {}
    joins['equal caption'] = union.join_equal([[sources.cap.normal(c) for c in r['captions']] for r in records])
    joins['equal file stem'] = union.join_equal([[s for s in r['stems'] if s] for r in records])
    near = concepts.hash_pairs([r['hash'] for r in records], [r['grey'] for r in records])
    joins['difference hash'] = sum(union.join(i, j) for i, j in near)
    return union.components(), joins


def ask_once(records, out):
    """In val and test, one picture of each name: 28 drawings called "Blue Man" are one question asked 28
    times, and whoever gets it right by luck gains four points of recall. Train keeps them all."""
    seen = set()
    for r in records:
        name = (r['split'], captions.normal(r['captions'][0]))
        if r['split'] != 'train' and name in seen:
            out[f"{r['split']}: named as another picture there"] += 1
            r['split'] = 'none'
            os.unlink(r['file'])
        seen.add(name)


def audit(records, components, joins, out):
    """The report's lines."""
    yield 'left out:'
    yield from (f'  {n:6d}  {why}' for why, n in sorted(out.items()) if n)
    how = collections.Counter(r['how'] for r in records)
    yield f"images: {how['copied']} PNG of at most {SIDE} pixels copied byte for byte; {how['scaled']} scaled " \
          f"to {SIDE} pixels on the long side, over white; {how['cut']} cut out of a mostly empty page first"
    yield 'records:      ' + ''.join(f'{s:>8}' for s in (*SPLITS, 'all'))
    for source in ('emoji', 'stamps', 'clip-art', ''):
        counts = [sum(r['split'] == s and r['source'].startswith(source) for r in records) for s in SPLITS]
        yield f"  {source or 'all':12}" + ''.join(f'{n:8d}' for n in (*counts, sum(counts)))
    written = [r for r in records if r['split'] in SPLITS]
    texts = sum(len(r['captions']) for r in written)
    yield f'captions: {texts}, {texts / len(written):.2f} a record'
    yield 'joins: ' + ', '.join(f'{n} by {rule}' for rule, n in joins.items())
    yield f'concepts: {len(components)}; component size: components (records)'
    bounds = (1, 2, 3, 5, 9, 17, 33, 65, 129, 1 << 30)
    for low, high in zip(bounds, bounds[1:]):
        sizes = [len(c) for c in components if low <= len(c) < high]
        name = str(low) if high == low + 1 else f'{low}-{high - 1}' if high < 1 << 30 else f'{low}-'
        yield f'  {name:>8}: {len(sizes)} ({sum(sizes)})'
    yield 'largest components:'
    for members in sorted(components, key=lambda c: (-len(c), c[0]))[:12]:
        step = max(1, len(members) // 6)
        sample = [records[m]['captions'][0] for m in members[::step][:6]]
        yield f"  {len(members):5d} {records[members[0]]['split']:5}  {' | '.join(sample)}"


def prepare(state, work, jobs):
    """Everything below the folder `work`; returns the report."""
    out = collections.Counter()
    root = os.path.join(state, 'root')
    with multiprocessing.Pool(jobs) as pool:
        run = lambda function, tasks: list(pool.imap(function, tasks, chunksize=8))
        records = sources.emoji(root, out) + sources.stamps(root, out) + sources.clipart(root, out, run)
        for r in records:
            # A shard's keys have no '.' in their last part; they are made of these names.
            r['name'] = 'images/' + r['key'].replace('+', 'plus').replace('.', '_') + '.png'
            r['file'] = os.path.join(work, r['name'])
        records.sort(key=lambda r: r['key'])
        if len({r['name'] for r in records}) != len(records):
            sys.exit('pairs.py: two pictures would have one name')
        # Over a thousand of the archive's files are links to one another; each picture is decoded once.
        for r in records:
            if isinstance(r['image'], str):
                r['image'] = os.path.realpath(r['image'])
        first = {}
        for r in records:
            first.setdefault(r['image'], r['file'])
        stored = dict(zip(first, run(store, list(first.items()))))
        for r in records:
            why, r['how'], r['view'], r['hash'], r['grey'] = stored[r['image']]
            if why or not r['captions']:
                out[f"{r['source']}: {why or 'no caption'}"] += 1
                r['view'] = ''
    found = len(records)
    records = merge_equal([r for r in records if r['view']], out)
    components, joins = group(records)
    for members in components:
        for m in members:
            records[m]['split'] = concepts.split_of(records[members[0]]['key'])
    ask_once(records, out)
    for split in SPLITS:
        with open(os.path.join(work, split + '.tsv'), 'w', encoding='utf-8', newline='\n') as f:
            for r in records:
                if r['split'] == split:
                    f.write('\t'.join([r['name'], *r['captions']]) + '\n')
    report = [f'{found} pictures with a caption found, {sum(r["split"] in SPLITS for r in records)} records written',
              *audit(records, components, joins, out)]
    with open(os.path.join(work, 'audit.txt'), 'w', encoding='utf-8') as f:
        f.write('\n'.join(report) + '\n')
    return report


def main():
    if len(sys.argv) != 3:
        sys.exit('usage: pairs.py STATE_DIR OUT_DIR')
    state, target = sys.argv[1], sys.argv[2].rstrip('/')
    if not os.path.isdir(os.path.join(state, 'root')):
        sys.exit(f'pairs.py: {state}: no root folder; run fetch.sh {state} first')
    if os.path.exists(target) and os.listdir(target) and not os.path.exists(os.path.join(target, 'audit.txt')):
        sys.exit(f'pairs.py: {target}: not empty, and not made by this program')
    began, work = time.monotonic(), target + '.tmp'
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work)
    report = prepare(state, work, min(8, len(os.sched_getaffinity(0))))
    shutil.rmtree(target, ignore_errors=True)
    os.rename(work, target)
    print('\n'.join(report))
    print(f'pairs.py: {time.monotonic() - began:.1f} s', file=sys.stderr)


if __name__ == '__main__':
    main()
