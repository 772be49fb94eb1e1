#!/bin/sh
# SPDX-License-Identifier: MIT
# tools-vit.sh -- a vision transformer from experts to scores: trained whole, and through low-rank factors.
. "$(dirname "$0")/lib.sh"
PATH=$PATH:${BIN%/bin}/tests

python3 "$TOP/tests/data/make_pairs.py" 12 >pairs.tsv
vlpack -q -o pairs.tar.zst pairs.tsv
mk_text pairs.tar.zst emb.tar.zst 32

experts() { # NAME SPEC [OPTION...]
    name=$1
    spec=$2
    shift 2
    vltrain-expert -q --size 16 --model "$spec" --embed-dim 8 --batch 4 -n 2 -e 3 --rate-image 0.05 "$@" \
        -o "$name.tar.zst" pairs.tar.zst emb.tar.zst
}
distill() { # NAME EXPERTS [OPTION...]
    name=$1
    from=$2
    shift 2
    vldistill -q --pairs 7 --batch 3 --inner-steps 4 --iterations 8 --start-max 1 --expert-epochs 2 \
        --real pairs.tar.zst --real emb.tar.zst "$@" -o "$name.tar.zst" "$from.tar.zst"
}
score() { # SET [OPTION...]
    set_=$1
    shift
    vleval --epochs 2 --full-epochs 1 --draws 1 --students 1 --train pairs.tar.zst --train emb.tar.zst \
        --val pairs.tar.zst --val emb.tar.zst --test pairs.tar.zst --test emb.tar.zst "$@" "$set_.tar.zst"
}

n=0
for spec in vit:12x1x2/8 vit:12x1x2/8,lora=2,alpha=4,seed=3; do
    n=$((n + 1))
    run 0 experts e$n $spec
    run 0 experts e$n-j3 $spec -j3
    same e$n.tar.zst e$n-j3.tar.zst
    run 0 vlls --manifest e$n.tar.zst
    out_like "\"model\":\{\"embed_dim\":8,\"scale\":7.0,\"size\":16,\"spec\":\"$spec\",\"text_dim\":32\}"
    run 0 distill d$n e$n -j1
    run 0 distill d$n-j3 e$n -j3
    same d$n.tar.zst d$n-j3.tar.zst
    run 0 vlls --manifest d$n.tar.zst
    out_like "\"spec\":\"$spec\""
    run 0 distill d$n-tesla e$n --gradient tesla
    no 'tesla: other bytes' cmp -s d$n.tar.zst d$n-tesla.tar.zst
    run 0 score d$n
    out_like "^distilled-7	7	"
    run 0 score d$n --model convnet:4x1
    out_like "^distilled-7	7	"
done

# A snapshot holds the factors and the heads: 6 x 2 + 4 tensors and json; whole, 4 + 16 + 2 + 4 of them.
members() { vlls "$1" | sed -n '1s/^[^	]*	[0-9]*	//p' | tr ' ' '\n' | sed 's/=.*//'; }
members e2.tar.zst >have
{
    for p in q k v o fc1 fc2; do printf 'image.block1.%s.lora_%s.vlt\n' $p a $p b; done
    printf '%s\n' image.head.weight.vlt image.head.bias.vlt text.head.weight.vlt text.head.bias.vlt json
} >want
sort have >have.sorted
sort want >want.sorted
same have.sorted want.sorted
ok 'whole: 26 tensors' test "$(members e1.tar.zst | grep -c '\.vlt$')" -eq 26

# The frozen weights are part of the network: another seed is another one.
experts other vit:12x1x2/8,lora=2,alpha=4,seed=4
run 1 vldistill --pairs 7 --batch 3 --real pairs.tar.zst --real emb.tar.zst -o x.tar.zst e2.tar.zst other.tar.zst
err_is 'vldistill: other.tar.zst: expert-0000/snap-0000: its network is not that of e2.tar.zst'
absent x.tar.zst

# Frozen weights out of a folder: the manifest names them, and later tools want the folder again.
mkdir vit
for f in config.json preprocessor.json model.safetensors; do
    cp "$TOP/tests/golden/torch/vit_$f" "vit/$(echo $f | sed 's/^preprocessor/preprocessor_config/')"
