#!/bin/sh
# SPDX-License-Identifier: MIT
# vlembed-bad.sh -- bad input, wrong names, a failing system: one clear line, nothing partial left.
. "$(dirname "$0")/lib.sh"
PATH=$PATH:${BIN%/bin}/data
MK=$BIN/../tests/mk_shard

mkdir img
for i in 0 1 2 3 4 5; do
    mkimage jpg 30 20 $i >img/$i.jpg
    printf 'img/%s.jpg\tpicture %s\n' $i $i
done >pairs.tsv
vlpack -q -o pairs.tar.zst pairs.tsv
size=$(stat -c %s pairs.tar.zst)

# bad 'message' OPERANDS...: exit 1, that one line, no output; to a file and to a pipe
bad() {
    message=$1
    shift
    run 1 vlembed -o out.tar.zst "$@"
    err_is "vlembed: $message"
    absent 'out.tar.zst*'
    run 1 vlembed "$@"
    err_is "vlembed: $message"
}
head -c $((size - 20)) pairs.tar.zst >cut.tar.zst
bad "cut.tar.zst: truncated: no seek table, file ends at byte $((size - 20))" cut.tar.zst
run 1 sh -c 'head -c 700 pairs.tar.zst | vlembed -'
err_is 'vlembed: standard input: truncated: no seek table, input ends at byte 700'
bad 'gone.tar.zst: open: No such file or directory' gone.tar.zst
bad 'gone.tar.zst: open: No such file or directory' pairs.tar.zst gone.tar.zst
run 1 vlembed pairs.tsv
err_like '^vlembed: pairs.tsv: '
vlembed -q -o emb.tar.zst pairs.tar.zst
bad 'emb.tar.zst: no records of pairs, its kind is embeddings' emb.tar.zst
bad "pairs.tar.zst: record 'img/0': the key is there twice" pairs.tar.zst pairs.tar.zst

# one flipped bit
cp pairs.tar.zst flip.tar.zst
at=$((size / 2))
byte=$(od -An -tu1 -j $at -N 1 flip.tar.zst)
printf "\\$(printf %o $((byte ^ 1)))" | dd of=flip.tar.zst bs=1 seek=$at conv=notrunc 2>/dev/null
run 1 vlembed -o out.tar.zst flip.tar.zst
err_like '^vlembed: flip.tar.zst: frame [0-9]+ \(byte [0-9]+\): '
absent 'out.tar.zst*'

# records that are sound as bytes, and of no use: mk_shard's jpg is noise
"$MK" noise.tar.zst -n 3
run 0 vlembed -q -o out.tar.zst noise.tar.zst # nobody looks at the images
rm out.tar.zst
for j in 1 4; do
    run 1 vlembed -j$j --image-model convnet:8x2#seed=1 -o out.tar.zst noise.tar.zst
    err_is "vlembed: noise.tar.zst: record 'rec-0-000000': image: neither JPEG, PNG nor WebP (byte 0)"
    absent 'out.tar.zst*'
done
run 1 vlembed --image-model convnet:8x2#seed=1 --max-pixels 599 pairs.tar.zst
err_is "vlembed: pairs.tar.zst: record 'img/0': image: JPEG: 30 x 20 pixels, more than 599 allowed (byte 163)"

# names of encoders
misuse() {
    message=$1
    shift
    run 2 vlembed -o out.tar.zst "$@" pairs.tar.zst
    err_is "vlembed: $message
try 'vlembed --help'"
    absent 'out.tar.zst*'
}
misuse "--text-model: no encoder of captions 'bert': hash:DIM wanted" --text-model bert
misuse "--text-model: 'hash:0': hash:DIM wanted, 1 to 65536 dimensions" --text-model hash:0
misuse "--text-model: 'hash7x': hash:DIM wanted, 1 to 65536 dimensions" --text-model hash7x
misuse "--text-model: 'hash65537': hash:DIM wanted, 1 to 65536 dimensions" --text-model hash65537
misuse "--image-model: no encoder of images 'vit': convnet:WIDTHxLAYERS#seed=N, convnet:WIDTHxLAYERS@FILE#SNAPSHOT, a folder of the Hugging Face hub (ViT, DINO, DINOv2) wanted" \
    --image-model vit
misuse "--image-model: 'convnet:8x2': which weights? convnet:8x2#seed=1, or convnet:8x2@FILE#expert-0000/snap-0003" \
    --image-model convnet:8x2
misuse "--image-model: '#seed=1x': a number of at most 18 digits wanted" --image-model convnet:8x2#seed=1x
misuse "--image-model: '@f.tar.zst#snap-0001': @FILE#expert-NNNN/snap-NNNN wanted" --image-model convnet:8x2@f.tar.zst#snap-0001
misuse "--image-model: '@-': weights are read from a file" --image-model convnet:8x2@-#expert-0000/snap-0001
misuse '--image-model none and --text-model none: nothing to compute' --text-model none
run 2 vlembed --size 18 --image-model convnet:8x2#seed=1 pairs.tar.zst
err_like '^vlembed: --image-model: image size 18: a multiple of 4 from 16 to 1024 wanted$'
run 2 vlembed - -
err_like '^vlembed: standard input \(-\) is named 2 times, it can be read once$'
run 2 vlembed
run 1 vlembed --image-model convnet:8x2@gone.tar.zst#expert-0000/snap-0001 -o out.tar.zst pairs.tar.zst
err_is 'vlembed: gone.tar.zst: open: No such file or directory'
run 1 vlembed --image-model convnet:8x2@pairs.tar.zst#expert-0000/snap-0001 -o out.tar.zst pairs.tar.zst
err_is "vlembed: pairs.tar.zst: no snapshot 'expert-0000/snap-0001'"
absent 'out.tar.zst*'

# a full disk, a limit, a closed pipe
run 1 vlembed -o /dev/full pairs.tar.zst
err_like '^vlembed: /dev/full: .*No space left on device$'
run 1 sh -c 'ulimit -f 1 && vlembed -o out.tar.zst pairs.tar.zst'
err_like '^vlembed: out.tar.zst.*File too large$'
absent 'out.tar.zst*'
{ sleep 0.1; rc=0; vlembed pairs.tar.zst 2>"$ERR" || rc=$?; echo $rc >rc; } | true
ok 'a closed pipe is an error' test "$(cat rc)" -eq 1
err_like '^vlembed: standard output: .*Broken pipe$'
run 1 vlembed --run-log /dev/full -o out.tar.zst pairs.tar.zst
err_like 'No space left on device$'
