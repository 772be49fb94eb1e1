#!/bin/bash
# SPDX-License-Identifier: MIT
# vlcat-plain.sh -- trajectories as chains of differences: copied as they are, expanded, and not parted.
. "$(dirname "$0")/lib.sh"
id_of() { vlls --check "$1" | cut -f 5; }
python3 "$TOP/tests/data/make_pairs.py" 12 >pairs.tsv
vlpack -q -o pairs.tar.zst pairs.tsv
"${BIN%/bin}/tests/mk_text" pairs.tar.zst emb.tar.zst
vltrain-expert -q -n 2 -e 3 --size 16 --model convnet:4x1 -o t.tar.zst pairs.tar.zst emb.tar.zst
vlls t.tar.zst >members
ok 'there are .vlt members' grep -q '\.vlt=' members

run 0 vlcat -q -o copy.tar.zst t.tar.zst
same t.tar.zst copy.tar.zst
run 0 vlcat -q --plain -o plain.tar.zst t.tar.zst
run 0 vlls plain.tar.zst
out_unlike '\.vlt='
ok 'as many members' test "$(tr ' ' '\n' <"$OUT" | grep -c '\.npy=')" -eq "$(tr ' ' '\n' <members | grep -c '\.vlt=')"
run 0 sh -c 'cat t.tar.zst | vlcat -q --plain -'
same plain.tar.zst "$OUT"
run 0 vlls --manifest plain.tar.zst
out_unlike '\.vlt"'
out_like '"image.head.bias.npy":\{[^}]*"type":"npy"'
out_like '"plain":true'

# one snapshot out of the middle; without --plain only from a keyframe on
run 0 vlcat -q --plain --key expert-0001/snap-0002 --bare -o w.npz t.tar.zst
run 0 vlcat -q --key expert-0001/snap-0002 --bare -o w2.npz plain.tar.zst
run 0 /usr/bin/python3 -c '
import numpy
a, b = numpy.load("w.npz"), numpy.load("w2.npz")
names = [n for n in a.files if n != "__vl__/manifest.json"]
assert len(names) >= 6 and all(a[n].tobytes() == b[n].tobytes() and a[n].dtype == "<f4" for n in names)
assert numpy.isfinite(a["image.head.weight"]).all() and a["image.head.weight"].std() > 0'
err_is ''
run 1 vlcat --key expert-0001/snap-0002 -o no.tar.zst t.tar.zst
err_like "^vlcat: t.tar.zst: record 'expert-0001/snap-0002': [a-z0-9.]+.vlt: is a difference to 'expert-0001/snap-0001.[a-z0-9.]+', which does not come before it then; --plain$"
run 1 vlcat --every 2 -o no.tar.zst t.tar.zst
run 1 vlcat --prefix x/ -o no.tar.zst t.tar.zst
run 1 vlcat --rename image.head.weight.vlt=w.vlt -o no.tar.zst t.tar.zst
absent 'no.tar.zst*'
run 0 vlcat -q --plain --prefix x/ -o x.tar.zst t.tar.zst
run 0 vlcat -q --key 'expert-0001/*' -o one.tar.zst t.tar.zst
ok 'an expert begins with a keyframe' test "$(vlls one.tar.zst | wc -l)" -eq 4
run 0 vlcat -q --head 3 -o head.tar.zst t.tar.zst
run 0 vlcat -q --drop '*.weight.vlt' -o bias.tar.zst t.tar.zst
run 0 vlcat -q --plain bias.tar.zst -o bias.plain.tar.zst
run 0 vlls bias.plain.tar.zst
out_like 'image.head.bias.npy='

# pieces and one segment keep the chain: what is put together expands to the same
run 0 vlcat -q --shard-records 3 -o p-%d.tar.zst t.tar.zst
run 0 vlcat -q --plain -o p.tar.zst 'p-{0..2}.tar.zst'
ok 'the same numbers' test "$(id_of p.tar.zst)" = "$(id_of plain.tar.zst)"
run 0 vlcat -q --reseal -o one.tar.zst t.tar.zst
run 0 vlls --check one.tar.zst
out_like '	segments=1 records=8 '
run 0 vlcat -q --plain -o one.plain.tar.zst one.tar.zst
ok 'the same numbers' test "$(id_of one.plain.tar.zst)" = "$(id_of plain.tar.zst)"
run 1 vlcat --plain -o no.tar.zst p-1.tar.zst
err_like "^vlcat: p-1.tar.zst: record 'expert-"
run 1 vlcat --shuffle 1 -o no.tar.zst t.tar.zst
err_is 'vlcat: t.tar.zst: records of kind trajectory have an order of their own'
absent 'no.tar.zst*'
