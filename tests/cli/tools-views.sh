#!/bin/sh
# SPDX-License-Identifier: MIT
# tools-views.sh -- every kind of view from experts to scores: what manifests and recipes say of them, equal bytes at
# any -j, and each kind seen in the bytes.
. "$(dirname "$0")/lib.sh"
PATH=$PATH:${BIN%/bin}/tests

eval_data
experts() { # NAME [OPTION...]
    name=$1
    shift
    vltrain-expert -q --size 16 --model convnet:4x1 --embed-dim 8 --batch 8 -n 2 -e 2 "$@" -o "$name.tar.zst" \
        train.tar.zst train.emb.tar.zst
}
distill() { # NAME [OPTION...]
    name=$1
    shift
    vldistill -q --pairs 6 --batch 3 --iterations 6 --expert-epochs 1 --real train.tar.zst --real train.emb.tar.zst \
        "$@" -o "$name.tar.zst" experts.tar.zst
}
views=flip+shift1+crop60+colour+cutout40

run 0 experts experts --augment cutout40+flip+colour+shift1+crop60
run 0 experts experts3 --augment $views -j3
same experts.tar.zst experts3.tar.zst
run 0 vlls --manifest experts.tar.zst
out_like '"augment":\{"colour":true,"crop":60,"cutout":40,"flip":true,"shift":1\}'
run 0 vlls --recipe experts.tar.zst
ok 'the recipe names the views' grep -qF -e " --augment $views " "$OUT"

# A set is seen as its experts saw the real pairs; by itself otherwise.
run 0 distill set -j1
run 0 distill set3 -j3
same set.tar.zst set3.tar.zst
run 0 vlls --manifest set.tar.zst
out_like '"augment":\{"colour":true,"crop":60,"cutout":40,"flip":true,"shift":1\}'
for one in none flip crop colour cutout shift1; do
    run 0 distill $one --augment $one
done
run 0 vlls --manifest cutout.tar.zst
out_like '"augment":\{"cutout":50,"flip":false,"shift":0\}'
ok 'seven sets' test "$(for one in set none flip crop colour cutout shift1; do
    xxhsum - <$one.tar.zst | cut -d ' ' -f 1
done | sort -u | wc -l)" -eq 7
for method in mdm krr; do
    run 0 distill $method --method $method --augment $views
    run 0 distill $method-none --method $method --augment none
    no "$method: views give other bytes" cmp -s $method.tar.zst $method-none.tar.zst
done

# Students see what the set says; real pairs what the line says.
# shellcheck disable=SC2086
run 0 vleval $data --epochs 3 --full-epochs 1 --draws 1 --students 1 --full-students 1 --ars --track \
    --augment crop+colour -o - --json scores.json set.tar.zst
out_like '^distilled-6@views	'
out_like "views crop50\\+colour \\(where rates are learned ones: $(echo $views | sed 's/+/\\+/g')\\)"
run 0 python3 -c 'import json
rows = json.load(open("scores.json"))["recipe"]["canonical"]["rows"]
by = {r["name"]: r for r in rows}
assert by["distilled-6"]["crop"] == 60 and by["distilled-6"]["cutout"] == 40 and by["distilled-6"]["flip"]
assert by["random-6"]["crop"] == 50 and by["random-6"]["colour"] and not by["random-6"]["flip"]
assert "cutout" not in by["random-6"] and by["distilled-6@views"]["crop"] == 50
assert not {"crop", "colour", "cutout"} & set(by["distilled-6@plain"])'

# Experts who saw other views are not mixed.
run 0 experts other --augment flip+shift1+crop61+colour+cutout40
run 1 distill x other.tar.zst
err_is 'vldistill: experts.tar.zst: expert-0000/snap-0000: its augmentation is not that of other.tar.zst'
absent 'x.tar.zst*'
for bad in crop0 cutout101 colour2 flip+flip; do
    misused "--augment: '$(echo $bad | sed 's/+/\\+/')': none wanted, .*" vldistill --real train.tar.zst --augment $bad \
        -o out.tar.zst experts.tar.zst
done
