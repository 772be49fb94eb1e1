#!/bin/sh
# SPDX-License-Identifier: MIT
# vlembed-basic.sh -- a sidecar of the pairs: same keys, same order, equal bytes every way; what is inside.
. "$(dirname "$0")/lib.sh"
PATH=$PATH:${BIN%/bin}/data

mkdir img
i=0
while [ $i -lt 150 ]; do # more than two batches
    mkimage png $((20 + i % 9)) 24 $i >img/p$i.png
    printf 'img/p%s.png\tpicture %s' $i $i
    [ $((i % 3)) -ne 0 ] || printf '\tthe same, again'
    echo
    i=$((i + 1))
done >pairs.tsv
vlpack -q -o pairs.tar.zst pairs.tsv
convnet='--image-model convnet:8x2#seed=5 --size 16 --embed-dim 12'
keys() { vlls "$1" | cut -f 1; }

run 0 vlembed -o text.tar.zst pairs.tar.zst
err_is 'vlembed: 150 records embedded, 200 captions'
out_is ''
absent '*.tmp*'
run 0 vlls --check text.tar.zst
out_like '	ok	embeddings	segments=1 records=150 '
keys pairs.tar.zst >want
keys text.tar.zst >got
same want got
run 0 vlls text.tar.zst
out_like '^img/p0	6272	hash768.txt.npy=6272$'
out_like '^img/p1	3200	hash768.txt.npy=3200$'
# no floats through BLAS: nothing in it depends on the processor
run 0 vlls --manifest text.tar.zst
out_unlike '"blas"'
out_like '"image_model":"none"'
out_like '"hash768.txt.npy":\{"dtype":"<f4","model":"hash:768","shape":\["C",768\],"type":"npy"\}'

# shellcheck disable=SC2086
{
    run 0 vlembed -q -j1 $convnet -o a.tar.zst pairs.tar.zst
    err_is ''
    run 0 vlembed -q -j4 $convnet -o b.tar.zst pairs.tar.zst
    same a.tar.zst b.tar.zst
    run 0 sh -c "cat pairs.tar.zst | vlembed -j3 $convnet - | cat >c.tar.zst"
    same a.tar.zst c.tar.zst
    run 0 vlembed -q $convnet pairs.tar.zst
    same a.tar.zst "$OUT"
}
run 0 vlls a.tar.zst
out_like '^img/p0	6448	convnet-8x2-seed5.img.npy=176 hash768.txt.npy=6272$'
run 0 vlls --manifest a.tar.zst
out_like '"blas":"[A-Za-z0-9]+"'
out_like '"image_model":"convnet:8x2#seed=5","size":16,"text_model":"hash:768"'
out_like '"convnet-8x2-seed5.img.npy":\{"dtype":"<f4","model":"convnet:8x2#seed=5","shape":\["V",12\]'
out_unlike 'pairs.tar'

# the rows themselves: the seed decides, the text rows are those of the text alone
mkdir x y z
zstd -dcq a.tar.zst | tar -xf - -C x
zstd -dcq text.tar.zst | tar -xf - -C y
same x/img/p77.hash768.txt.npy y/img/p77.hash768.txt.npy
no 'two images differ' cmp -s x/img/p7.convnet-8x2-seed5.img.npy x/img/p8.convnet-8x2-seed5.img.npy
ok 'xxhsum agrees with the sums' sh -c 'cd x && xxhsum -qc __vl__/.sums.*'
ok 'bsdtar lists it' sh -c 'bsdtar -tf a.tar.zst | grep -qx img/p149.hash768.txt.npy'
run 0 vlembed -q --text-model none --image-model convnet:8x2#seed=6 --size 16 --embed-dim 12 -o s.tar.zst pairs.tar.zst
zstd -dcq s.tar.zst | tar -xf - -C z
ok 'no text rows' sh -c '! ls z/img | grep -q txt'
no 'another seed, other rows' cmp -s x/img/p7.convnet-8x2-seed5.img.npy z/img/p7.convnet-8x2-seed6.img.npy
ok 'a row of unit norm' python3 -c '
import struct
raw = open("x/img/p7.convnet-8x2-seed5.img.npy", "rb").read()[-48:]
assert abs(sum(v * v for v in struct.unpack("<12f", raw)) - 1) < 1e-5'

