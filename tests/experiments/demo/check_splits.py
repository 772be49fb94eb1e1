#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""check_splits.py OUT_DIR -- asserts on the written files that no caption and no picture crosses splits.

Captions are compared in normal form, pictures decoded to 64 pixels. Also: every row has an image that
is there and a caption, no picture stands twice, and images/ holds nothing that no row names."""
import os
import sys
import zlib

from PIL import Image

sys.dont_write_bytecode = True
import captions
import pairs


def rows(folder, split):
    """(path, captions) of the rows of a split; raises ValueError on a row that is not one."""
    with open(os.path.join(folder, split + '.tsv'), encoding='utf-8') as f:
        for number, line in enumerate(f):
            path, *texts = line.rstrip('\n').split('\t')
            if not texts or not all(t.strip() for t in texts) or not path.startswith('images/'):
                raise ValueError(f'{split}.tsv: row {number}: no path or an empty caption')
            yield path, texts


def crossings(folder):
    """Complaints, one a line."""
    captions_of, views, paths = {}, {}, set()
    for split in pairs.SPLITS:
        for path, texts in rows(folder, split):
            if path in paths:
                yield f'{path}: named twice'
            paths.add(path)
            with Image.open(os.path.join(folder, path)) as im:
                pixels = pairs.view(im).tobytes()
            other, first = views.setdefault(pixels, (split, path))
            if first != path:
                yield f'{path} ({split}): the same picture as {first} ({other})'
            for text in texts:
                normal = captions.normal(text)
                if not normal:
                    yield f'{path}: caption without a word: {text}'
                other, first = captions_of.setdefault(normal, (split, path))
                if other != split:
                    yield f'{path} ({split}): caption in common with {first} ({other}): {text}'
    for base, _, names in os.walk(os.path.join(folder, 'images')):
        for name in names:
            path = os.path.relpath(os.path.join(base, name), folder)
            if path not in paths:
                yield f'{path}: in no split'
    for split in pairs.SPLITS:
        if not any(o == split for o, _ in captions_of.values()):
            yield f'{split}.tsv: empty'


def main():
    if len(sys.argv) != 2:
        sys.exit('usage: check_splits.py OUT_DIR')
    try:
        found = list(crossings(sys.argv[1]))
    except (OSError, ValueError, SyntaxError, zlib.error) as e:
        sys.exit(f'check_splits.py: {e}')
    for line in found[:20]:
        print(f'check_splits.py: {line}', file=sys.stderr)
    if found:
        sys.exit(f'check_splits.py: {len(found)} faults')
    print('check_splits.py: no caption and no picture crosses splits')


if __name__ == '__main__':
    main()
