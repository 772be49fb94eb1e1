#!/bin/bash
# SPDX-License-Identifier: MIT
# vlselect-basic.sh -- fewer records, otherwise as they were; files, pipes and thread counts agree.
. "$(dirname "$0")/lib.sh"
PATH=$PATH:${BIN%/bin}/data

mkdir img
for i in $(seq 0 79); do
    mkimage png 20 24 "$i" >"img/p$i.png"
    printf 'img/p%s.png\tpicture %s\tof number %s\n' "$i" "$i" $((i / 2))
done >pairs.tsv
vlpack -q --split train -o pairs.tar.zst pairs.tsv
vlembed -q --image-model convnet:8x2#seed=1 --size 16 --embed-dim 12 -o emb.tar.zst pairs.tar.zst
keys() { vlls "$1" | cut -f 1; }
unpack() { mkdir "$2" && zstd -dcq "$1" | tar -xf - -C "$2"; }

# random: pairs alone, embeddings alone, both: the same records each time
run 0 vlselect -n 12 --seed 3 -o p.tar.zst pairs.tar.zst
err_is 'vlselect: 12 of 80 records kept'
out_is ''
absent '*.tmp*'
run 0 vlls --check p.tar.zst
out_like '	ok	pairs	segments=1 records=12 '
run 0 vlselect -q -n 12 --seed 3 -o e.tar.zst emb.tar.zst
err_is ''
run 0 vlselect -q -n 12 --seed 3 -o pe.tar.zst pairs.tar.zst emb.tar.zst
run 0 vlls --check pe.tar.zst
out_like '	ok	mixed	segments=2 records=24 '
keys p.tar.zst >want
keys e.tar.zst >got
same want got
(cat want want) >twice
keys pe.tar.zst >got
same twice got
keys pairs.tar.zst | grep -xFf want >order
same want order
run 0 vlselect -q -n 12 --seed 4 -o q.tar.zst pairs.tar.zst
keys q.tar.zst >got
no 'another seed, other records' cmp -s want got
run 0 vlselect -q -n 30 --seed 3 -o w.tar.zst pairs.tar.zst
keys w.tar.zst >wide
ok 'the smaller draw is in the larger' test "$(grep -cxFf wide want)" -eq 12

# byte for byte what was there, and nothing else
unpack pairs.tar.zst x
unpack emb.tar.zst y
unpack pe.tar.zst z
ok 'pairs are as they were' bash -c 'for k in $(cat want); do for m in png json txt; do cmp x/$k.$m z/$k.$m || exit 1; done; done'
ok 'embeddings are as they were' bash -c \
    'for k in $(cat want); do for m in convnet-8x2-seed1.img.npy hash768.txt.npy; do cmp y/$k.$m z/$k.$m || exit 1; done; done'
ok 'five members a record' test "$(ls z/img | wc -l)" -eq 60

# the manifest is the old one and says how it was chosen; all shards read are parents
run 0 vlls --manifest p.tar.zst
out_like '"select":\[\{"method":"random","n":12,"seed":3,"tool":"vlselect","version":"[0-9.]+"\}\],"split":"train","tool":\{"name":"vlpack"'
run 0 vlselect -q -n 5 --seed 9 -o again.tar.zst p.tar.zst
run 0 vlls --manifest again.tar.zst
out_like '"n":12,"seed":3.*"n":5,"seed":9'
p=$(vlls --check pairs.tar.zst | cut -f 5) e=$(vlls --check emb.tar.zst | cut -f 5)
run 0 vlls --manifest --json pe.tar.zst
ok 'two parents in each segment' test "$(grep -c "\"parents\":\[{\"content_id\":\"$p\",\"kind\":\"pairs\"},{\"content_id\":\"$e\",\"kind\":\"embeddings\"}\]" "$OUT")" -eq 2

# k-center: any order of the shards, -j, a file, standard input, a FIFO of the shell
run 0 vlselect -j1 -q -n 10 --method k-center -o k.tar.zst pairs.tar.zst emb.tar.zst
run 0 vlselect -j4 -q -n 10 --method k-center -o k4.tar.zst pairs.tar.zst emb.tar.zst
same k.tar.zst k4.tar.zst
run 0 vlselect -q -n 10 --method k-center pairs.tar.zst emb.tar.zst
same k.tar.zst "$OUT"
run 0 bash -c 'cat emb.tar.zst | vlselect -q -n 10 --method k-center -o kp.tar.zst pairs.tar.zst -'
same k.tar.zst kp.tar.zst
run 0 bash -c 'vlselect -q -n 10 --method k-center <(cat pairs.tar.zst) - <emb.tar.zst >kf.tar.zst'
same k.tar.zst kf.tar.zst
run 0 vlselect -q -n 10 --method k-center -o ks.tar.zst emb.tar.zst pairs.tar.zst
keys k.tar.zst | sort >want
keys ks.tar.zst | sort >got
same want got
run 0 bash -c 'cat pairs.tar.zst emb.tar.zst | vlselect -q -n 10 --method k-center - | vlls | cut -f 1 | sort >got'
same want got
run 0 vlls --manifest k.tar.zst
out_like '"image":"convnet-8x2-seed1.img.npy","joint":"concat","method":"k-center","n":10,"seed":0,"text":"hash768.txt.npy"'

# what it looks at decides what it finds
for joint in image text concat; do
    run 0 vlselect -q -n 10 --method k-center --joint $joint -o $joint.tar.zst pairs.tar.zst emb.tar.zst
    keys $joint.tar.zst | sort -u >$joint.keys
done
sort -u want >got
same concat.keys got
no 'image and text differ' cmp -s image.keys text.keys
vlembed -q --text-model hash12 --image-model convnet:8x2#seed=1 --size 16 --embed-dim 12 -o e12.tar.zst pairs.tar.zst
run 0 vlselect -q -n 10 --method k-center -o sum.tar.zst pairs.tar.zst e12.tar.zst
run 0 vlls --check sum.tar.zst
out_like "	mixed	segments=2 records=20 "
run 0 vlls --manifest sum.tar.zst
out_like "\"joint\":\"sum\""

# all of them; a kind that is not selected from passes; a segment without a chosen record does not
run 0 vlselect -q -n 80 -o all.tar.zst pairs.tar.zst
keys pairs.tar.zst >want
keys all.tar.zst >got
same want got
"$BIN/../tests/mk_shard" other.tar.zst -k trajectory -n 2 -p o
run 0 vlselect -q -n 1 --seed 1 -o one.tar.zst pairs.tar.zst other.tar.zst
keys one.tar.zst | tail -n 2 >got
printf 'o-0-00000%s\n' 0 1 >want
same want got
"$BIN/../tests/mk_shard" segs.tar.zst -s 4 -n 3
run 0 vlselect -q -n 2 -o two.tar.zst segs.tar.zst
run 0 vlls --check two.tar.zst
out_like '	segments=[12] records=2 '
