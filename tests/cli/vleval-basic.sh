#!/bin/sh
# SPDX-License-Identifier: MIT
# vleval-basic.sh -- every kind of row on made-up data; equal numbers at any -j, from a file or a pipe; what
# a row says does not depend on its neighbours; table, JSON and page agree.
. "$(dirname "$0")/lib.sh"
PATH=$PATH:${BIN%/bin}/tests

# 40 pairs to train on, 10 to choose by, 10 to test; two distilled sets of 8 pairs, one selected.
eval_data
sed -n 3,10p all.tsv >pick.tsv
vlpack -q -o pick.tar.zst pick.tsv
mk_text pick.tar.zst pick.emb.tar.zst 32
small='--augment flip+shift1 --epochs 8 --full-epochs 2 --draws 3 --students 2 --full-students 1'
eval_all() {
    # shellcheck disable=SC2086
    vleval $data $small "$@" pick.tar.zst,pick.emb.tar.zst a.tar.zst b.tar.zst
}
# Seconds and rates of computing are not the same twice.
steady() { sed -e '/students in .* s,/d' "$1" | cut -f1-19; }

run 0 eval_all -j1 -o table.tsv --json all.json --report page.html --run-log log.jsonl
out_is ''
err_is ''
absent '*.tmp*'
grep -v '^#' table.tsv | cut -f1 >names
printf '%s\n' set chance random-8 pick-8 initial-8 initial-rates-8 distilled-8 full >want
same names want
ok 'every line has as many columns' sh -c 'test "$(grep -v "^#" table.tsv | awk -F"\t" "{ print NF }" | sort -u)" = 27'
grep '^distilled-8' table.tsv | cut -f2-4 >got
printf '8\t2\t2\n' >want
same got want

# Notes and conclusions.
cp table.tsv "$OUT"
out_like '^# vleval [0-9.]+, protocol image: students train image encoder and text head from a fresh random start; no expert weight reaches a student$'
out_like '^# grid of distilled sets: each set.s learned rates times 0\.5 1 2$'
out_like '^# distilled-8 / random-8: [0-9.]+ \(95 % [0-9.]+ to [0-9.]+\), intervals apart: (yes|no)$'
out_like '^# distilled-8 / initial-rates-8: [0-9.]+ \('
out_like '^# distilled-8 (beats|is above|does not beat) .*real pairs, (random|pick|initial|initial-rates)-8'
out_like '^# distilled-8 reaches [0-9]+ % of full data \(40 pairs\)$'
vlls --check a.tar.zst | cut -f5 >id
ok 'the content id of a set is named' grep -q "^#   distilled $(cat id)\$" table.tsv

# Threads do not show; a distilled set may come through a pipe.
run 0 eval_all -j3
steady table.tsv >want
steady "$OUT" >got
same got want
# shellcheck disable=SC2086
run 0 sh -c "vleval $data $small pick.tar.zst,pick.emb.tar.zst - b.tar.zst <a.tar.zst"
steady "$OUT" >got
same got want

# So may a selected one, both kinds in one stream as vlselect writes them: the same pairs, the same numbers.
# shellcheck disable=SC2086
run 0 sh -c "cat pick.tar.zst pick.emb.tar.zst | vleval $data $small pick=- a.tar.zst b.tar.zst"
steady "$OUT" | grep -v '^#   ' >got
grep -v '^#   ' want >want2
same got want2

# A row alone is the row in company, whatever its file and label are called; another seed is another table.
grep '^random-8' table.tsv | cut -f1-19 >want
# shellcheck disable=SC2086
run 0 vleval $data $small --controls random pick=a.tar.zst
grep '^random-8' "$OUT" | cut -f1-19 >got
same got want
mv pick.tar.zst other.tar.zst
# shellcheck disable=SC2086
run 0 vleval $data $small --batch 4 --model convnet:4x1 --size 16 --embed-dim 16 --scale 10 \
    --controls none x=other.tar.zst,pick.emb.tar.zst
grep '^pick-8' table.tsv | cut -f2-19 >want
grep '^x-8' "$OUT" | cut -f2-19 >got
same got want
mv other.tar.zst pick.tar.zst
run 0 eval_all --seed 1
grep '^random-8' table.tsv | cut -f1-19 >want
grep '^random-8' "$OUT" | cut -f1-19 >got
no 'another seed gives other numbers' cmp -s got want

