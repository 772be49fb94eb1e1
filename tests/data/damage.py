#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""damage.py FILE FOLDER CUTS FLIPS -- copies of FILE in FOLDER: cut at CUTS places, with one of FLIPS bits flipped.

The places are spread evenly over the file; every one is taken where CUTS or FLIPS is larger than the file."""
import os
import sys

name, folder, cuts, flips = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
with open(name, "rb") as f:
    whole = f.read()
os.makedirs(folder)
n = len(whole)


def write(what, data):
    with open("%s/%s" % (folder, what), "wb") as f:
        f.write(data)


for i in range(min(cuts, n)):
    at = i * n // min(cuts, n)
    write("cut-%08d" % at, whole[:at])
for i in range(min(flips, 8 * n)):
    bit = i * 8 * n // min(flips, 8 * n)
    data = bytearray(whole)
    data[bit >> 3] ^= 1 << (bit & 7)
    write("flip-%08d-%d" % (bit >> 3, bit & 7), data)
