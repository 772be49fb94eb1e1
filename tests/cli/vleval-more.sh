#!/bin/sh
# SPDX-License-Identifier: MIT
# vleval-more.sh -- rows that are asked for: coresets, sets without a part, other networks, views and epochs; what
# rows say of each other; the recipe's digest. They leave the other rows as they are, and -j does not show.
. "$(dirname "$0")/lib.sh"
PATH=$PATH:${BIN%/bin}/tests

eval_data
small='--augment flip+shift2 --epochs 8 --full-epochs 2 --draws 3 --full-students 1'
evaluate() {
    # shellcheck disable=SC2086
    vleval $data $small "$@"
}
more='--students 2,convnet:8x1 --controls default,herding,k-center,forgetting --ablate rates,text,images --ars'
more="$more --select both --legacy-best --track"
steady() { sed -e '/students in .* s,/d' "$1" | cut -f1-19,22-27; }
rows() { grep -v '^#' "$1" | tail -n +2; }

# All of it at once. The rows that were there without it are the same.
run 0 evaluate --students 2 -o plain.tsv a.tar.zst b.tar.zst
# shellcheck disable=SC2086
run 0 evaluate $more -j1 -o all.tsv --json all.json --report all.html --run-log log.jsonl a.tar.zst b.tar.zst
err_is ''
rows all.tsv | cut -f1 >names
cat >want <<'END2'
chance
random-8
herding-8
k-center-8
forgetting-8
initial-8
initial-rates-8
distilled-8
distilled-8-no-rates
distilled-8-no-text
distilled-8-no-images
full
random-8@convnet:8x1
distilled-8@convnet:8x1
full@convnet:8x1
random-8@plain
distilled-8@plain
distilled-8@views
END2
for s in last test-best; do sed -n '2,18p' want | sed "s/\$/@$s/"; done >want2
cat want2 >>want
same names want
rows plain.tsv | cut -f1-19,22-25 >want
cut -f1 want >keep
rows all.tsv | cut -f1-19,22-25 | awk -F'\t' 'NR == FNR { k[$1]; next } $1 in k' keep - >got
same got want
ok 'every line has as many columns' sh -c 'test "$(grep -v "^#" all.tsv | awk -F"\t" "{ print NF }" | sort -u)" = 27'

# Threads do not show; the choice of rows that differ in the epoch alone is made once.
# shellcheck disable=SC2086
run 0 evaluate $more -j3 a.tar.zst b.tar.zst
steady all.tsv >want
steady "$OUT" >got
same got want
n=$(grep -c '"event": "grid point"' log.jsonl)
ok 'grid points are tried once' test "$n" -eq $((4 * (1 + 3 + 1) + 1 + 3 + 4 + 2 * 3 + 2 + 4 + 3 + 2 + 4 + 3 + 3))

# What is said about them.
cp all.tsv "$OUT"
out_like '^# coresets: chosen by \[u; v\] of one student after 5 epochs on all training data at rates 0\.1:1 '
out_like '^# @convnet:8x1: students of that network, [0-9]+ parameters, on the same sets'
out_like '^# @test-best: LEGACY, .* best ON TEST'
out_like '^# recipe [0-9a-f]{64} '
out_like '^# distilled-8-no-text / distilled-8: [0-9.]+ '
out_like '^# distilled-8@convnet:8x1 / random-8@convnet:8x1: '
out_like '^# distilled-8@convnet:8x1 reaches [0-9]+ % of full data \(40 pairs\)$'
out_like '^# distilled-8@last / random-8@last: '
out_unlike '^# distilled-8@?[a-z]* / random-8@convnet'
out_unlike '^# .*test-best.* / '
out_like ' GFLOP/s together, peak memory [0-9]+ MiB$'

