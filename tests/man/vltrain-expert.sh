# SPDX-License-Identifier: MIT
# Shards for the examples of vltrain-expert(1), as vlpack and vlembed would make them.
for split in train val; do
    vlpack -q --root . -o $split.tar.zst pairs.tsv
    "${BIN%/bin}/tests/mk_text" $split.tar.zst $split.emb.tar.zst 32
done
