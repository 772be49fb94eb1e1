# SPDX-License-Identifier: MIT
# Inputs of the examples in cli/man/vlselect.1.
vlpack -q -o train.tar.zst pairs.tsv
vlembed -q --image-model convnet:8x2#seed=1 --size 16 -o train.emb.tar.zst train.tar.zst
