#!/bin/sh
# SPDX-License-Identifier: MIT
# vleval-bad.sh -- command lines that are wrong, inputs that do not fit together, disks that are full.
. "$(dirname "$0")/lib.sh"
PATH=$PATH:${BIN%/bin}/tests

python3 "$TOP/tests/data/make_pairs.py" 30 >all.tsv
sed -n 1,20p all.tsv >train.tsv
sed -n 21,30p all.tsv >val.tsv
for s in train val; do
    vlpack -q -o $s.tar.zst $s.tsv
    mk_text $s.tar.zst $s.emb.tar.zst 32
done
mk_text val.tar.zst val.emb40.tar.zst 40
mk_distilled -s 1 train.tar.zst train.emb.tar.zst a.tar.zst
mk_distilled -s 2 -n 6 train.tar.zst train.emb.tar.zst six.tar.zst
mk_distilled -s 2 -e 8 train.tar.zst train.emb.tar.zst narrow.tar.zst
mk_distilled -s 2 val.tar.zst val.emb.tar.zst stranger.tar.zst
val='--val val.tar.zst --val val.emb.tar.zst'
test='--test val.tar.zst --test val.emb.tar.zst'
train='--train train.tar.zst --train train.emb.tar.zst'
few='--epochs 2 --full-epochs 1 --draws 1 --students 1'
pair='train.tar.zst,train.emb.tar.zst'
ls >"$T_KEEP/before"

# Misuse: exit 2, one line and the way to help, nothing written.
misuse() { # MESSAGE ARGS...
    why=$1
    shift
    run 2 vleval -o t.tsv "$@"
    out_is ''
    err_is "vleval: $why
try 'vleval --help'"
}
# shellcheck disable=SC2086
{
    misuse '--val: validation data are needed, rates are chosen on them' $test a.tar.zst
    misuse '--test: test data are needed' $val a.tar.zst
    misuse "--grid: '0.1:0': positive numbers IMAGE:TEXT with commas between them wanted" $val $test --grid 0.1:0
    misuse "--grid: '0.1:1,': positive numbers IMAGE:TEXT with commas between them wanted" $val $test --grid 0.1:1,
    misuse '--grid: the argument is empty' $val $test --grid ''
    misuse "--multiples: '1;2': positive numbers IMAGE:TEXT with commas between them wanted" $val $test --multiples '1;2'
    misuse "--grid: 'nan:1': positive numbers IMAGE:TEXT with commas between them wanted" $val $test --grid nan:1
    misuse "--controls: 'rs2' is none of default, chance, random, initial, initial-rates, full, herding, k-center, k-means, density, cosine, forgetting, none" $val $test --controls rs2
    misuse '--controls herding: needs --train' $val $test --controls herding
    misuse "--controls: 'chance,' ends in a comma" $val $test --controls chance,
    misuse "--students: 'convnet' is neither a number nor a network like convnet:32x2" $val $test --students 3,convnet
    misuse "--students: two numbers, '4' is the second" $val $test --students 3,4
    misuse "--students: '0' is not a whole number from 1 to 1000" $val $test --students 0
    misuse "--students: '99999999999999999999' is not a whole number from 1 to 1000" $val $test --students 99999999999999999999
    misuse "--ablate: 'rate' is none of similarity, rates, text, images" $val $test --ablate rate
    misuse '--ablate: needs a distilled set' $val $test --ablate rates $pair
    misuse '--ablate text: needs --train, whose captions are the nearest ones' $val $test --ablate text a.tar.zst
    misuse '--ars: needs a distilled set and random pairs beside it (--train)' $val $test --ars a.tar.zst
    misuse '--ars: compares with and without the views of --augment, and that is none' $val $test $train --ars --augment none a.tar.zst
    misuse '--controls random: needs --train' $val $test --controls chance,random
    misuse '--controls initial: needs --train and a distilled set' $val $test $train --controls initial $pair
    misuse 'standard input (-) is named 2 times, it can be read once' --val - --test -
    misuse 'standard input can be read once' $val $test x=- y=train.tar.zst,-
    misuse "set 'a=,b': SHARD or NAME=SHARD[,SHARD...] wanted" $val $test a=,b
    misuse '--json and --report cannot share standard output' $val $test --json - --report - a.tar.zst
}
run 2 vleval --epochs 0
err_like '^vleval: --epochs'

