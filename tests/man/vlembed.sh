# SPDX-License-Identifier: MIT
# Inputs of the examples in cli/man/vlembed.1.
vlpack -q -o train.tar.zst pairs.tsv
