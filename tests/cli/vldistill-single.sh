#!/bin/sh
# SPDX-License-Identifier: MIT
# vldistill-single.sh -- covmatch, mdm and krr end to end, on features and on pixels: same bytes at any -j, what the
# manifest and the log say, what is refused.
. "$(dirname "$0")/lib.sh"

python3 "$TOP/tests/data/make_pairs.py" 24 >pairs.tsv
vlpack -q -o pairs.tar.zst pairs.tsv
mk_rows pairs.tar.zst emb.tar.zst
vltrain-expert -q --scope heads --embed-dim 10 --batch 6 -n 2 -e 3 -o heads.tar.zst emb.tar.zst
vltrain-expert -q --size 16 --model convnet:4x1 --embed-dim 8 --batch 6 -n 2 -e 2 --text hash24.txt.npy \
    -o conv.tar.zst pairs.tar.zst emb.tar.zst
small='--pairs 8 --iterations 6 --real-batch 7 --real emb.tar.zst'

# shellcheck disable=SC2086
{
    for how in 'covmatch' 'covmatch --teacher' 'mdm' 'mdm --optimizer sgd --momentum 0.5 --clip 1' 'krr' 'krr --kernel linear'; do
        run 0 vldistill -q -j1 $small --method $how -o out.tar.zst heads.tar.zst
        run 0 vldistill -q -j3 $small --method $how -o j3.tar.zst heads.tar.zst
        same out.tar.zst j3.tar.zst
        run 0 vlls --check out.tar.zst
        run 0 vldistill -q -j3 $small --seed 1 --method $how -o seed.tar.zst heads.tar.zst
        no "$how: another seed, other bytes" cmp -s out.tar.zst seed.tar.zst
        run 0 vldistill -q $small --real pairs.tar.zst --method $how -o pixels.tar.zst conv.tar.zst
        run 0 vlls pixels.tar.zst
        out_like '^syn-00007	[0-9]+	pixels.npy=[0-9]+ text.npy=[0-9]+ '
    done
    for what in '--rho 3' '--lambda 9'; do
        run 0 vldistill -q $small --method covmatch $what -o other.tar.zst heads.tar.zst
        run 0 vldistill -q $small --method covmatch -o out.tar.zst heads.tar.zst
        no "covmatch $what counts" cmp -s out.tar.zst other.tar.zst
    done
    for what in '--gke 3' '--sigma 1' '--merge 0' '--expert-epochs 2' '--real-batch 9'; do
        run 0 vldistill -q $small --method mdm -o out.tar.zst heads.tar.zst
        run 0 vldistill -q $small --method mdm $what -o other.tar.zst heads.tar.zst
        no "mdm $what counts" cmp -s out.tar.zst other.tar.zst
    done
    for what in '--width 3' '--ridge 1' '--text-to-image 0.1'; do
        run 0 vldistill -q $small --method krr -o out.tar.zst heads.tar.zst
        run 0 vldistill -q $small --method krr $what -o other.tar.zst heads.tar.zst
        no "krr $what counts" cmp -s out.tar.zst other.tar.zst
    done

    # Manifest, set and log; a batch of more than there are is all there are.
    run 0 vldistill $small --method mdm --real-batch 1000 --run-log log -o mdm.tar.zst heads.tar.zst
    err_like '^vldistill: 6 iterations in [0-9.]+ s, [0-9.]+ s each, [0-9]+ GFLOP/s; loss [0-9.]+$'
    run 0 sh -c 'vlls --manifest mdm.tar.zst'
    out_like '"gke":0.8[0-9]*,.*"method":"mdm",.*"real_batch":1000,.*"sigma":0.5,.*"teacher":false'
    ok 'six iterations are logged' test "$(grep -c '"event": "iteration"' log)" -eq 6
    ok 'with the parts of the loss and the teacher' grep -qE \
        '"loss": [0-9.]+, "infonce": [0-9.]+, "agreement": [0-9.]+, "difference": [0-9.]+, "expert_0": [01], "snapshot_0": [123], "expert_1": [01], "snapshot_1": [123], "ratio": ' log
    # Steps against the gradient: on all real pairs the kernel ridge's loss falls.
    run 0 vldistill -q --pairs 8 --iterations 60 --real emb.tar.zst --method krr --run-log log -o krr.tar.zst heads.tar.zst
    ok 'the loss falls' perl -ne '
        push @l, $1 if /"loss": ([0-9.]+)/;
        END { exit !(@l == 60 && $l[-1] < 0.9 * $l[0]) }' log

    # covmatch and krr need the network alone, mdm snapshots to make teachers of.
    run 0 vltrain-expert -q --scope heads --embed-dim 10 --batch 6 -n 1 -e 1 -o one.tar.zst emb.tar.zst
    run 0 vldistill -q $small --method krr --expert-epochs 9 -o krr.tar.zst one.tar.zst
    run 0 vldistill -q $small --method mdm -o mdm.tar.zst one.tar.zst
    bad() {
        message=$1
        shift
        run 1 vldistill -q $small -o bad.tar.zst "$@"
        err_is "vldistill: $message"
        absent 'bad.tar.zst*'
    }
    bad 'expert 0 has 2 snapshots; teachers need snapshot 2' --method mdm --expert-epochs 2 one.tar.zst
    bad 'expert 0 has 2 snapshots; teachers need snapshot 9' --method covmatch --teacher --expert-epochs 9 one.tar.zst
    bad '--augment is of pixels: features have no views' --method krr --augment flip one.tar.zst
    run 2 vldistill $small --method krr --inner-steps 4 -o bad.tar.zst one.tar.zst
    err_like '^vldistill: --inner-steps: this method trains nothing inside$'
    run 2 vldistill $small --method=krr --loss=bce -o bad.tar.zst one.tar.zst
    err_like '^vldistill: --loss: this method trains nothing inside$'
    run 2 vldistill --pairs 8 --real emb.tar.zst --ridge 1 -o bad.tar.zst one.tar.zst
    err_like '^vldistill: --ridge: no part of matching trajectories$'
    absent 'bad.tar.zst*'
    run 2 vldistill $small --method mdm --sigma 0 -o bad.tar.zst one.tar.zst
    err_like '^vldistill: --sigma'
}
