#!/bin/sh
# SPDX-License-Identifier: MIT
# vldistill-heads.sh -- frozen features: experts of scope heads, the published methods, sets of features.
. "$(dirname "$0")/lib.sh"

python3 "$TOP/tests/data/make_pairs.py" 24 >pairs.tsv
vlpack -q -o pairs.tar.zst pairs.tsv
mk_rows pairs.tar.zst emb.tar.zst
experts="--scope heads --embed-dim 10 --batch 6 -n 3 -e 3"

# shellcheck disable=SC2086
{
    # Embeddings alone, or with their pairs; at any -j.
    run 0 vltrain-expert -q $experts -j1 -o experts.tar.zst emb.tar.zst
    run 0 vltrain-expert -q $experts -j3 -o j3.tar.zst emb.tar.zst
    same experts.tar.zst j3.tar.zst
    run 0 vltrain-expert $experts --val pairs.tar.zst --val emb.tar.zst -o val.tar.zst emb.tar.zst
    err_like '^vltrain-expert: expert 2, epoch 3: loss [0-9.]+ nats, validation recall [0-9.]+ %$'
    same experts.tar.zst val.tar.zst
    run 0 vltrain-expert -q $experts --dropout 0 -o still.tar.zst emb.tar.zst
    run 0 sh -c 'vlls --manifest still.tar.zst | head -1'
    out_like '"heads:12,dropout=0"'
    run 0 vlls --check experts.tar.zst

    small="--pairs 8 --iterations 4 --real emb.tar.zst"
    for method in best mtt-vl tesla-vl lors repblend; do
        for data in flickr30k coco; do
            how="--method $method --dataset $data --inner-steps 3 --start-max 1 --expert-epochs 2"
            run 0 vldistill -q -j1 $small $how -o $method-$data.tar.zst experts.tar.zst
            run 0 vldistill -q -j3 $small $how -o j3.tar.zst experts.tar.zst
            same $method-$data.tar.zst j3.tar.zst
            run 0 vlls --check $method-$data.tar.zst
        done
    done

    # What the sets hold.
    run 0 vlls lors-coco.tar.zst
    out_like '^set	.*rates.npy=[0-9]+ similarity.left.npy=[0-9]+ similarity.right.npy=[0-9]+ similarity.diag.npy=[0-9]+ json='
    out_like '^syn-00007	[0-9]+	feature.npy=176 text.npy=224 json='
    run 0 vlls tesla-vl-coco.tar.zst
    out_like '^set	[0-9]+	rates.npy=[0-9]+ json='
    run 0 sh -c 'vlls --manifest repblend-flickr30k.tar.zst'
    out_like '"objective": ?{"alpha": ?3.0, ?"blend": ?1.0, ?"loss": ?"wbce", ?"rank": ?10, ?"similarity": ?"lowrank"}'
    run 0 vldistill -q $small --loss ence --similarity full -o full.tar.zst --expert-epochs 2 experts.tar.zst
    run 0 vlls full.tar.zst
    out_like '^set	.*rates.npy=[0-9]+ similarity.npy=384 json='

    # With the pairs beside them texts are named.
    run 0 vldistill -q --pairs 8 --iterations 4 --expert-epochs 2 --real emb.tar.zst --real pairs.tar.zst -o named.tar.zst experts.tar.zst
    run 0 vlls named.tar.zst
    out_like '^syn-00000	[0-9]+	feature.npy=176 text.npy=224 txt=[0-9]+ json='

    # Other starts, and starts apart.
    for how in '--init k-means' '--init k-center' '--init noise' '--committee 2' '--convexify' '--start-max 2 --text-start-max 2' '--clip 1e-6'; do
        run 0 vldistill -q $small --expert-epochs 1 $how -o other.tar.zst experts.tar.zst
        no "$how: other bytes" cmp -s named.tar.zst other.tar.zst
    done

    # Pixels in front of the encoder: pictures, and the same students as ever.
    pixels="--pairs 8 --iterations 3 --expert-epochs 2 --real pairs.tar.zst --real emb.tar.zst --space pixels"
    run 0 vldistill -q -j1 $pixels --encoder 'convnet:4x1#seed=1' -o pixels.tar.zst experts.tar.zst
    err_is ''
    run 0 vldistill -q -j3 $pixels --encoder 'convnet:4x1#seed=1' -o j3.tar.zst experts.tar.zst
    same pixels.tar.zst j3.tar.zst
    run 0 vldistill -q $pixels --encoder 'convnet:4x1#seed=1' --augment flip --memory 100K -o flip.tar.zst experts.tar.zst
    no 'other views, other bytes' cmp -s pixels.tar.zst flip.tar.zst
    run 0 vlls --check pixels.tar.zst
    run 0 vlls pixels.tar.zst
    out_like '^syn-00000	[0-9]+	pixels.npy=12416 text.npy=224 png=[0-9]+ init.png=[0-9]+ txt=[0-9]+ json='
    run 0 sh -c 'vlls --manifest pixels.tar.zst'
    out_like '"name": ?"convnet:4x1#seed=1"'
    data="--train emb.tar.zst --val emb.tar.zst --test emb.tar.zst --epochs 2 --readings 1 --draws 1 --students 1"
    run 0 vleval -q $data --encoder 'convnet:4x1#seed=1' --report page.html pixels.tar.zst
    out_like '^initial-8	'
    out_like '^distilled-8	'
    run 0 grep -c 'data:image/png' page.html
    run 1 vleval -q $data pixels.tar.zst
    err_is 'vleval: pixels.tar.zst holds pixels for heads: --encoder convnet:4x1#seed=1 is missing'
    run 1 vleval -q $data --encoder 'convnet:4x1#seed=2' pixels.tar.zst
    err_like '^vleval: --encoder is convnet:4x1#seed=2; pixels.tar.zst was made for convnet:4x1#seed=1$'
    run 1 vleval -q $data --encoder 'convnet:4x1#seed=1' named.tar.zst
    err_is 'vleval: --encoder: no set holds pixels for heads'
    run 1 vldistill -q $pixels -o out.tar.zst experts.tar.zst
    err_like '--space pixels: --encoder is missing'
    run 1 vldistill -q $small --expert-epochs 2 --encoder 'convnet:4x1#seed=1' -o out.tar.zst experts.tar.zst
    err_like '--encoder goes with --space pixels'
    run 1 vldistill -q $small --expert-epochs 2 --augment flip -o out.tar.zst experts.tar.zst
    err_like '--augment is of pixels: features have no views'
    run 1 vldistill -q $pixels --encoder 'convnet:4x2#seed=1' -o out.tar.zst experts.tar.zst
    err_like '^vldistill: --encoder is convnet:4x2#seed=1; the experts know the features of convnet:4x1#seed=1$'
    absent out.tar.zst

    # A convnet cannot be made of heads.
    run 1 vlembed -q --text-model none --image-model 'convnet:4x1@experts.tar.zst#expert-0000/snap-0003' -o out.tar.zst pairs.tar.zst
    err_like "heads"
    absent out.tar.zst
}
