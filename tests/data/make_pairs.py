#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make_pairs.py N [FOLDER] -- N small PNGs in FOLDER [images] and a TSV of them on standard output.

Picture i shows a disc on a background; its caption says so. A line is path, tab, caption. The same N
gives the same bytes: no random numbers, no time, standard library only."""
import os
import struct
import sys
import zlib

COLOURS = [("red", (200, 40, 40)), ("green", (40, 160, 60)), ("blue", (50, 70, 200)),
           ("yellow", (230, 210, 60)), ("white", (245, 245, 245)), ("black", (20, 20, 20)),
           ("purple", (130, 50, 160))]
PLACES = ["left", "middle", "right", "top", "bottom"]
CENTRES = {"left": (.25, .5), "middle": (.5, .5), "right": (.75, .5), "top": (.5, .25),
           "bottom": (.5, .75)}


def png(width, height, rows):
    def chunk(kind, data):
        return (struct.pack(">I", len(data)) + kind + data +
                struct.pack(">I", zlib.crc32(kind + data)))
    raw = b"".join(b"\0" + r for r in rows)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b""))


def disc(width, height, place, fore, back, radius):
    cx, cy = CENTRES[place][0] * width, CENTRES[place][1] * height
    for y in range(height):
        yield b"".join(bytes(fore if (x - cx) ** 2 + (y - cy) ** 2 < radius ** 2 else back)
                       for x in range(width))


def main():
    n, folder = int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "images"
    os.makedirs(folder, exist_ok=True)
    for i in range(n):
        place = PLACES[i % 5]
        fore = COLOURS[i % 7]
        back = COLOURS[(i % 7 + 1 + i // 35 % 6) % 7]
        width, height, radius = 24 + i % 9, 24 + i % 7, 5 + i // 210 % 6
        path = "%s/img-%05d.png" % (folder, i)
        with open(path, "wb") as f:
            f.write(png(width, height, disc(width, height, place, fore[1], back[1], radius)))
        size = "" if radius == 5 else " of size %d" % radius
        print("%s\ta %s disc%s at the %s of a %s field" % (path, fore[0], size, place, back[0]))


main()
