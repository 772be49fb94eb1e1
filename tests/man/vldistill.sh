# SPDX-License-Identifier: MIT
# Shards for the examples of vldistill(1): 120 pairs (the example of --help asks for 100) and two experts.
maker=${BIN%/bin}/tests
python3 "$TOP/tests/data/make_pairs.py" 120 many >many.tsv
vlpack -q --root . -o train.tar.zst many.tsv
"$maker/mk_text" train.tar.zst train.emb.tar.zst 32
vltrain-expert -q -n 2 -e 3 --size 16 --model convnet:4x1 --embed-dim 8 -o experts.tar.zst \
    train.tar.zst train.emb.tar.zst
