#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""make.py -- writes the vectors: shards that every version must read (good/) or refuse (bad/).

usage: make.py [--list] FOLDER     writes FOLDER/good, FOLDER/bad and FOLDER/signed.pub
       make.py --big NAME          writes a big one to standard output; names: make.py --big list

The bytes come from FORMAT.md alone (shardbytes.py), not from vlkit. Those with compressed blocks need the
zstd program, and its version 1.5.4 to be the committed ones. --list prints a line a file: name, bytes, and
what is good or bad about it. What readers must say of each file is in EXPECT.tsv.
"""
import os
import sys

import ed25519
import make_big
import make_bad
import make_good
import make_names
import make_tensors


def vectors():
    for name, data, why in make_good.vectors():
        yield 'good', name, data, why
    for name, data, why in make_tensors.good():
        yield 'good', name, data, why
    for group in (make_bad.vectors, make_names.vectors, make_tensors.bad_vectors):
        for name, data, why in group():
            yield 'bad', name, data, why


def main(args):
    if args[:1] == ['--big'] and len(args) == 2:
        return make_big.main(args[1])
    show = args[:1] == ['--list']
    if len(args) != 1 + show:
        sys.stderr.write(__doc__)
        return 2
    seen = set()
    for folder in ('good', 'bad'):
        os.makedirs(os.path.join(args[-1], folder), exist_ok=True)
    for verdict, name, data, why in vectors():
        path = '%s/%s' % (verdict, name)
        assert path not in seen, path
        seen.add(path)
        with open(os.path.join(args[-1], path), 'wb') as f:
            f.write(data)
        if show:
            print('%s\t%d\t%s' % (path, len(data), why))
    with open(os.path.join(args[-1], 'signed.pub'), 'wb') as f:
        f.write(ed25519.pem(ed25519.public(make_good.SEED)))
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
