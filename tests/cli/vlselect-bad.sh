#!/bin/bash
# SPDX-License-Identifier: MIT
# vlselect-bad.sh -- bad input, wrong options, a failing system: one clear line, nothing partial left.
. "$(dirname "$0")/lib.sh"
MK=$BIN/../tests/mk_shard

python3 "$TOP/tests/data/make_pairs.py" 12 >pairs.tsv
vlpack -q -o pairs.tar.zst pairs.tsv
head -n 11 pairs.tsv >eleven.tsv
vlpack -q -o eleven.tar.zst eleven.tsv
vlembed -q -o emb.tar.zst pairs.tar.zst
vlembed -q -o emb11.tar.zst eleven.tar.zst
size=$(stat -c %s emb.tar.zst)
head -c $((size - 9)) emb.tar.zst >cut.tar.zst
"$MK" trajectory.tar.zst -k trajectory
mkdir tmp
TMPDIR=$PWD/tmp
export TMPDIR

# bad 'message' OPERANDS...: exit 1, that one line, no output, no temporary file
bad() {
    message=$1
    shift
    run 1 vlselect -n 5 -o out.tar.zst "$@"
    err_is "vlselect: $message"
    absent 'out.tar.zst*' 'tmp/*'
    run 1 vlselect -n 5 "$@"
    err_is "vlselect: $message"
    ok 'nothing on standard output' test ! -s "$OUT"
}
k='--method k-center'
# shellcheck disable=SC2086
{
    bad "cut.tar.zst: truncated: no seek table, file ends at byte $((size - 9))" pairs.tar.zst cut.tar.zst
    bad 'gone.tar.zst: open: No such file or directory' pairs.tar.zst gone.tar.zst
    bad '.: is a folder' .
    bad 'trajectory.tar.zst: no records of pairs or embeddings' trajectory.tar.zst
    bad 'pairs.tar.zst: 13 records asked for, there are 12' -n 13 pairs.tar.zst
    bad 'pairs.tar.zst and the others: 13 records asked for, there are 12' -n 13 pairs.tar.zst emb.tar.zst
    bad "pairs.tar.zst: record 'images/img-00000': was in pairs.tar.zst already" pairs.tar.zst pairs.tar.zst
    bad "emb.tar.zst: record 'images/img-00011': an embedding without a pair" eleven.tar.zst emb.tar.zst
    bad 'no image embeddings (*.img.npy) in any shard' $k pairs.tar.zst
    bad 'no image embeddings (*.img.npy) in any shard' $k --joint sum pairs.tar.zst emb.tar.zst
    bad 'no text embeddings (bert.txt.npy) in any shard' $k --joint text --text bert.txt.npy pairs.tar.zst emb.tar.zst
    bad "record 'images/img-00011': no text embedding (hash768.txt.npy) in any shard" $k pairs.tar.zst emb11.tar.zst
    vlembed -q --text-model hash7 -o hash7.tar.zst pairs.tar.zst
    bad "hash7.tar.zst: record 'images/img-00000': rows of two models, hash768.txt.npy and hash7.txt.npy: which?" \
        $k pairs.tar.zst emb.tar.zst hash7.tar.zst
}
run 0 vlselect -q -n 5 --method k-center --text hash768.txt.npy pairs.tar.zst emb.tar.zst
run 1 bash -c "head -c $((size - 9)) emb.tar.zst | vlselect -n 5 -o out.tar.zst -"
err_like '^vlselect: standard input: truncated: no seek table, '
absent 'out.tar.zst*' 'tmp/*'

misuse() {
    message=$1
    shift
    run 2 vlselect -o out.tar.zst "$@"
    err_is "vlselect: $message
try 'vlselect --help'"
    absent 'out.tar.zst*'
}
misuse '-n N must be given: how many records to keep' pairs.tar.zst
misuse '--joint, --image, --text: --method random looks at no features' -n 3 --joint text pairs.tar.zst
run 2 vlselect -n 0 pairs.tar.zst
run 2 vlselect -n 3 --method best pairs.tar.zst
run 2 vlselect -n 3
run 2 vlselect -n 3 - -

# a full disk, a limit, no room for the copy of a pipe
run 1 vlselect -n 5 -o /dev/full pairs.tar.zst
err_like '^vlselect: /dev/full: .*No space left on device$'
run 1 bash -c 'ulimit -f 1 && vlselect -n 12 -o out.tar.zst emb.tar.zst'
err_like '^vlselect: out.tar.zst.*File too large$'
absent 'out.tar.zst*'
run 1 bash -c 'ulimit -f 1 && cat emb.tar.zst | vlselect -n 1 - >/dev/null'
err_is "vlselect: standard input: temporary copy in $TMPDIR: File too large"
run 1 bash -c 'cat emb.tar.zst | TMPDIR=/nowhere vlselect -n 1 - '
err_is 'vlselect: standard input: temporary copy in /nowhere: No such file or directory'
absent 'tmp/*'
