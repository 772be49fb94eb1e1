#!/bin/sh
# SPDX-License-Identifier: MIT
# vldistill-match.sh -- what experts must be, snapshots on the way, noisy starts, and the preset for low-rank factors:
# equal bytes at any -j, what the manifest says, and what is refused.
. "$(dirname "$0")/lib.sh"
PATH=$PATH:${BIN%/bin}/tests

python3 "$TOP/tests/data/make_pairs.py" 12 >pairs.tsv
vlpack -q -o pairs.tar.zst pairs.tsv
mk_text pairs.tar.zst text.tar.zst 32
mk_rows pairs.tar.zst emb.tar.zst
train() { # NAME [OPTION...]
    name=$1
    shift
    vltrain-expert -q --embed-dim 8 --batch 4 -n 2 -e 3 --rate-image 0.05 -o "$name.tar.zst" "$@"
}
train image --size 16 --model convnet:4x1 pairs.tar.zst text.tar.zst
train whole --size 16 --model vit:12x1x2/8 pairs.tar.zst text.tar.zst
train lora --size 16 --model vit:12x1x2/8,lora=2 pairs.tar.zst text.tar.zst
train heads --scope heads emb.tar.zst
distill() { # NAME EXPERTS [OPTION...]
    name=$1
    of=$2
    shift 2
    case $of in
        heads) set -- --real emb.tar.zst "$@" ;;
        *) set -- --real pairs.tar.zst --real text.tar.zst "$@" ;;
    esac
    vldistill -q --pairs 7 --batch 3 --iterations 4 "$@" -o "$name.tar.zst" "$of.tar.zst"
}

# Each kind by its name and by no other.
for of in image whole lora heads; do
    is=$of
    [ $of != whole ] || is=image
    run 0 distill $of-set $of
    for match in image lora heads; do
        if [ $match = $is ]; then
            run 0 distill $of-said $of --match $match
            run 0 vlls --manifest $of-said.tar.zst
            out_like "\"match\":\"$match\""
        else
            run 1 distill out $of --match $match
            err_like "^vldistill: --match $match: the experts are .*, which is $is\$"
            absent 'out.tar.zst*'
        fi
    done
done
run 0 vlls --recipe lora-said.tar.zst
out_like '^vldistill .*--match lora'

# Other bytes; the same at any -j.
for of in image lora heads; do
    n=0
    for how in '--intermediate' '--perturb 0.1' '--intermediate --perturb 0.1 --start-max 1 --text-start-max 1 --committee 2' \
        '--intermediate --gradient tesla' '--perturb 0.1 --seed 1'; do
        n=$((n + 1))
        # shellcheck disable=SC2086
        {
            run 0 distill $of-$n $of $how -j1
            run 0 distill j3 $of $how -j3
        }
        same $of-$n.tar.zst j3.tar.zst
    done
    ok "$of: six sets" test "$(for i in set 1 2 3 4 5; do xxhsum - <$of-$i.tar.zst; done | sort -u | wc -l)" -eq 6
done
run 0 vlls --manifest heads-3.tar.zst
out_like '"intermediate":true,.*"perturb":0\.1'
run 0 vlls --manifest heads-set.tar.zst
out_unlike '"(intermediate|perturb|match)":'
run 0 vlls --recipe heads-3.tar.zst
out_like '^vldistill .*--intermediate .*--perturb 0\.1'

# An option by its default is no option.
run 0 distill same image --perturb 0
same same.tar.zst image-set.tar.zst

# LoRA matching.
run 0 distill preset lora --method lora --iterations 3
run 0 vlls --manifest preset.tar.zst
out_like '"match":"lora",.*"step_image":1000\.0'
run 0 distill mtt lora --method mtt-vl --match lora --iterations 3
for f in preset mtt; do
    mkdir $f
    zstd -dcq $f.tar.zst | tar -xf - -C $f
done
for f in set.rates.npy syn-00003.pixels.npy; do
    same preset/$f mtt/$f
done
run 1 distill out image --method lora
err_is 'vldistill: --match lora: the experts are convnet:4x1, which is image'
run 0 distill over image --method lora --match image --iterations 3
run 0 distill converse lora --method lora --gradient tesla --iterations 3 --augment none
no 'an option beside the preset counts' cmp -s preset.tar.zst converse.tar.zst

misuse() { # MESSAGE ARGUMENTS
    want=$1
    shift
    misused "$want" vldistill -o out.tar.zst --real pairs.tar.zst "$@"
}
misuse '--intermediate: --expert-epochs is 1, 2 to the 4 of --inner-steps wanted' --intermediate --expert-epochs 1 image.tar.zst
misuse '--intermediate: --expert-epochs is 3, 2 to the 2 of --inner-steps wanted' --intermediate --inner-steps 2 image.tar.zst
misuse '--perturb: -1 is outside 0 to .*' --perturb -1 image.tar.zst
misuse "--match: 'nothing' is none of heads\|image\|lora" --match nothing image.tar.zst
misuse '--perturb: this method trains nothing inside' --method krr --perturb 0.1 image.tar.zst
misuse '--intermediate: this method trains nothing inside' --method mdm --intermediate image.tar.zst
