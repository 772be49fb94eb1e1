# SPDX-License-Identifier: MIT
# Shards for the examples of vleval(1): three splits, two distilled sets, a selected one.
maker=${BIN%/bin}/tests
head -n 20 pairs.tsv >train.tsv
sed -n 21,30p pairs.tsv >val.tsv
sed -n 31,40p pairs.tsv >test.tsv
for split in train val test; do
    vlpack -q --root . -o $split.tar.zst $split.tsv
    "$maker/mk_text" $split.tar.zst $split.emb.tar.zst 32
done
"$maker/mk_distilled" -s 1 train.tar.zst train.emb.tar.zst set.tar.zst
"$maker/mk_distilled" -s 2 train.tar.zst train.emb.tar.zst set2.tar.zst
vlselect -q -n 8 -o few.tar.zst train.tar.zst train.emb.tar.zst