# Numbers that rows give each other, from the formulas of spec/eval.md.
cat >check.py <<'END2'
import hashlib, json, math
doc = json.load(open("all.json"))
row = {r["name"]: r for r in doc["rows"]}
near = lambda a, b: math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-6)
score = lambda x: 100 * (math.exp(x) - math.exp(-1)) / (math.exp(1) - math.exp(-1))
m = lambda name: row[name]["mean"]
for s in ("", "@last", "@test-best"):
    d, r, f = row["distilled-8" + s], row["random-8" + s], row["full" + s]
    assert near(d["ior"], d["mean"] - r["mean"]) and d["ior_interval95"][0] < d["ior"] < d["ior_interval95"][1]
    assert near(d["percent_of_full"], 100 * d["mean"] / f["mean"])
    assert near(d["lrs"], score(0.5 * d["ior"] / 100 - 0.5 * (f["mean"] - d["mean"]) / 100))
    assert r["ior"] is None and f["ior"] is None and f["percent_of_full"] is None and r["lrs"] is None
    seen = m("distilled-8@views" + s) - m("random-8" + s)
    plain = m("distilled-8@plain" + s) - m("random-8@plain" + s)
    assert near(d["ars"], score(0.5 * seen / 100 + 0.5 * plain / 100))
    assert near(row["distilled-8@convnet:8x1" + s]["ior"], m("distilled-8@convnet:8x1" + s) - m("random-8@convnet:8x1" + s))
    assert near(row["distilled-8@convnet:8x1" + s]["percent_of_full"],
                100 * m("distilled-8@convnet:8x1" + s) / m("full@convnet:8x1" + s))
    assert m("full@convnet:8x1" + s) != f["mean"]
    assert near(row["distilled-8-no-text" + s]["ior"], m("distilled-8-no-text" + s) - r["mean"])
for name, r in row.items():
    if r["kind"] == "chance":
        continue
    assert r["query_interval95"][0] <= r["mean"] <= r["query_interval95"][1], name
    g = r["gauges"]
    assert -1 < g["image_cosine"] < 1 and -1 < g["text_cosine"] < 1 and 0 < g["modality_gap"] < 2
    for s in r["students"]:
        assert set(s["gauges"]) == {"image_cosine", "text_cosine", "modality_gap"}
    want = "test" if "@test-best" in name else "last" if "@last" in name else "validation"
    assert r["epochs_chosen_on"] == want and r["legacy_best"] == (want == "test"), name
    if want == "last":
        assert all(s["epoch"] == r["epochs"] == r["readings_at_epochs"][-1] for s in r["students"])
        best = max(p["validation"][-1] for p in r["grid_points"])
        assert r["grid_points"][r["best_grid_point"]]["validation"][-1] == best
    if want == "test":  # no worse than the same students at the epoch that validation chose
        for a, b in zip(r["students"], row[name.replace("@test-best", "")]["students"]):
            assert a["test"]["mean"] >= b["test"]["mean"] and a["epoch"] in r["readings_at_epochs"]