# hash768 and hash:768 are one name; other sizes are other members
run 0 vlembed -q --text-model hash:768 -o t2.tar.zst pairs.tar.zst
same text.tar.zst t2.tar.zst
run 0 vlembed -q --text-model hash32 -o t3.tar.zst pairs.tar.zst
run 0 vlls t3.tar.zst
out_like '^img/p1	256	hash32.txt.npy=256$'

# parents: what was read, in order; several shards are one stream
head -n 40 pairs.tsv >one.tsv
sed 1,40d pairs.tsv >two.tsv
vlpack -q -o one.tar.zst one.tsv
vlpack -q -o two.tar.zst two.tsv
run 0 vlembed -q -o both.tar.zst one.tar.zst two.tar.zst
run 0 vlls --check one.tar.zst
one=$(cut -f 5 "$OUT")
run 0 vlls --check two.tar.zst
two=$(cut -f 5 "$OUT")
run 0 vlls --manifest --json both.tar.zst
out_like "\"parents\":\[\{\"content_id\":\"$one\",\"kind\":\"pairs\"\},\{\"content_id\":\"$two\",\"kind\":\"pairs\"\}\]"
mkdir w
zstd -dcq both.tar.zst | tar -xf - -C w
ok 'the same members' sh -c 'cd w && for f in img/*; do cmp "$f" "../y/$f" || exit 1; done'
keys both.tar.zst >got
same want got
run 0 sh -c 'cat one.tar.zst two.tar.zst | vlembed -q - >cat.tar.zst'
run 0 vlls --check cat.tar.zst
out_like 'records=150 '

# embeddings among the pairs are passed over
run 0 sh -c 'cat one.tar.zst text.tar.zst | vlembed -q - | vlls --check -'
out_like 'records=40 '

run 0 vlembed -q --run-log log.json -o l.tar.zst pairs.tar.zst
ok 'the log says what was done' grep -q '"event": "end".*"records": 150, "captions": 200' log.json

# weights of a snapshot: sizes come with them, the shard they lie in is a parent
run 0 vltrain-expert -q -n 1 -e 1 --size 16 --embed-dim 10 --model convnet:8x2 -o experts.tar.zst pairs.tar.zst text.tar.zst
for snap in 0000 0001; do
    run 0 vlembed -q --image-model "convnet:8x2@experts.tar.zst#expert-0000/snap-$snap" -o snap-$snap.tar.zst pairs.tar.zst
    run 0 vlls snap-$snap.tar.zst
    out_like "^img/p1	[0-9]+	convnet-8x2-expert-0000-snap-$snap.img.npy=168 hash768.txt.npy=3200\$"
done
mkdir v
for snap in 0000 0001; do zstd -dcq snap-$snap.tar.zst | tar -xf - -C v; done
no 'training changed the rows' cmp -s v/img/p1.convnet-8x2-expert-0000-snap-000*.img.npy
id=$(vlls --check experts.tar.zst | cut -f 5)
run 0 vlls --manifest --json snap-0001.tar.zst
out_like "\"image_model\":\"convnet:8x2@$id#expert-0000/snap-0001\",\"size\":16"
out_like "\"parents\":\[\{\"content_id\":\"$id\",\"kind\":\"trajectory\"\},\{\"content_id\":\"[0-9a-f]{64}\",\"kind\":\"pairs\"\}\]"
out_unlike 'experts\.tar'
mv experts.tar.zst elsewhere.tar.zst
run 0 vlembed -q --image-model 'convnet:8x2@elsewhere.tar.zst#expert-0000/snap-0001' -o moved.tar.zst pairs.tar.zst
same snap-0001.tar.zst moved.tar.zst
