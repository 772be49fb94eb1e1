#!/bin/sh
# SPDX-License-Identifier: MIT
# vlpack-basic.sh -- a TSV and a folder become shards that stock tools read; equal bytes every way.
. "$(dirname "$0")/lib.sh"
PATH=$PATH:${BIN%/bin}/data

mkdir -p img/sub
i=0
while [ $i -lt 12 ]; do
    mkimage jpg 40 30 $i >img/p$i.jpg
    mkimage png 20 30 $i >img/sub/q$i.png
    printf 'picture %s\nthe same, again\n' $i >img/p$i.txt
    printf 'drawing %s\n' $i >img/sub/q$i.txt
    printf 'img/p%s.jpg\tpicture %s\tthe same, again\nimg/sub/q%s.png\tdrawing %s\n' $i $i $i $i
    i=$((i + 1))
done >pairs.tsv

run 0 vlpack -o a.tar.zst pairs.tsv
err_is 'vlpack: 24 records packed'
out_is ''
absent '*.tmp*'
run 0 vlls --check a.tar.zst
ok 'zstd finds it sound' zstd -qt a.tar.zst

# File or pipe, one thread or four, from here or from elsewhere: the same bytes.
run 0 vlpack -q pairs.tsv
err_is ''
same "$OUT" a.tar.zst
run 0 sh -c 'vlpack -j1 - <pairs.tsv | cat >b.tar.zst'
same a.tar.zst b.tar.zst
run 0 vlpack -j4 -o c.tar.zst pairs.tsv
same a.tar.zst c.tar.zst
mkdir elsewhere
run 0 sh -c 'cd elsewhere && vlpack -o d.tar.zst ../pairs.tsv && vlpack --root .. - <../pairs.tsv >e.tar.zst'
same a.tar.zst elsewhere/d.tar.zst
same a.tar.zst elsewhere/e.tar.zst

# What is inside: the image's own bytes, the first caption, all captions.
mkdir x
zstd -dcq a.tar.zst | tar -xf - -C x
same x/img/p3.jpg img/p3.jpg
same x/img/sub/q3.png img/sub/q3.png
printf 'picture 3' >want
same x/img/p3.txt want
printf '{"captions":["picture 3","the same, again"],"height":30,"width":40}' >want
same x/img/p3.json want
ok 'xxhsum agrees with the sums' sh -c 'cd x && xxhsum -qc __vl__/.sums.*'

# The same pairs as a folder: keys below the folder, in the order of the paths.
run 0 vlpack -j4 -o dir.tar.zst img
err_is 'vlpack: 24 records packed'
zstd -dcq dir.tar.zst | tar -tf - | sed -n 's/\.txt$//p' >keys
(cd img && find . -name '*.txt' | sed 's,^\./,,' | LC_ALL=C sort | sed 's,\.txt$,,') >want
same keys want
run 0 vlpack -j1 -o dir1.tar.zst img/
same dir.tar.zst dir1.tar.zst
printf 'more' >img/readme.md
run 0 vlpack -o dir2.tar.zst img
err_like '^vlpack: 1 files or folders belong to no pair; ignored$'
same dir.tar.zst dir2.tar.zst

# Named columns; what is recorded; the extension follows the bytes, not the name.
cp img/p1.jpg wrong-name.png
printf 'key\tsource\timage\tcaption\nx/1\tattic\twrong-name.png\tone\nx/2\t\timg/p2.jpg\ttwo\tzwei\n' >named.tsv
run 0 vlpack --split train --source 'made up' --licence CC0-1.0 -o named.tar.zst named.tsv
zstd -dcq named.tar.zst | tar -xf - -C x
same x/x/1.jpg img/p1.jpg
printf '{"captions":["one"],"height":30,"source":"attic","split":"train","width":40}' >want
same x/x/1.json want
run 0 vlls --manifest named.tar.zst
out_like '"kind": ?"pairs"'
out_like '"split": ?"train"'
out_like '"source": ?"made up"'
out_like '"licence": ?"CC0-1.0"'
out_unlike 'named'

# cat of two shards is a shard.
cat a.tar.zst named.tar.zst >both.tar.zst
run 0 vlls --check both.tar.zst
out_like 'records=26'
ok 'tar lists both' sh -c 'test "$(zstd -dcq both.tar.zst | tar -tf - | grep -c "txt$")" -eq 26'

# Bytes behind an image's end are packed as they are, and mentioned.
cp img/p4.jpg long.jpg
printf 'preview' >>long.jpg
printf 'long.jpg\tone\n' >long.tsv
run 0 vlpack --decode -o long.tar.zst long.tsv
err_like '^vlpack: 1 images have bytes behind their end; packed as they are$'
zstd -dcq long.tar.zst | tar -xf - -C x
same x/long.jpg long.jpg