# Data that do not fit: exit 1, one line that names them, nothing written.
refused() { # MESSAGE ARGS...
    why=$1
    shift
    # shellcheck disable=SC2086
    run 1 vleval -o t.tsv --json t.json --report t.html $few "$@"
    out_is ''
    err_is "vleval: $why"
}
# shellcheck disable=SC2086
{
    refused 'absent.tar.zst: open: No such file or directory' $val $test absent.tar.zst
    refused 'absent.tar.zst: open: No such file or directory' $val $test --train absent.tar.zst $pair
    refused 'six.tar.zst: 6 pairs; a.tar.zst has 8, and a table compares equal numbers' $val $test a.tar.zst six.tar.zst
    refused 'a.tar.zst and narrow.tar.zst: different networks or views' $val $test a.tar.zst narrow.tar.zst
    refused 'val.tar.zst: images of 16 pixels and texts of 40 numbers; the network has 16 and 32' \
        --val val.tar.zst --val val.emb40.tar.zst $test a.tar.zst
    refused '--size 32: the distilled set has images of 16 pixels' $val $test --size 32 a.tar.zst
    refused 'a random subset of 21 pairs: the training data have 20' $val $test $train --size 16 --pairs 21 \
        --controls random
    refused '--ablate similarity: a.tar.zst: the set carries no learned similarity that the identity could replace' \
        $val $test --ablate similarity a.tar.zst
    refused "--students: model 'convnet:8x9': convnet:WIDTHxLAYERS wanted, such as convnet:64x3, or vit:DIMxDEPTHxHEADS/PATCH" $val $test --students convnet:8x9 a.tar.zst
    refused "two rows would be called 'random-8': give a set another label, NAME=a.tar.zst" $val $test $train random=a.tar.zst
}
# shellcheck disable=SC2086
run 1 vleval -o t.tsv $val $test --size 16 --controls none
err_is 'vleval: nothing to measure: no set and no control'
# shellcheck disable=SC2086
run 1 vleval -o t.tsv $few $val $test $train stranger.tar.zst
err_like "^vleval: stranger.tar.zst: pair 0 started from record 'images/img-000[0-9]*', which the training data lack$"
# shellcheck disable=SC2086
run 1 sh -c "vleval -o t.tsv $few $val $test - <train.tar.zst"
err_like "^vleval: standard input: record 'images/img-00000': no text embedding"
head -c 3000 a.tar.zst >cut.tar.zst
# shellcheck disable=SC2086
run 1 vleval -o t.tsv $few $val $test cut.tar.zst
err_like '^vleval: cut.tar.zst: .*truncated'
rm cut.tar.zst

# Outputs that cannot be: said before anything is trained; a full disk at the end.
# shellcheck disable=SC2086
{
    run 1 vleval --epochs 100000 --students 1000 -o none/t.tsv $val $test a.tar.zst
    err_like '^vleval: none/t.tsv.*: No such file or directory$'
    run 1 vleval $few --json /dev/full $val $test a.tar.zst
    err_like '^vleval: /dev/full: .*No space left on device$'
    run 1 vleval $few --report /dev/full $val $test a.tar.zst
    err_like '^vleval: /dev/full: .*No space left on device$'
    run 1 sh -c "vleval $few $val $test a.tar.zst >/dev/full"
    err_is 'vleval: standard output: No space left on device'
    run 1 sh -c "ulimit -f 1; vleval $few -o t.tsv --report t.html $val $test a.tar.zst"
    err_like '^vleval: t\.(html|tsv).*: File too large$'
}
rm -f t.tsv
ls >"$T_KEEP/after"
same "$T_KEEP/before" "$T_KEEP/after"
absent '*.tmp*' t.json t.html