done
run 0 experts e3 vit:8x2x2/4,lora=2 --base vit
run 0 vlls --manifest e3.tar.zst
out_like '"spec":"vit:8x2x2/4,lora=2,base=7e0248ee6e3ae02a"'
run 0 distill d3 e3 --base vit
run 0 distill d3-j3 e3 --base vit -j3
same d3.tar.zst d3-j3.tar.zst
run 0 score d3 --base vit
out_like '^distilled-7	7	'
run 1 distill x e3
err_like '^vldistill: .*vit:8x2x2/4,lora=2,base=7e0248ee6e3ae02a: its frozen weights are not here: --base FOLDER$'
run 1 score d3
err_like '^vleval: .*its frozen weights are not here: --base FOLDER$'
run 1 experts x vit:12x1x2/8,lora=2 --base vit
err_is 'vltrain-expert: vit: hidden_size is 8, the network has 12'
run 1 experts x vit:8x2x2/4 --base vit
err_is 'vltrain-expert: vit: vit:8x2x2/4 has no frozen weights'
run 1 distill x e2 --base vit
err_is 'vldistill: vit: the frozen weights of vit:12x1x2/8,lora=2,alpha=4,seed=3 are those of seed 3'
absent 'x.tar.zst*'

# The folder as a frozen encoder: rows, experts on rows, pixels in front of them, scores.
for j in 1 3; do
    run 0 vlembed -q -j$j --image-model vit --text-model hash:24 -o rows$j.tar.zst pairs.tar.zst
done
same rows1.tar.zst rows3.tar.zst
run 0 vlls rows1.tar.zst
out_like 'vit-8x2x2-4-7e0248ee6e3ae02a-16\.img\.npy=160 '
run 0 vlls --manifest rows1.tar.zst
out_like 'vit:8x2x2/4@7e0248ee6e3ae02a#size=16'
run 0 vlembed -q --image-model vit/#size=24 --text-model hash:24 -o rows24.tar.zst pairs.tar.zst
run 0 vltrain-expert -q --scope heads --embed-dim 8 --batch 4 -n 2 -e 3 -o e4.tar.zst rows1.tar.zst
pixels() { # NAME ENCODER [OPTION...]
    name=$1
    encoder=$2
    shift 2
    vldistill -q --pairs 7 --batch 3 --inner-steps 4 --iterations 4 --start-max 1 --expert-epochs 2 --space pixels \
        --encoder "$encoder" --augment flip+crop --real pairs.tar.zst --real rows1.tar.zst "$@" -o "$name.tar.zst" e4.tar.zst
}
run 0 pixels d4 vit
run 0 pixels d4-j3 vit -j3 --memory 50K
same d4.tar.zst d4-j3.tar.zst
run 1 pixels x vit#size=24
err_like '^vldistill: --encoder is vit:8x2x2/4@[0-9a-f]*#size=24; the experts know the features of vit:8x2x2/4@7e0248ee6e3ae02a#size=16$'
absent 'x.tar.zst*'
run 0 vleval --epochs 2 --full-epochs 1 --draws 1 --students 1 --train rows1.tar.zst --val rows1.tar.zst --test rows1.tar.zst \
    --encoder vit d4.tar.zst
out_like '^distilled-7	7	'
run 2 vlembed -q --image-model vat -o x.tar.zst pairs.tar.zst
err_like "^vlembed: --image-model: no encoder of images 'vat': .*, a folder of the Hugging Face hub \(ViT, DINO, DINOv2\) wanted$"
mkdir empty
run 1 vlembed -q --image-model empty -o x.tar.zst pairs.tar.zst
err_like '^vlembed: empty/config.json: No such file or directory$'
absent 'x.tar.zst*'

run 2 experts x vit:12x1x5/8
err_like "^vltrain-expert: model 'vit:12x1x5/8': vit:DIMxDEPTHxHEADS/PATCH\[,lora=R\[,alpha=A\]\[,seed=N\|,base=ID\]\] wanted, HEADS dividing DIM"
run 2 experts x vit:12x1x2/7
err_like '^vltrain-expert: image size 16: a multiple of 7 from 16 to 1024 wanted$'
absent x.tar.zst
