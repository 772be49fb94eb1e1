#!/bin/sh
# SPDX-License-Identifier: MIT
# vlpack-webp.sh -- WebP pictures are packed as they are, and read by the tools behind.
. "$(dirname "$0")/lib.sh"
PATH=$PATH:${BIN%/bin}/data

mkdir img x
for i in 0 1 2 3 4 5 6 7; do
    mkimage webp 40 30 $i >img/p$i.webp
    printf 'picture %s\n' $i >img/p$i.txt
done
cp img/p7.webp img/p8.jpg # by its bytes, not its name
printf 'picture 8\n' >img/p8.txt
run 0 vlpack --decode -o a.tar.zst img
err_is 'vlpack: 9 records packed'
run 0 vlpack --decode -j1 -o b.tar.zst img
same a.tar.zst b.tar.zst
zstd -dcq a.tar.zst | tar -xf - -C x
same x/p3.webp img/p3.webp
same x/p8.webp img/p7.webp
printf '{"captions":["picture 3"],"height":30,"width":40}' >want
same x/p3.json want

# The tools behind decode them.
run 0 vlembed --image-model 'convnet:16x2#seed=1' --size 16 -o e.tar.zst a.tar.zst
err_is 'vlembed: 9 records embedded, 9 captions'
run 0 vltrain-expert -q -n 1 -e 1 --model convnet:8x2 --size 16 -o t.tar.zst a.tar.zst e.tar.zst

# What is no still picture, or not whole.
mkdir bad
printf 'x\n' >bad/p.txt
{ printf 'RIFF\026\0\0\0WEBPVP8X\012\0\0\0\002\0\0\0\047\0\0\035\0\0'; } >bad/p.webp
run 1 vlpack -o c.tar.zst bad
err_is 'vlpack: bad/p.webp: WebP: an animation, one picture expected (byte 20)'
head -c 100 img/p1.webp >bad/p.webp
run 1 vlpack -o c.tar.zst bad
err_like '^vlpack: bad/p\.webp: WebP: truncated: RIFF of [0-9]+ bytes, file ends at byte 100$'
absent 'c.tar.zst*'
