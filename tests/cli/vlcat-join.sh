#!/bin/bash
# SPDX-License-Identifier: MIT
# vlcat-join.sh -- members of sidecars by key: streamed in order, by a temporary file out of order; parents.
. "$(dirname "$0")/lib.sh"
id_of() { vlls --check "$1" | cut -f 5; }
python3 "$TOP/tests/data/make_pairs.py" 12 >pairs.tsv
vlpack -q --split train -o pairs.tar.zst pairs.tsv
vlembed -q -o text.tar.zst pairs.tar.zst
vlembed -q --text-model none --image-model convnet:4x1#seed=1 --size 16 --embed-dim 8 -o image.tar.zst pairs.tar.zst
mkdir tmp
TMPDIR=$PWD/tmp
export TMPDIR
unpack() { mkdir "$2" && zstd -dcq "$1" | tar -xf - -C "$2" && rm -r "$2/__vl__"; }

# one sidecar, two of them; what comes out is what all of them unpack to
run 0 vlcat -v --join text.tar.zst -o one.tar.zst pairs.tar.zst
err_is 'vlcat: 12 of 12 records, 1 file'
run 0 vlls one.tar.zst
ok 'every record has it' test "$(grep -c ' hash768.txt.npy=' "$OUT")" -eq 12
run 0 vlcat -q --join text.tar.zst --join image.tar.zst -o two.tar.zst pairs.tar.zst
unpack two.tar.zst two
unpack pairs.tar.zst apart
zstd -dcq text.tar.zst image.tar.zst | tar -xf - -C apart
rm -r apart/__vl__
ok 'nothing but what there was' diff -r two apart
run 0 vlls --manifest --json two.tar.zst
out_like "\"parents\":\[\{\"content_id\":\"$(id_of pairs.tar.zst)\",\"kind\":\"pairs\"\},\{\"content_id\":\"$(id_of text.tar.zst)\",\"kind\":\"embeddings\"\},\{\"content_id\":\"$(id_of image.tar.zst)\",\"kind\":\"embeddings\"\}\]"
out_like '"joined":\[\{"kind":"embeddings".*"text_model":"hash:768".*\},\{.*"image_model"'
out_like '"schema":\{"convnet-4x1-seed[0-9]+.img.npy":.*"hash768.txt.npy":.*"jpg":.*"png":'
out_like '"kind":"pairs".*"split":"train"'

# from pipes, wherever they stand
run 0 sh -c 'cat pairs.tar.zst | vlcat -q --join text.tar.zst -o p.tar.zst -'
same one.tar.zst p.tar.zst
run 0 sh -c 'cat text.tar.zst | vlcat -q --join - -o p.tar.zst pairs.tar.zst'
same one.tar.zst p.tar.zst
run 2 vlcat --join - -
err_like 'standard input \(-\) is named 2 times'

# another order: the same records; the temporary file is said with -v
run 0 vlcat -q --shuffle 3 -o shuffled.tar.zst text.tar.zst
run 0 vlcat -v --join shuffled.tar.zst -o s.tar.zst pairs.tar.zst
err_like "^vlcat: shuffled.tar.zst: in another order from 'images/img-[0-9]+' on; the rest of it was kept in a temporary file$"
ok 'the same content' test "$(id_of s.tar.zst)" = "$(id_of one.tar.zst)"
absent 'tmp/*'
run 1 env TMPDIR=/nowhere vlcat --join shuffled.tar.zst -o no.tar.zst pairs.tar.zst
err_is 'vlcat: pairs.tar.zst: temporary copy in /nowhere: No such file or directory'