# Labels part distilled sets into rows of their own.
# shellcheck disable=SC2086
run 0 vleval $data $small --controls none one=a.tar.zst two=b.tar.zst
ok 'two rows' test "$(grep -c '^\(one\|two\)-8	8	1	2	' "$OUT")" -eq 2

# JSON: the same numbers and all that they come from.
cat >check.py <<'END'
import json, math, sys
doc = json.load(open("all.json"))
table = [l.rstrip("\n").split("\t") for l in open("table.tsv") if not l.startswith("#")]
head, rows = table[0], table[1:]
assert [r["name"] for r in doc["rows"]] == [r[0] for r in rows]
for want, r in zip(rows, doc["rows"]):
    cell = dict(zip(head, want))
    assert cell["mean"] == "%.2f" % r["mean"], (cell, r["mean"])
    assert [cell["IR@%d" % k] for k in (1, 5, 10)] == ["%.2f" % x for x in r["ir"]]
    assert [cell["TR@%d" % k] for k in (1, 5, 10)] == ["%.2f" % x for x in r["tr"]]
    if r["kind"] == "chance":
        continue
    test = [s["test"]["mean"] for s in r["students"]]
    n = len(test)
    assert n == r["sets"] * r["students_per_set"]
    assert math.isclose(sum(test) / n, r["mean"], abs_tol=1e-6)
    for s in r["students"]:
        six = s["test"]["ir"] + s["test"]["tr"]
        assert math.isclose(sum(six) / 6, s["test"]["mean"], abs_tol=1e-6)
        assert len(s["loss_nats"]) == r["epochs"] and all(x > 0 for x in s["loss_nats"])
    # What was chosen is the greatest validation reading, the earlier point and the fewer epochs among equals.
    best = max(x for p in r["grid_points"] for x in p["validation"])
    point = next(i for i, p in enumerate(r["grid_points"]) if best in p["validation"])
    assert r["best_grid_point"] == point
    assert r["epochs"] == r["readings_at_epochs"][r["grid_points"][point]["validation"].index(best)]
    if r["kind"] == "random":
        assert n == 6 and r["interval95"][0] < r["mean"] < r["interval95"][1]
        assert [s["rates"] for s in r["students"]] == [r["grid_points"][point]["grid"]] * n
    if r["kind"] == "distilled":
        m = r["grid_points"][point]["grid"][0]
        for s in r["students"]:
            learned = [0.05, 0.6 + 0.1 * s["set"]]
            assert all(math.isclose(a, m * b, rel_tol=1e-6) for a, b in zip(s["rates"], learned)), s
    if r["kind"] == "initial-rates":
        assert len(r["grid_points"]) == 1 and math.isclose(r["students"][-1]["rates"][1], 0.7, rel_tol=1e-6)
assert len(doc["inputs"]) == 10 and all(len(i["id"]) == 64 for i in doc["inputs"])
assert doc["protocol"]["scope"] == "image" and doc["protocol"]["model"]["spec"] == "convnet:4x1"
END
run 0 python3 check.py

# The page: whole, with curves and pictures of its own, and nothing from elsewhere.
cp page.html "$OUT"
out_like '<svg'
out_like 'data:image/png;base64,'
out_like 'distilled-8'
out_unlike '(src|href)="(https?:)?//'
ok 'a picture before and after for each of the 8 pairs' test "$(grep -o 'data:image/png' page.html | wc -l)" -eq 16
ok 'two curves a row' test "$(grep -c 'class="plot"\|<figure' page.html)" -ge 12

# A line for each grid point and each student in the log.
ok 'run log' test "$(grep -c '"event": "student"' log.jsonl)" -eq $((6 + 2 + 4 + 4 + 4 + 1))
ok 'run log, grid' test "$(grep -c '"event": "grid point"' log.jsonl)" -eq $((4 + 4 + 4 + 1 + 3 + 2))

# JSON alone on standard output.
run 0 eval_all --json -
ok 'standard output is JSON' python3 -c 'import json, sys; json.load(open(sys.argv[1]))' "$OUT"

# A reader that has gone is no failure; a full disk is.
{ rc=0; eval_all 2>"$ERR" || rc=$?; echo $rc >rc; } | true
ok 'a closed pipe is no failure' test "$(cat rc)" -eq 0
err_is ''
