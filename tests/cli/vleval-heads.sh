#!/bin/sh
# SPDX-License-Identifier: MIT
# vleval-heads.sh -- students on frozen features: real rows and sets, losses and similarities of their own.
. "$(dirname "$0")/lib.sh"

python3 "$TOP/tests/data/make_pairs.py" 36 >pairs.tsv
vlpack -q -o pairs.tar.zst pairs.tsv
mk_rows pairs.tar.zst emb.tar.zst
vltrain-expert -q --scope heads --embed-dim 10 --batch 6 -n 2 -e 3 -o experts.tar.zst emb.tar.zst
make="--pairs 8 --iterations 3 --expert-epochs 2 --real emb.tar.zst experts.tar.zst"
small="--epochs 4 --full-epochs 2 --readings 2 --draws 2 --students 2 --train emb.tar.zst --val emb.tar.zst --test emb.tar.zst"

# shellcheck disable=SC2086
{
    vldistill -q -o one.tar.zst $make
    vldistill -q --method lors --inner-steps 2 --start-max 1 -o two.tar.zst $make

    for j in 1 3; do
        run 0 vleval -q -j$j $small --json j$j.json -o j$j.txt one=one.tar.zst two=two.tar.zst
    done
    run 0 sh -c 'cut -f 1-16 j1.txt | grep -v "^#" >a; cut -f 1-16 j3.txt | grep -v "^#" >b; cat j1.txt'
    same a b
    out_like '^# vleval .*, protocol heads: students train a projection head on each side'
    out_like '^# network heads:12: image rows of 12 numbers \(fixed\), text rows of 24 numbers'
    out_like '^#   its students go down wbce, similarity lowrank, as it was distilled'
    for row in chance random-8 initial-8 initial-rates-8 one-8 two-8 full; do
        out_like "^$row	"
    done
    run 0 vleval -q $small --report page.html one.tar.zst
    run 0 grep -c 'heads:12, 12 features' page.html

    # Without a set; with pairs beside the features.
    run 0 vleval -q $small --protocol heads --embed-dim 6 --pairs 5 --dropout 0.2
    out_like '^# network heads:12,dropout=0.2: .* embeddings 6,'
    run 0 vleval -q --controls random --pairs 5 --epochs 2 --readings 1 --draws 1 --students 1 --protocol heads \
        --train emb.tar.zst --val pairs.tar.zst --val emb.tar.zst --test emb.tar.zst

    # What does not go together.
    run 2 vleval $small --protocol image one.tar.zst
    err_like '^vleval: --protocol image: one.tar.zst holds features$'
    run 2 vleval $small --model convnet:4x1 one.tar.zst
    err_like '^vleval: --model is of pixels: protocol heads has features$'
    run 2 vleval $small --image x.img.npy
    err_like '^vleval: --image is of protocol heads: protocol image has pixels$'
    run 1 vleval $small one.tar.zst two.tar.zst
    err_like '^vleval: two.tar.zst: a batch of|another loss or similarity than the sets before it under one label$'
    mk_rows pairs.tar.zst nine.tar.zst 9
    run 1 vleval --val nine.tar.zst --test nine.tar.zst one.tar.zst
    err_like '^vleval: nine.tar.zst: features of 9 and texts of 24 numbers; the network has 12 and 24$'
}
