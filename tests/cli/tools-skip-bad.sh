#!/bin/sh
# SPDX-License-Identifier: MIT
# tools-skip-bad.sh -- tools that read a damaged shard: they stop without --skip-bad, go on with it, say what is
# missing, and record it in what they write; through a pipe and without a seek table, too.
. "$(dirname "$0")/lib.sh"
MK=$BIN/../tests/mk_shard

run 0 "$MK" a.tar.zst -n 12 -b 600000
size=$(stat -c %s a.tar.zst)
cp a.tar.zst flip.tar.zst
printf 'XX' | dd of=flip.tar.zst bs=1 seek=$((size / 2)) conv=notrunc 2>/dev/null
head -c $((size * 2 / 3)) a.tar.zst >cut.tar.zst

for tool in 'vlembed --text-model hash:64' 'vlselect -n 3'; do
    for in in flip cut; do
        for how in file pipe; do
            from=$in.tar.zst
            [ $how = file ] || from=-
            rm -f out.tar.zst
            # shellcheck disable=SC2086
            run 1 $tool -o out.tar.zst $from <$in.tar.zst
            absent out.tar.zst
            # shellcheck disable=SC2086
            run 0 $tool --skip-bad -o out.tar.zst $from <$in.tar.zst
            err_like 'segment 0: records may be missing after .rec-0-00000'
            run 0 vlls --check out.tar.zst
            vlls --manifest --json out.tar.zst >tails.txt
            ok "$tool, $in, $how: the loss is recorded" grep -q '"input_loss":\[{"bad_frames":[1-9]' tails.txt
        done
    done
    # shellcheck disable=SC2086
    run 0 $tool --skip-bad -o out.tar.zst a.tar.zst # nothing is lost, nothing is said
    vlls --manifest --json out.tar.zst >tails.txt
    no "$tool: no loss, no record" grep -q input_loss tails.txt
done
ok 'the keys of lost records are recorded' sh -c 'vlselect -q -n 3 --skip-bad -o out.tar.zst flip.tar.zst 2>keys.txt;
    vlls --manifest --json out.tar.zst | grep -q "\"keys\":\[\"rec-0-0000"'

# ---- tools that join pairs and embeddings, and read trajectories: damage to one of several segments --------
PATH=$PATH:${BIN%/bin}/tests
size_of() { stat -c %s "$1"; }

# damage FILE PART...: flip.FILE has a wrong byte in the middle of the last PART, cut.FILE ends there.
damage() {
    from=$1
    at=0
    shift
    for part; do
        last=$(size_of "$part")
        at=$((at + last))
    done
    at=$((at - last / 2))
    cp "$from" "flip.$from"
    printf '\377\377\377\377' | dd of="flip.$from" bs=1 seek=$at conv=notrunc 2>/dev/null
    head -c $at "$from" >"cut.$from"
}

python3 "$TOP/tests/data/make_pairs.py" 16 >pairs.tsv
vlpack -q --shard-records 4 -o 'p-%d' pairs.tsv
cat p-0 p-1 p-2 p-3 >pairs.tar.zst
mk_text pairs.tar.zst emb.tar.zst 32
damage pairs.tar.zst p-0 p-1
common='--size 16 --model convnet:4x1 --embed-dim 8 --batch 4 -n 2 -e 3'