assert row["distilled-8-no-rates"]["grid_points"][0]["grid"] == [0.03, 0.3]
assert row["distilled-8-no-rates"]["students"][0]["rates"] in [p["grid"] for p in row["random-8"]["grid_points"]]
assert row["distilled-8-no-text"]["without"] == "text" and row["distilled-8"]["without"] is None
assert row["distilled-8@convnet:8x1"]["network"] == "convnet:8x1"
assert doc["peak_memory_bytes"] > 1 << 20
text = json.dumps(doc["recipe"]["canonical"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
assert doc["recipe"]["sha256"] in open("all.tsv").read() and doc["recipe"]["sha256"] in open("all.html").read()
assert json.loads(text) == doc["recipe"]["canonical"] and len(doc["recipe"]["canonical"]["rows"]) == len(row)
END2
run 0 python3 check.py
cp all.html "$OUT"
out_like 'distilled-8-no-images@test-best'
out_like 'LEGACY: best of them ON TEST'
out_like 'modality gap'
out_like 'whisk query'
out_unlike '(src|href)="(https?:)?//'

# The last epoch alone: the rows that --select both adds.
run 0 evaluate --students 2 --select last --controls random,full a.tar.zst b.tar.zst
rows "$OUT" | cut -f1-19 >got
rows all.tsv | cut -f1-19 | grep -E '^(random-8|distilled-8|full)@last	' >want
same got want

# Networks of another kind, one with settings of its own.
run 0 evaluate --students 'vit:8x1x2/4,lora=2,1,convnet:4x2' --controls random a.tar.zst
rows "$OUT" | cut -f1,4 >got
printf '%s\t1\n' random-8 distilled-8 'random-8@vit:8x1x2/4,lora=2' 'distilled-8@vit:8x1x2/4,lora=2' \
    random-8@convnet:4x2 distilled-8@convnet:4x2 >want
same want got

# The digest: equal runs have equal ones, whatever files are called and how many threads there are; each option that
# changes a number changes it.
digest() {
    evaluate --students 1 --epochs 2 --readings 1 --draws 1 --full-epochs 1 --track "$@" | sed -n 's/^# recipe \([0-9a-f]*\) .*/\1/p'
}
digest a.tar.zst >one
cp a.tar.zst renamed.tar.zst
digest -j2 -v --momentum 0 --select validation --random-students 0 --text hash32.txt.npy --json other.json renamed.tar.zst 2>log >two
present one
same one two
digest --seed 1 a.tar.zst >digests
digest b.tar.zst >>digests
digest a.tar.zst b.tar.zst >>digests
digest other=a.tar.zst >>digests
for o in '--students 2' '--students 1,convnet:8x1' '--draws 2' '--random-students 2' '--full-students 2' \
    '--grid 0.1:1' '--multiples 1' '--full-grid 0.3:3' '--epochs 3' '--full-epochs 2' '--readings 2' '--batch 3' \
    '--full-batch 3' '--momentum 0.5' '--select last' '--select both' '--legacy-best' '--controls chance' \
    '--controls default,herding' '--ablate rates' '--ars' '--augment flip' '--model convnet:4x2' '--embed-dim 8' \
    '--scale 5'; do
    # shellcheck disable=SC2086
    digest $o a.tar.zst >>digests
done
cat one digests | sort | uniq >all
ok 'one digest each' test "$(wc -l <all)" -eq "$(($(wc -l <digests) + 1))"
ok 'of every change' test "$(wc -l <digests)" -ge 28
run 0 python3 -c 'import json
i = json.load(open("other.json"))["recipe"]["canonical"]["inputs"]
assert i["text"] == ["hash32.txt.npy"] * 3 and i["image"] == [None] * 3, i'

# A learned similarity and features: the identity in its place is a row, and with it the label robust score.
mk_rows train.tar.zst e.tar.zst
vltrain-expert -q --scope heads --embed-dim 10 --batch 6 -n 2 -e 3 -o x.tar.zst e.tar.zst
vldistill -q --method lors --inner-steps 2 --start-max 1 --pairs 8 --iterations 20 --expert-epochs 2 --real e.tar.zst \
    -o lors.tar.zst x.tar.zst
heads() {
    vleval --train e.tar.zst --val e.tar.zst --test e.tar.zst --epochs 4 --readings 2 --full-epochs 1 --draws 2 "$@"
}
run 0 heads --students 1 --controls default,herding,cosine --ablate similarity,images,text,rates --json lors.json \
    -o lors.tsv lors=lors.tar.zst
rows lors.tsv | cut -f1 | tail -n +2 >got
printf '%s\n' random-8 herding-8 cosine-8 initial-8 initial-rates-8 lors-8 lors-8-no-similarity lors-8-no-rates \
    lors-8-no-text lors-8-no-images full >want
same want got
cat >check.py <<'END2'
import json, math
row = {r["name"]: r for r in json.load(open("lors.json"))["rows"]}
hard, m = row["lors-8-no-similarity"]["mean"], lambda name: row[name]["mean"]
a = 0.5 * (m("lors-8") - m("random-8")) / 100 - 0.5 * (m("full") - hard) / 100
want = 100 * (math.exp(a) - math.exp(-1)) / (math.exp(1) - math.exp(-1))
assert math.isclose(row["lors-8"]["lrs"], want, rel_tol=1e-6), (row["lors-8"]["lrs"], want)
assert row["lors-8"]["students"][0]["loss_nats"] != row["lors-8-no-similarity"]["students"][0]["loss_nats"]
END2
run 0 python3 check.py
run 0 heads --students 1 lors=lors.tar.zst
rows "$OUT" | grep '^lors-8	' | cut -f26 >got
echo - >want
same want got
run 2 heads --students 1,convnet:4x1 lors.tar.zst
err_like '^vleval: --students convnet:4x1: protocol heads has projection heads of one kind$'
run 2 heads --ars lors.tar.zst
err_like '^vleval: --ars: compares views of pixels, and protocol heads has features$'
