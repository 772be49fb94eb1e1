#!/bin/sh
# SPDX-License-Identifier: MIT
# vltrain-expert-bad.sh -- bad input, a training that diverges, a failing system: one line, nothing partial.
. "$(dirname "$0")/lib.sh"
PATH=$PATH:${BIN%/bin}/tests

python3 "$TOP/tests/data/make_pairs.py" 8 >pairs.tsv
vlpack -q -o pairs.tar.zst pairs.tsv
mk_text pairs.tar.zst emb.tar.zst 32
mk_text pairs.tar.zst other.tar.zst 16
head -n 1 pairs.tsv | vlpack -q --root . -o one.tar.zst -
mk_text one.tar.zst one.emb.tar.zst 32
small='--size 16 --model convnet:4x1 --embed-dim 8 --batch 4 -n 3 -e 2'

fails() { # MESSAGE ARGUMENTS
    want=$1
    shift
    # shellcheck disable=SC2086
    refuses "$want" vltrain-expert -q $small -o out.tar.zst "$@"
}

fails "pairs\.tar\.zst: .*no text embedding.*" pairs.tar.zst
fails 'emb\.tar\.zst: .*no records of pairs' emb.tar.zst
fails 'absent\.tar\.zst: .*No such file or directory' pairs.tar.zst absent.tar.zst
fails '.*one\.emb\.tar\.zst.*|.*no text embedding.*' pairs.tar.zst one.emb.tar.zst
fails 'one\.tar\.zst: 1 pair, at least 2 needed' one.tar.zst one.emb.tar.zst
fails 'data for validation: images of 16 pixels and texts of 16 numbers; the network has 16 and 32' \
    --val pairs.tar.zst --val other.tar.zst pairs.tar.zst emb.tar.zst
fails 'validation: .*|pairs\.tar\.zst: .*no text embedding.*' --val pairs.tar.zst pairs.tar.zst emb.tar.zst
head -c 900 emb.tar.zst >cut.tar.zst
fails 'cut\.tar\.zst: truncated.*' pairs.tar.zst cut.tar.zst
echo 'not a shard' >text
fails 'text: .*' pairs.tar.zst text

# A training that diverges names the expert, the epoch and the rates, the same ones at any -j.
for j in 1 2 3; do
    fails 'expert 0: epoch 0, step 1: the loss is not finite \(rates 1e\+30 and 1\)' \
        -j$j --rate-image 1e30 pairs.tar.zst emb.tar.zst
    # One step an epoch: the weights break in it, the loss before them is still sound.
    fails 'expert 0: epoch 0: a weight is not finite \(rates 0\.1 and 1e\+38\)' \
        -j$j --rate-text 1e38 -e 1 --batch 8 --scale 1e6 pairs.tar.zst emb.tar.zst
done
# An output that was there stays as it was.
echo before >out.tar.zst
# shellcheck disable=SC2086
run 1 vltrain-expert -q $small --rate-image 1e30 -o out.tar.zst pairs.tar.zst emb.tar.zst
ok 'the old file is untouched' grep -qx before out.tar.zst
rm out.tar.zst

# A batch of more pairs than there are is said.
# shellcheck disable=SC2086
run 0 vltrain-expert $small --batch 50 -o cut-batch.tar.zst pairs.tar.zst emb.tar.zst
err_like '^vltrain-expert: there are 8 pairs: a batch has so many, not 50$'
# shellcheck disable=SC2086
run 0 vltrain-expert -q $small --batch 8 -o batch.tar.zst pairs.tar.zst emb.tar.zst
same batch.tar.zst cut-batch.tar.zst

