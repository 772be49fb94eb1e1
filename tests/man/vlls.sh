# SPDX-License-Identifier: MIT
# Inputs of the examples in cli/man/vlls.1: two shards.
head -n 20 pairs.tsv >first.tsv
tail -n 20 pairs.tsv >second.tsv
vlpack -q -o train-000000.tar.zst first.tsv
vlpack -q -o train-000001.tar.zst second.tsv
cp train-000000.tar.zst train.tar.zst
vlembed -q -o train.emb.tar.zst train.tar.zst