# shellcheck disable=SC2086
{
    run 0 vltrain-expert -q $common -o whole.tar.zst pairs.tar.zst emb.tar.zst
    run 0 vltrain-expert -q $common --skip-bad -o same.tar.zst pairs.tar.zst emb.tar.zst
    same whole.tar.zst same.tar.zst
    err_is ''
    for in in flip cut; do
        left=12
        [ $in = flip ] || left=4
        lost=$((16 - left))
        run 1 vltrain-expert $common -o no.tar.zst $in.pairs.tar.zst emb.tar.zst
        absent 'no.tar.zst*'
        run 0 vltrain-expert -j1 $common --skip-bad -o $in-1.tar.zst $in.pairs.tar.zst emb.tar.zst
        err_like "^vltrain-expert: emb.tar.zst: record '.*': an embedding without a pair; left out\$"
        ok "$in: a line for each" test "$(grep -c 'an embedding without a pair' "$ERR")" -eq $lost
        run 0 sh -c "vltrain-expert -q -j3 $common --skip-bad emb.tar.zst - <$in.pairs.tar.zst >$in-3.tar.zst"
        vlls --manifest --json $in-1.tar.zst >tails.txt
        ok "$in: all 8 segments record it" test "$(grep -o '"input_loss":\[{' tails.txt | wc -l)" -eq 8
        ok "$in: and the records" test "$(grep -o "\"left_out\":$lost" tails.txt | wc -l)" -eq 8

        # The weights are those of a training on what is left.
        vlcat -q --skip-bad -o left.tar.zst $in.pairs.tar.zst
        vlcat -q --head $left -o left.emb.tar.zst emb.tar.zst
        if [ $in = flip ]; then
            vlcat -q --range 0:4 -o e1 emb.tar.zst
            vlcat -q --range 8:16 -o e2 emb.tar.zst
            cat e1 e2 >left.emb.tar.zst
        fi
        run 0 vltrain-expert -q $common -o left-1.tar.zst left.tar.zst left.emb.tar.zst
        run 0 vlcat -q --to folder -o $in-a $in-1.tar.zst
        run 0 vlcat -q --to folder -o $in-b left-1.tar.zst
        ok "$in: the weights are those of what is left" diff -r -x '__vl__' $in-a $in-b
        same $in-1.tar.zst $in-3.tar.zst
    done

    # A resumed run finds its recipe again; it needs the option again, and the same damage.
    half=$(($(size_of flip-1.tar.zst) * 6 / 10))
    head -c $half flip-1.tar.zst >run.tar.zst.part
    run 1 vltrain-expert -q $common --resume -o run.tar.zst flip.pairs.tar.zst emb.tar.zst
    run 1 vltrain-expert -q $common --resume -o run.tar.zst pairs.tar.zst emb.tar.zst
    err_like "another run's: it was made of other data"
    run 0 vltrain-expert $common --skip-bad --resume -o run.tar.zst flip.pairs.tar.zst emb.tar.zst
    err_like 'goes on at expert 1, snapshot [0-3]; '
    same run.tar.zst flip-1.tar.zst
}

