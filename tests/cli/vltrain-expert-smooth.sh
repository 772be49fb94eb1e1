#!/bin/sh
# SPDX-License-Identifier: MIT
# vltrain-expert-smooth.sh -- flat and smooth ways, clips: of both scopes and of low-rank factors, with equal bytes at
# any -j and after a stop; what the manifest says; that they do what they are for.
. "$(dirname "$0")/lib.sh"
PATH=$PATH:${BIN%/bin}/tests

python3 "$TOP/tests/data/make_pairs.py" 12 >pairs.tsv
vlpack -q -o pairs.tar.zst pairs.tsv
mk_text pairs.tar.zst text.tar.zst 32
mk_rows pairs.tar.zst emb.tar.zst
train() { # NAME [OPTION...]
    name=$1
    shift
    vltrain-expert -q --embed-dim 8 --batch 4 -n 2 -e 3 -o "$name.tar.zst" "$@"
}
image='--size 16 --model convnet:4x1 pairs.tar.zst text.tar.zst'
lora='--size 16 --model vit:12x1x2/8,lora=2 --rate-image 0.05 pairs.tar.zst text.tar.zst'
heads='--scope heads emb.tar.zst'

for scope in image lora heads; do
    eval "args=\$$scope"
    # shellcheck disable=SC2086
    {
        run 0 train $scope-plain $args
        run 0 train $scope-none $args --flat 0 --grad-penalty 0 --clip 0
        same $scope-plain.tar.zst $scope-none.tar.zst
        n=0
        for how in '--flat 0.05' '--grad-penalty 0.05' '--clip 0.5' '--flat 0.05 --grad-penalty 0.05 --clip 0.5'; do
            n=$((n + 1))
            run 0 train $scope-$n $args $how
            no "$scope $how: other bytes" cmp -s $scope-$n.tar.zst $scope-plain.tar.zst
        done
        run 0 train $scope-j3 $args $how -j3
        same $scope-4.tar.zst $scope-j3.tar.zst
    }
    ok "$scope: all ways differ" test "$(for i in 1 2 3 4; do xxhsum - <$scope-$i.tar.zst; done | sort -u | wc -l)" -eq 4
    run 0 vlls --manifest $scope-4.tar.zst
    out_like '"options":\{.*"clip":0\.5,.*"flat":0\.05[0-9]*,"grad_penalty":0\.05[0-9]*,'
    run 0 vlls --manifest $scope-plain.tar.zst
    out_unlike '"(clip|flat|grad_penalty)":'
done
run 0 vlls --recipe image-4.tar.zst
out_like '^vltrain-expert .*--clip 0\.5 .*--flat 0\.05 --grad-penalty 0\.05 '

# Stopped and gone on with: the bytes of an undisturbed run; another way is another recipe.
# shellcheck disable=SC2086
{
    bash -c 'ulimit -f 30; exec "$@"' - vltrain-expert -q --embed-dim 8 --batch 4 -n 2 -e 3 --flat 0.05 -o part.tar.zst $image 2>"$ERR" || :
    present part.tar.zst.part
    run 1 train part $image --flat 0.06 --resume
    err_like 'part\.tar\.zst\.part: .*'
    present part.tar.zst.part
    run 0 train part $image --flat 0.05 --resume
    same part.tar.zst image-1.tar.zst
}

# A rate at which the plain way breaks.
# shellcheck disable=SC2086
{
    run 1 train wild $image --rate-image 1e38 -e 8
    absent 'wild.tar.zst*'
    run 0 train tame $image --rate-image 1e38 -e 8 --clip 1e-38
}

# The gradient is shorter where its length is paid for.
# shellcheck disable=SC2086
{
    for x in 0 2; do
        vltrain-expert --embed-dim 8 --batch 12 -n 1 -e 60 --augment none --grad-penalty $x --run-log log$x -q -o long$x.tar.zst $image
    done
    run 0 python3 -c 'import json
def falls(name):
    loss = [l["loss_nats"] for l in map(json.loads, open(name)) if l["event"] == "epoch"]
    return loss[-2] - loss[-1]
assert 0 < falls("log2") < falls("log0"), (falls("log2"), falls("log0"))'
}
for bad in --flat --grad-penalty --clip; do
    misused "$bad: -1 is outside .*" vltrain-expert $bad -1 -o out.tar.zst pairs.tar.zst text.tar.zst
done
