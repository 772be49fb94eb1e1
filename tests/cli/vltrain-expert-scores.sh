#!/bin/bash
# SPDX-License-Identifier: MIT
# vltrain-expert-scores.sh -- --scores: one record a pair, the same at any -j; the experts do not change by it;
# vlselect keeps by them and cuts them down with the pairs.
. "$(dirname "$0")/lib.sh"

python3 "$TOP/tests/data/make_pairs.py" 40 >pairs.tsv
vlpack -q -o pairs.tar.zst pairs.tsv
vlembed -q -o emb.tar.zst pairs.tar.zst
expert() { vltrain-expert -q -n 3 -e 4 --batch 10 --model convnet:8x2 --size 16 --embed-dim 16 "$@" pairs.tar.zst emb.tar.zst; }

run 0 expert -o plain.tar.zst
run 0 expert -j1 --scores s.tar.zst -o e.tar.zst
err_is ''
same plain.tar.zst e.tar.zst
run 0 expert -j4 --scores s4.tar.zst -o e4.tar.zst
same s.tar.zst s4.tar.zst
run 0 vlls --check s.tar.zst
out_like '	ok	scores	segments=1 records=40 '
run 0 vlls --manifest s.tar.zst
out_like '"kind":"scores"'
out_like '"forgetting.score.npy":\{"dtype":"f64","shape":\[1\]\}'
vlls pairs.tar.zst | cut -f 1 >want
vlls s.tar.zst | cut -f 1 >got
same want got

# the numbers: events of 3 experts in 4 epochs lie on thirds up to 4, losses about log(10) for a batch of 10
mkdir x
zstd -dcq s.tar.zst | tar -xf - -C x
cat >values.py <<'PY'
import glob, struct
def read(which): # the last 8 bytes of a .npy with one f64
    return [struct.unpack("<d", open(n, "rb").read()[-8:])[0]
            for n in sorted(glob.glob("x/**/*.%s.score.npy" % which, recursive=True))]
f, l = read("forgetting"), read("loss")
assert len(f) == len(l) == 40
assert max(abs(3 * v - round(3 * v)) for v in f) < 1e-9 and min(f) >= 0 and max(f) <= 4 and len(set(f)) > 2, f
assert 0 < min(l) and max(l) < 20 and 1 < sum(l) / 40 < 4, l
print("%.9g" % (sum(l) / 40))
PY
run 0 python3 values.py
# 4 epochs of 4 batches of 10: the mean over pairs is that of the steps, which the log has
run 0 expert --run-log log.json --scores s2.tar.zst -o e2.tar.zst
same s.tar.zst s2.tar.zst
cat >mean.py <<'PY'
import json, sys
l = [json.loads(t) for t in open("log.json")]
l = [t["loss_nats"] for t in l if "loss_nats" in t]
assert len(l) == 12
print(abs(sum(l) / 12 - float(sys.argv[1])) < 1e-4)
PY
run 0 python3 mean.py "$(python3 values.py)"
out_is 'True'

# vlselect: least forgotten, most forgotten, by loss
run 0 vlselect -q -n 7 --method forgetting --list low.tsv -o low.tar.zst pairs.tar.zst emb.tar.zst s.tar.zst
run 0 vlls --check low.tar.zst
out_like '	ok	mixed	segments=3 records=21 '
run 0 vlselect -q -n 7 --method forgetting --keep most --list high.tsv -o high.tar.zst pairs.tar.zst emb.tar.zst s.tar.zst
run 0 vlselect -q -n 40 --method forgetting --list all.tsv -o all.tar.zst pairs.tar.zst s.tar.zst
cut -f 3 all.tsv | sort -g | head -n 7 >want
cut -f 3 low.tsv | sort -g >got
same want got
cut -f 3 all.tsv | sort -g | tail -n 7 >want
cut -f 3 high.tsv | sort -g >got
same want got
run 0 vlselect -q -n 7 --method score --score loss.score.npy --keep least --list loss.tsv -o loss.tar.zst s.tar.zst
ok 'seven' test "$(wc -l <loss.tsv)" -eq 7
run 0 vlls --manifest low.tar.zst
out_like '"keep":"least","method":"forgetting","n":7,"score":"forgetting.score.npy","seed":0'
# equal scores: the seed decides
run 0 vlselect -q -n 7 --seed 1 --method forgetting -o low1.tar.zst pairs.tar.zst emb.tar.zst s.tar.zst
no 'another seed, others of the equal ones' cmp -s low.tar.zst low1.tar.zst
# what was selected is trained on again, scores and all
run 0 vltrain-expert -q -n 1 -e 1 --batch 5 --model convnet:8x2 --size 16 --embed-dim 16 -o again.tar.zst low.tar.zst
# a shard of scores without their pairs
head -n 30 pairs.tsv >few.tsv
vlpack -q -o few.tar.zst few.tsv
run 1 vlselect -n 3 --method forgetting -o no.tar.zst few.tar.zst s.tar.zst
err_like "^vlselect: s.tar.zst: record '.*': a score without a pair$"
absent 'no.tar.zst*'

# records in no batch have no score
run 0 vltrain-expert -n 1 -e 1 --batch 39 --model convnet:8x2 --size 16 --embed-dim 16 --scores s39.tar.zst -o e39.tar.zst pairs.tar.zst emb.tar.zst
err_like '^vltrain-expert: s39.tar.zst: 1 records were in no batch and have no score$'
run 1 vlselect -n 3 --method forgetting -o no.tar.zst pairs.tar.zst s39.tar.zst
err_like "^vlselect: record '.*': no score \(forgetting.score.npy\) in any shard$"

run 2 expert --resume --scores r.tar.zst -o r2.tar.zst
err_is "vltrain-expert: --scores with --resume: the epochs of the earlier run left none
try 'vltrain-expert --help'"
run 1 expert --scores /nowhere/s.tar.zst -o n.tar.zst
err_like '^vltrain-expert: /nowhere/s.tar.zst'
absent 'n.tar.zst'
