#!/bin/bash
# SPDX-License-Identifier: MIT
# vlls-recipe.sh -- the command lines that led to a shard: found by content id, parents first; run again they
# give the same bytes.
. "$(dirname "$0")/lib.sh"
id_of() { vlls --check "$1" | cut -f 5; }
python3 "$TOP/tests/data/make_pairs.py" 12 >pairs.tsv
mkdir work elsewhere
cd work
vlpack -q --root .. --licence CC0-1.0 --source "the author's" --split train -o pairs.tar.zst ../pairs.tsv
vlembed -q -o emb.tar.zst pairs.tar.zst
vltrain-expert -q -n 2 -e 2 --size 16 --model convnet:4x1 --embed-dim 16 --seed 7 --augment none -o t.tar.zst pairs.tar.zst emb.tar.zst
vldistill -q --pairs 4 --batch 4 --iterations 2 --expert-epochs 1 --seed 3 --real pairs.tar.zst --real emb.tar.zst -o d.tar.zst t.tar.zst
p=$(id_of pairs.tar.zst) e=$(id_of emb.tar.zst) t=$(id_of t.tar.zst) d=$(id_of d.tar.zst)

# in the folder of the shard
run 0 vlls --recipe d.tar.zst
err_is ''
cp "$OUT" recipe
grep '^# ' recipe >got
cat >want <<END
# pairs $p: pairs.tar.zst; licence CC0-1.0; source the author's
# embeddings $e: emb.tar.zst
# trajectory $t: t.tar.zst
# distilled $d: d.tar.zst
END
same want got
ok 'vlpack' grep -qxF "vlpack --max-pixels 100000000 --split train --source 'the author'\''s' --licence CC0-1.0" recipe
ok 'vltrain-expert' grep -qE "^vltrain-expert .*--experts 2.*--model convnet:4x1 --size 16 --embed-dim 16 .*--seed 7 --augment none $p $e\$" recipe
ok 'vldistill' grep -qE "^vldistill --batch 4 .*--seed 3 --augment none $t --real $p --real $e\$" recipe

# what is printed is what was done: with files for ids it gives the same shards
mkdir ../again
sed -e '/^#/d;/^$/d' -e "s/$p/p.tar.zst/g;s/$e/e.tar.zst/g;s/$t/t.tar.zst/g" recipe >../again/lines
cd ../again
n=0
for name in p e t d; do
    n=$((n + 1))
    input=
    [ $name = p ] && input='--root .. ../pairs.tsv'
    run 0 sh -c "$(sed -n ${n}p lines) -q -o $name.tar.zst $input"
done
for name in p:pairs e:emb t:t d:d; do same ${name%:*}.tar.zst ../work/${name#*:}.tar.zst; done
cd ../work

# the places that are named, and nowhere else; what is missing is said
cp d.tar.zst ../elsewhere
cd ..
run 0 vlls --recipe elsewhere/d.tar.zst
err_is 'vlls: some parents were not found: name the shards or folders where they are'
out_is "# trajectory $t: not found

# pairs $p: not found

# embeddings $e: not found

$(grep -A1 '^# distilled' work/recipe | sed 's,: d.tar,: elsewhere/d.tar,')
"
run 0 vlls --recipe elsewhere/d.tar.zst work
sed 's,: \(.*tar.zst\),: work/\1,;s,work/d.tar,elsewhere/d.tar,' work/recipe >want
same want "$OUT"
run 0 vlls --recipe work/emb.tar.zst work/pairs.tar.zst
ok 'two of them' test "$(grep -c '^# ' "$OUT")" -eq 2
echo 'no shard' >work/text.tar
run 0 vlls --recipe elsewhere/d.tar.zst work
same want "$OUT"
run 1 vlls --recipe work/text.tar
err_like '^vlls: work/text.tar: not a shard'
run 2 vlls --recipe -
run 2 vlls --recipe --check work/d.tar.zst

# slices: the last step, with the file that it was taken from
vlselect -q -n 6 --seed 2 -o work/six.tar.zst work/pairs.tar.zst
vlcat -q --head 3 --drop 'json' -o work/three.tar.zst work/six.tar.zst
vlselect -q -n 2 --seed 5 -o work/two.tar.zst work/three.tar.zst
run 0 vlls --recipe work/two.tar.zst
grep -v '^#' "$OUT" | grep . >got
cat >want <<END
vlpack --max-pixels 100000000 --split train --source 'the author'\\''s' --licence CC0-1.0
vlselect --method random --count 6 --seed 2 $p
vlcat --head 3 --drop json $(id_of work/six.tar.zst)
vlselect --method random --count 2 --seed 5 $(id_of work/three.tar.zst)
END
sort want >want.sorted
sort got >got.sorted
ok 'four steps' test "$(wc -l <got)" -eq 4
ok 'in their order' test "$(cut -d ' ' -f 1 got | tr '\n' ' ')" = 'vlpack vlselect vlcat vlselect '
ok 'of the right inputs' test "$(grep -o '[0-9a-f]\{64\}' got | tr '\n' ' ')" = "$(grep -o '[0-9a-f]\{64\}' want | tr '\n' ' ')"
vlcat -q --join work/emb.tar.zst -o work/joined.tar.zst work/pairs.tar.zst
run 0 vlls --recipe work/joined.tar.zst
ok 'a join names its sidecar' grep -qxF "vlcat $p --join $e" "$OUT"

# a shard of several kinds has several makings; a slice that is all there is ends in itself
cat work/pairs.tar.zst work/emb.tar.zst >work/both.tar.zst
run 0 vlls --recipe work/both.tar.zst
ok 'two makings' test "$(grep -c '^vl' "$OUT")" -eq 2
rm work/both.tar.zst
mkdir loop
vlcat -q --head 100 -o loop/all.tar.zst work/pairs.tar.zst
run 0 vlls --recipe loop/all.tar.zst
ok 'and no more' test "$(grep -c '^vlcat --head 100' "$OUT")" -eq 1
out_like "^# pairs $p: not found$"
run 0 vlls --recipe loop/all.tar.zst work/pairs.tar.zst
ok 'what it was taken from' test "$(grep '^vl' "$OUT" | cut -d ' ' -f 1 | tr '\n' ' ')" = 'vlpack vlcat '

# for machines
run 0 vlls --recipe --json work/d.tar.zst
ok 'an object a shard' test "$(wc -l <"$OUT")" -eq 4
out_like "^\{\"command\":\[\"vlembed\",.*\"$p\"\],\"content_id\":\"$e\",\"file\":\"work/emb.tar.zst\",\"found\":true,\"kind\":\"embeddings\",\"licence\":\[\],"
out_like '"licence":\["CC0-1.0"\]'
run 0 vlls --recipe --json elsewhere/d.tar.zst
out_like "^\{\"content_id\":\"$p\",\"found\":false,\"kind\":\"pairs\"\}$"
