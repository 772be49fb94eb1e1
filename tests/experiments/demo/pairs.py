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
from PIL import Image

import concepts
import sources

SIDE = 128              # longest side that is stored
VIEW = 64               # side of the square that pictures are compared at
SMALLEST = 16           # longest side below which nothing can be made out
MAX_PIXELS = 100_000_000
SPLITS = ('train', 'val', 'test')
Image.MAX_IMAGE_PIXELS = None   # our own limit is checked on the header, before anything is decoded


def over_white(im, size=None):
    """RGB of any PNG, alpha over white; scaled with premultiplied alpha, so that no hidden colour bleeds."""
    if im.mode.startswith('I'):
        im = Image.fromarray((np.asarray(im).astype(np.uint32) >> 8).astype(np.uint8))
    plain = im.mode in ('L', 'RGB') and 'transparency' not in im.info
    im = im.convert('RGB') if plain else im.convert('RGBA').convert('RGBa')
    if size and size != im.size:
        im = im.resize(size, Image.LANCZOS, reducing_gap=3.0)
    if plain:
        return im
    im = im.convert('RGBA')
    white = Image.new('RGBA', im.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, im).convert('RGB')


def view(im):
    """u8 [64, 64, 3]: over white, padded with white to a square, antialiased."""
    scale = VIEW / max(im.size)
    size = tuple(max(1, round(s * scale)) for s in im.size)
    im = over_white(im, size)
    square = Image.new('RGB', (VIEW, VIEW), (255, 255, 255))
    square.paste(im, ((VIEW - size[0]) // 2, (VIEW - size[1]) // 2))
    return np.asarray(square)


def blank(pixels):
    """True if under 20 of the 4096 pixels differ visibly from the commonest grey: nothing is to be seen."""
    far = np.abs(pixels.astype(np.int16) - np.median(pixels.reshape(-1, 3), axis=0)).max(axis=-1)
    return int((far > 24).sum()) < 20


def grey_grid(pixels):
    """The 9 x 8 grid of mean grey that the difference hash reads; in 1/256 so that ties stay ties."""
    return np.asarray(Image.fromarray(pixels).convert('L').resize((9, 8), Image.BOX), dtype=np.int32)


def store(task):
    """Decodes one image, writes its stored form; returns (why not, how, sha256 of the view, hash)."""
    image, path = task
    if isinstance(image, str):
        with open(image, 'rb') as f:
            image = f.read()
    try:
        im = Image.open(io.BytesIO(image))
        if im.width * im.height > MAX_PIXELS:
            return 'more than 100 megapixels', '', '', 0
        if max(im.size) < SMALLEST:
            return f'under {SMALLEST} pixels', '', '', 0
        if im.format == 'PNG' and max(im.size) <= SIDE:
            how, data = 'copied', image
            im.load()
        else:
            scale = SIDE / max(im.size)
            how, small = 'scaled', tuple(max(1, round(s * min(scale, 1))) for s in im.size)
            im = over_white(im, small)
            buffer = io.BytesIO()
            im.save(buffer, 'PNG', compress_level=6, optimize=False)
            data = buffer.getvalue()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as e:
        return 'does not decode', str(e), '', 0
    pixels = view(im)
    if blank(pixels):
        return 'blank over white', '', '', 0
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'wb') as f:
        f.write(data)
    return '', how, hashlib.sha256(pixels.tobytes()).hexdigest(), concepts.dhash(grey_grid(pixels))


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
            os.remove(r['file'])
            out[f"{r['source']}: same picture as another, captions joined to it"] += 1
    return kept


def group(records):
    """Concepts of the records and how many joins each rule made."""
    union, joins = concepts.Union(len(records)), {}
    joins['equal caption'] = union.join_equal([[sources.cap.normal(c) for c in r['captions']] for r in records])
    joins['equal file stem'] = union.join_equal([[s for s in r['stems'] if s] for r in records])
    joins['difference hash'] = sum(union.join(i, j) for i, j in concepts.hash_pairs([r['hash'] for r in records]))
    return union.components(), joins


def audit(records, components, joins, out):
    """The report's lines."""
    yield 'left out:'
    yield from (f'  {n:6d}  {why}' for why, n in sorted(out.items()) if n)
    how = collections.Counter(r['how'] for r in records)
    yield f"images: {how['copied']} PNG of at most {SIDE} pixels copied byte for byte, " \
          f"{how['scaled']} others scaled to {SIDE} pixels on the long side, over white"
    yield 'records:      ' + ''.join(f'{s:>8}' for s in (*SPLITS, 'all'))
    for source in ('emoji', 'stamps', 'clip-art', ''):
        counts = [sum(r['split'] == s and r['source'].startswith(source) for r in records) for s in SPLITS]
        yield f"  {source or 'all':12}" + ''.join(f'{n:8d}' for n in (*counts, sum(counts)))
    captions = sum(len(r['captions']) for r in records)
    yield f'captions: {captions}, {captions / len(records):.2f} a record'
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
            r['name'] = 'images/' + r['key'].replace('+', 'plus') + '.png'
            r['file'] = os.path.join(work, r['name'])
        records.sort(key=lambda r: r['key'])
        for r, (why, r['how'], r['view'], r['hash']) in zip(records, run(store, [(r['image'], r['file']) for r in records])):
            if why or not r['captions']:
                out[f"{r['source']}: {why or 'no caption'}"] += 1
                r['view'] = ''
    found = len(records)
    records = merge_equal([r for r in records if r['view']], out)
    components, joins = group(records)
    for members in components:
        for m in members:
            records[m]['split'] = concepts.split_of(records[members[0]]['key'])
    for split in SPLITS:
        with open(os.path.join(work, split + '.tsv'), 'w', encoding='utf-8', newline='\n') as f:
            for r in records:
                if r['split'] == split:
                    f.write('\t'.join([r['name'], *r['captions']]) + '\n')
    report = [f'{found} pictures with a caption found, {len(records)} records written',
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
