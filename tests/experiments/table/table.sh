#!/bin/sh
# SPDX-License-Identifier: MIT
# table.sh -- the cells that were made, as one table: mean recall with its interval, and whether a distilled row is
# above the best coreset of its budget. Cells that were not made are named at the end.
set -eu

missing=
for cell in "$@"; do
    [ -e "results/$cell.tsv" ] || missing="$missing $cell"
done
printf 'protocol\tpairs\tmethod\tgradient\tmean\tlow95\thigh95\tabove the best coreset\n'
for cell in "$@"; do
    [ -e "results/$cell.tsv" ] || continue
    # columns by their names: tools may add some
    grep -v '^#' "results/$cell.tsv" | awk -F'\t' -v cell="$cell" '
        NR == 1 { for (i = 1; i <= NF; i++) c[$i] = i; next }
        {
            n = split(cell, part, "-")
            gradient = part[n] == "exact" || part[n] == "tesla" ? part[n] : "-"
            name = $c["set"]
            sub(/-[0-9]+$/, "", name)
            print part[1] "\t" (part[2] == "full" ? "-" : part[2]) "\t" name "\t" gradient "\t" $c["mean"] "\t" $c["low95"] "\t" $c["high95"]
        }'
done | awk -F'\t' '
    { line[NR] = $0; key[NR] = $1 FS $2; method[NR] = $3; mean[NR] = $5 }
    $3 ~ /^(random|herding|k-center|k-means|forgetting)$/ { if ($5 > best[$1 FS $2]) best[$1 FS $2] = $5; coreset[NR] = 1 }
    END {
        for (i = 1; i <= NR; i++) {
            b = best[key[i]]
            print line[i] "\t" (coreset[i] || method[i] ~ /^(chance|full)$/ || b == "" ? "-" : mean[i] > b ? sprintf("yes, by %.2f", mean[i] - b) : "no")
        }
    }'
[ -z "$missing" ] || echo "not made:$missing"
