# SPDX-License-Identifier: MIT
# Inputs of the examples in cli/man/vlcat.1.
vlpack -q --split train -o train.tar.zst pairs.tsv
head -n 20 pairs.tsv >first.tsv
tail -n 20 pairs.tsv >second.tsv
vlpack -q -o train-000000.tar.zst first.tsv
vlpack -q -o train-000001.tar.zst second.tsv
vlembed -q --image-model convnet:8x2#seed=1 --size 16 -o train.emb.tar.zst train.tar.zst
"${BIN%/bin}/tests/mk_distilled" -n 3 -s 1 train.tar.zst train.emb.tar.zst one.tar.zst
"${BIN%/bin}/tests/mk_distilled" -n 4 -s 2 train.tar.zst train.emb.tar.zst two.tar.zst