# cut otherwise: lists on both sides
vlcat -q --shard-records 5 -o e-%d.tar.zst text.tar.zst
vlcat -q --shard-records 4 -o p-%d.tar.zst pairs.tar.zst
cat e-?.tar.zst >e.tar.zst
run 0 vlcat -q --any-parent --join 'e-{0..2}.tar.zst' -o l.tar.zst 'p-{0..2}.tar.zst'
ok 'the same content' test "$(id_of l.tar.zst)" = "$(id_of one.tar.zst)"
run 0 vlcat -q --any-parent --join e.tar.zst -o l2.tar.zst 'p-{0..2}.tar.zst'
ok 'the same content' test "$(id_of l2.tar.zst)" = "$(id_of one.tar.zst)"
run 0 vlcat -q --any-parent --join e.tar.zst --reseal -o l3.tar.zst 'p-{0..2}.tar.zst'
ok 'the same content in one segment' test "$(id_of l3.tar.zst)" = "$(id_of one.tar.zst)"
run 0 vlcat -q --join text.tar.zst --shard-records 7 -o q-%d.tar.zst pairs.tar.zst
run 0 vlcat -q --reseal -o l4.tar.zst 'q-{0..1}.tar.zst'
same one.tar.zst l4.tar.zst

# fewer records: what is not asked for is counted; a slice of what the sidecar was made from is known as such
run 0 vlcat --range 3:6 --join text.tar.zst -o few.tar.zst pairs.tar.zst
err_is 'vlcat: text.tar.zst: 9 records were not asked for
vlcat: 3 of 12 records, 1 file'
vlcat -q --range 3:6 -o slice.tar.zst pairs.tar.zst
run 0 vlcat -q --join text.tar.zst -o few2.tar.zst slice.tar.zst
ok 'the same content' test "$(id_of few2.tar.zst)" = "$(id_of few.tar.zst)"

# what does not fit
bad() {
    message=$1
    shift
    run 1 vlcat -o no.tar.zst "$@"
    err_is "vlcat: $message"
    absent 'no.tar.zst*' 'tmp/*'
}
head -n 11 pairs.tsv >eleven.tsv
vlpack -q -o eleven.tar.zst eleven.tsv
vlembed -q -o text11.tar.zst eleven.tar.zst
bad 'text11.tar.zst: was not made from pairs.tar.zst, nor from what that was made from' --join text11.tar.zst --head 11 pairs.tar.zst
bad "pairs.tar.zst: record 'images/img-00011': is not in text11.tar.zst" --any-parent --join text11.tar.zst pairs.tar.zst
run 0 vlcat -q --any-parent --join text11.tar.zst --head 11 -o any.tar.zst pairs.tar.zst
bad "pairs.tar.zst: record 'images/img-00000': extension 'hash768.txt.npy' is there twice" --join text.tar.zst --join text.tar.zst pairs.tar.zst
run 0 vlcat -q --rename hash768.txt.npy=other.txt.npy -o other.tar.zst text.tar.zst
run 0 vlcat -q --join text.tar.zst --join other.tar.zst --any-parent -o both.tar.zst pairs.tar.zst
cat pairs.tar.zst image.tar.zst >mixed.tar.zst
bad 'mixed.tar.zst: records of kinds pairs and embeddings: which are joined?' --join text.tar.zst mixed.tar.zst
run 0 vlcat -q --kind pairs --join text.tar.zst -o kind.tar.zst mixed.tar.zst
ok 'the same content' test "$(id_of kind.tar.zst)" = "$(id_of one.tar.zst)"
cat text.tar.zst image.tar.zst >two-models.tar.zst
bad "two-models.tar.zst: segments that differ in 'schema' cannot become one" --join two-models.tar.zst pairs.tar.zst
bad "text.tar.zst, image.tar.zst: segments that differ in 'schema' cannot become one" --join '{text,image}.tar.zst' pairs.tar.zst
bad 'gone.tar.zst: open: No such file or directory' --join gone.tar.zst pairs.tar.zst
head -c 900 text.tar.zst >cut.tar.zst
bad 'cut.tar.zst: truncated: no seek table, file ends at byte 900' --join cut.tar.zst pairs.tar.zst
cp text.tar.zst flip.tar.zst
printf '\377' | dd of=flip.tar.zst bs=1 seek=1500 conv=notrunc 2>/dev/null
run 1 vlcat --join flip.tar.zst -o no.tar.zst pairs.tar.zst
err_like '^vlcat: pairs.tar.zst: flip.tar.zst: frame [0-9]+ '
absent 'no.tar.zst*'