# An image whose chunks are sound and do not hold an image: vlpack without --decode packs it.
python3 - <<'PNG'
import struct, zlib
p = bytearray(open("images/img-00003.png", "rb").read())
at = p.index(b"IDAT")
n = struct.unpack(">I", p[at - 4:at])[0]
p[at + 4 + n // 2:at + 4 + n] = b"\xff" * (n - n // 2)
p[at + 4 + n:at + 8 + n] = struct.pack(">I", zlib.crc32(p[at:at + 4 + n]))
open("images/img-00003.png", "wb").write(p)
PNG
vlpack -q -o half.tar.zst pairs.tsv
# shellcheck disable=SC2086
for j in 1 3; do
    run 1 vltrain-expert -j$j $common -o no.tar.zst half.tar.zst emb.tar.zst
    run 0 vltrain-expert -j$j $common --skip-bad -o half-$j.tar.zst half.tar.zst emb.tar.zst
    err_like "^vltrain-expert: half.tar.zst: record 'images/img-00003': image: .*; left out\$"
    vlls --manifest --json half-$j.tar.zst >tails.txt
    ok 'the image is recorded' grep -q '"input_loss":\[{"keys":\["images/img-00003"\],"left_out":1}\]' tails.txt
done
same half-1.tar.zst half-3.tar.zst

# ---- vldistill: experts that lost snapshots, pairs that lost records ----
vlcat -q --head 5 -o five whole.tar.zst # up to expert-0001/snap-0000
vlcat -q --head 6 -o six whole.tar.zst
tail -c +$(($(size_of five) + 1)) six >sixth
damage whole.tar.zst five sixth
small='--pairs 3 --batch 3 --inner-steps 2 --warm-steps 1 --iterations 3'
real='--real pairs.tar.zst --real emb.tar.zst'
# shellcheck disable=SC2086
{
    run 0 vldistill -q $small --expert-epochs 2 $real -o set.tar.zst whole.tar.zst
    run 0 vldistill -q $small --expert-epochs 2 $real --skip-bad -o same.tar.zst whole.tar.zst
    same set.tar.zst same.tar.zst
    for in in flip cut; do
        run 1 vldistill $small --expert-epochs 2 $real -o no.tar.zst $in.whole.tar.zst
        absent 'no.tar.zst*'
        run 0 vldistill $small --expert-epochs 2 $real --skip-bad --run-log log -o d1 $in.whole.tar.zst
        err_like "^vldistill: $in.whole.tar.zst: expert-0001: 1 snapshots in a row from the first, 3 needed; left out\$"
        ok 'only expert 0 is matched' test "$(grep -c '"expert": 0' log)" -eq 3
        run 0 sh -c "vldistill -q -j3 $small --expert-epochs 2 $real --skip-bad - <$in.whole.tar.zst >d3"
        same d1 d3
        vlls --manifest --json d1 >tails.txt
        ok 'the expert is recorded' grep -q '{"keys":\["expert-0001"\],"left_out":1}' tails.txt
        run 1 vldistill $small --expert-epochs 4 $real --skip-bad -o no.tar.zst $in.whole.tar.zst
        err_like 'none of 2 experts has its first 5 snapshots'
    done
    run 1 vldistill $small --real flip.pairs.tar.zst --real emb.tar.zst -o no.tar.zst whole.tar.zst
    run 0 vldistill $small --real flip.pairs.tar.zst --real emb.tar.zst --skip-bad -o d1 whole.tar.zst
    vlls --manifest --json d1 >tails.txt
    ok 'lost records are recorded' grep -q '"lost_records":4' tails.txt
    ok 'and the embeddings left over' grep -q '"left_out":4' tails.txt
}

# ---- vleval: the numbers are of what is left, and say so ----
quick='--epochs 1 --students 1 --readings 1 --multiples 1 --controls none -q'
# shellcheck disable=SC2086
{
    both='--val pairs.tar.zst --val emb.tar.zst --test pairs.tar.zst --test emb.tar.zst'
    bad='--val flip.pairs.tar.zst --val emb.tar.zst --test pairs.tar.zst --test emb.tar.zst'
    run 0 vleval $quick $both --json a.json set.tar.zst
    run 0 vleval $quick $both --skip-bad --json b.json set.tar.zst
    out_unlike 'damaged'
    no 'no loss, no record' grep -q input_loss b.json
    run 1 vleval $quick $bad set.tar.zst
    run 0 vleval $quick $bad --skip-bad --json b.json set.tar.zst
    out_like '^# validation: a damaged shard; 1 bad frames left out, at least 4 records lost, 0 segments'
    out_like '^# validation: 4 records left out that are not whole$'
    out_like '^# validation: 12 images, '
    out_like '^# test: 16 images, '
    run 0 python3 -c 'import json
loss = json.load(open("b.json"))["input_loss"]
assert [l["role"] for l in loss] == ["validation", "validation"], loss
assert loss[0]["lost_records"] == 4 and loss[1]["left_out"] == 4 and len(loss[0]["keys"]) == 4, loss'
    # A selected set, from a pipe, too.
    run 1 vleval $quick $both pick=flip.pairs.tar.zst,emb.tar.zst
    run 0 sh -c "vleval $quick $both --skip-bad pick=-,emb.tar.zst <flip.pairs.tar.zst"
    out_like '^# pick: a damaged shard; 1 bad frames'
    out_like '^# pick: 12 images, '
}

# ---- nothing can be read at all: one segment without its manifest ----
cp p-0 headless
printf '\377\377' | dd of=headless bs=1 seek=30 conv=notrunc 2>/dev/null
# shellcheck disable=SC2086
for tool in vlcat 'vlcat --reseal' 'vlcat --shuffle 1' 'vlembed --text-model hash:64' 'vlselect -n 2' vltrain-expert "vldistill $small $real"; do
    run 1 $tool --skip-bad -o no.tar.zst headless
    absent 'no.tar.zst*'
done

# ---- vlcat: the keys too, each input's note in one list, and what an input's own inputs had lost ----
tails() { vlls --manifest --json "$1" | tr -d '\n'; }
run 0 vlcat -q --skip-bad -o c1 flip.pairs.tar.zst
tails c1 >tails.txt
ok 'vlcat records the keys' grep -q '"input_loss":\[{"bad_frames":1,.*"keys":\["images/img-00004","images/img-00005",.*"lost_records":4' tails.txt
cat p-2 p-0 >two
damage two p-2 p-0
vlcat -q --key 'images/img-0000[4-7]' -o p-1b pairs.tar.zst
cat p-1b p-3 >three
damage three p-1b p-3
for how in --reseal '--shuffle 7'; do
    # shellcheck disable=SC2086
    run 0 vlcat -q --skip-bad $how -o c2 flip.two flip.three
    tails c2 >tails.txt
    ok "$how: two inputs, two notes" test "$(grep -o '"lost_tails":' tails.txt | wc -l)" -eq 2
    ok "$how: in one list" test "$(grep -o '"input_loss":\[' tails.txt | wc -l)" -eq 1
    # shellcheck disable=SC2086
    run 0 vlcat -q --skip-bad $how -o c3 cut.two cut.three
    run 0 vlls --check c3
    out_like 'records=8 '
done
vlembed -q --skip-bad --text-model hash:32 -o e1 flip.pairs.tar.zst 2>says
tails e1 | grep -o '"input_loss":.*"members"' >loss.txt
run 0 vlcat -q -o e2 e1
tails e2 | grep -o '"input_loss":.*"members"' >carried.txt
same loss.txt carried.txt