# The system fails.
# shellcheck disable=SC2086
{
    system_fails 16 vltrain-expert -q $small pairs.tar.zst emb.tar.zst
    # What was sealed stays; the same command goes on with it when there is room, and only with --resume.
    absent out.tar.zst
    present out.tar.zst.part
    cp out.tar.zst.part full.part
    run 1 vltrain-expert -q $small -o out.tar.zst pairs.tar.zst emb.tar.zst
    err_like '^vltrain-expert: out\.tar\.zst\.part: holds [0-9]+ sealed segments of an earlier run: resume it or remove the file$'
    same full.part out.tar.zst.part
    run 0 vltrain-expert -q $small --resume -o out.tar.zst pairs.tar.zst emb.tar.zst
    run 0 vltrain-expert -q $small -o whole.tar.zst pairs.tar.zst emb.tar.zst
    same whole.tar.zst out.tar.zst
    rm out.tar.zst
    absent 'out.tar.zst*'
}
# Stopped while it trains: nothing under the final name; what is sealed stays (vltrain-expert-resume.sh).
# shellcheck disable=SC2086
vltrain-expert -q $small -e 4000 -n 4000 -o out.tar.zst pairs.tar.zst emb.tar.zst &
pid=$!
sleep 0.5
# shellcheck disable=SC2086
run 1 vltrain-expert -q $small -e 4000 -n 4000 --resume -o out.tar.zst pairs.tar.zst emb.tar.zst
err_is 'vltrain-expert: out.tar.zst.part: another run is writing it'
ended_by_term $pid
absent out.tar.zst
present out.tar.zst.part
cp out.tar.zst.part stopped.part
# Another recipe, or other data, does not go on with it, and leaves it alone.
other() {
    want=$1
    shift
    # shellcheck disable=SC2086
    run 1 vltrain-expert -q $small -e 4000 -n 4000 --resume -o out.tar.zst "$@"
    err_like "^vltrain-expert: out\.tar\.zst\.part: .*$want\$"
}
other "expert-0000/snap-0000: another run's: its manifest has another 'options\.rate_image'" --rate-image 0.2 pairs.tar.zst emb.tar.zst
other "expert-0000/snap-0000: another run's: its manifest has another 'seed'" --seed 3 pairs.tar.zst emb.tar.zst
head -n 4 pairs.tsv | vlpack -q --root . -o more.tar.zst -
mk_text more.tar.zst more.emb.tar.zst 32
other "segment 0: another run's: it was made of other data" more.tar.zst more.emb.tar.zst
# What is no shard is not cut.
echo 'my own notes' >out.tar.zst.part
other 'is no part of a shard' pairs.tar.zst emb.tar.zst
ok 'it is as it was' grep -qx 'my own notes' out.tar.zst.part
# Damage inside is not the end of a run: nothing is thrown away.
cp whole.tar.zst out.tar.zst.part
printf x | dd of=out.tar.zst.part bs=1 seek=9000 conv=notrunc 2>"$T_KEEP/dd"
cp out.tar.zst.part damaged.part
# shellcheck disable=SC2086
run 1 vltrain-expert -q $small --resume -o out.tar.zst pairs.tar.zst emb.tar.zst
err_like '^vltrain-expert: out\.tar\.zst\.part: frame [0-9]+ .*'
same damaged.part out.tar.zst.part
rm out.tar.zst.part
absent 'out.tar.zst*'

# The command line: exit 2, nothing touched.
misuse() { # MESSAGE ARGUMENTS
    want=$1
    shift
    misused "$want" vltrain-expert -o out.tar.zst "$@"
}
run 2 vltrain-expert
misuse 'standard input \(-\) is named 2 times, it can be read once' - -
misuse 'standard input \(-\) is named 2 times, it can be read once' --val - -
misuse "--augment: 'turn': none wanted, or with \+ between them flip, shiftN \(N up to 64\), crop or cropN, colour, cutout or cutoutN \(N of 1 to 100\), each once" --augment turn pairs.tar.zst
misuse "--augment: 'shift65': none wanted, .*" --augment shift65 pairs.tar.zst
misuse "model 'resnet': convnet:WIDTHxLAYERS wanted, such as convnet:64x3, or vit:DIMxDEPTHxHEADS/PATCH" --model resnet pairs.tar.zst
misuse 'image size 18: a multiple of 4 from 16 to 1024 wanted' --size 18 pairs.tar.zst
misuse '.*--scope.*' --scope all pairs.tar.zst
misuse '--model is of pixels: scope heads has features' --scope heads --model convnet:4x1 pairs.tar.zst
misuse '--augment is of pixels: scope heads has features' --scope heads --augment flip pairs.tar.zst
misuse '--image is of scope heads: scope image has pixels' --image x pairs.tar.zst
misuse '--experts: 0 is outside 1 to 4096' -n 0 pairs.tar.zst
run 2 vltrain-expert --resume pairs.tar.zst
err_like '^vltrain-expert: --resume: standard output cannot be resumed, -o FILE is needed$'
misuse '.*--momentum.*' --momentum 1 pairs.tar.zst
misuse '.*--rate-image.*' --rate-image nan pairs.tar.zst
