#!/bin/bash
# SPDX-License-Identifier: MIT
# vlpack-bad.sh -- bad input and a failing system: one clear line, exit 1, nothing partial left.
. "$(dirname "$0")/lib.sh"
PATH=$PATH:${BIN%/bin}/data

mkdir img
for i in 0 1 2 3; do mkimage jpg 64 64 $i >img/$i.jpg; done
half=$(($(stat -c %s img/0.jpg) / 2))
head -c $half img/0.jpg >img/half.jpg
mkimage header 40000 40000 >img/huge.png
mkimage png 8 8 1 >img/ok.png
sed 's/IEND/IEnD/' img/ok.png >img/crc.png
printf 'GIF89a' >img/gif.jpg
: >img/empty.jpg
mkdir img/folder.jpg
mkfifo img/fifo.jpg
# Data that the structure does not show to be damaged: zeros in the middle of a scan.
cp img/3.jpg img/zeros.jpg
head -c 200 /dev/zero | dd of=img/zeros.jpg bs=1 seek=$(($(stat -c %s img/3.jpg) - 300)) conv=notrunc status=none

# bad NAME 'line of the TSV' 'message': the record stands between two good ones.
bad() {
    printf 'img/0.jpg\tone\n%b\nimg/1.jpg\ttwo\n' "$2" >pairs.tsv
    run 1 vlpack -j4 -o out.tar.zst pairs.tsv
    err_like "^vlpack: pairs\.tsv: record 1: $3\$"
    ok "$1: one line" test "$(wc -l <"$ERR")" -eq 1
    absent 'out.tar.zst*'
    run 1 vlpack pairs.tsv
    run 0 vlpack --skip-bad -o skipped.tar.zst pairs.tsv
    err_like "^vlpack: pairs\.tsv: record 1: $3; left out\$"
    err_like '^vlpack: 1 of 3 records left out$'
    err_like '^vlpack: 2 records packed$'
    run 0 vlls --check skipped.tar.zst
    out_like 'records=2'
    ok "$1: the tail has the count" sh -c \
        'zstd -dcq skipped.tar.zst | tar -xOf - --wildcards "__vl__/.tail.*" | grep -q "\"left_out\":1"'
    rm skipped.tar.zst
}

bad 'half a JPEG' 'img/half.jpg\tx' "img/half\.jpg: JPEG: truncated: .*, file ends at byte $half"
bad '40000 x 40000' 'img/huge.png\tx' \
    'img/huge\.png: PNG: 40000 x 40000 pixels, more than 100000000 allowed \(byte 16\)'
bad 'CRC' 'img/crc.png\tx' 'img/crc\.png: PNG: IEnD: CRC ae426082, computed .* \(byte [0-9]+\)'
bad 'not an image' 'img/gif.jpg\tx' 'img/gif\.jpg: neither JPEG, PNG nor WebP \(byte 0\)'
bad 'empty' 'img/empty.jpg\tx' 'img/empty\.jpg: empty file'
bad 'missing' 'img/absent.jpg\tx' 'img/absent\.jpg: No such file or directory'
bad 'folder' 'img/folder.jpg\tx' 'img/folder\.jpg: not a regular file'
bad 'fifo' 'img/fifo.jpg\tx' 'img/fifo\.jpg: not a regular file'
bad 'latin-1' 'img/2.jpg\tgood\tcaf\0351' 'caption 1 is not UTF-8 \(byte 3\)'
bad 'control' 'img/2.jpg\ta\001b' 'caption 0 holds the control character U\+0001 \(byte 1\)'
bad 'blank' 'img/2.jpg\t  ' 'caption 0 is blank'
bad 'no caption' 'img/2.jpg' '1 field, at least 2 expected'
bad 'key' 'img/../img/2.jpg\tx' "key 'img/\.\./img/2': a part begins with '\.' or '__'"
bad 'same key' 'img/0.jpg\tx' "img/0\.jpg: record 'img/0': the key is there twice"

# The first fault in the order of the source is the one that counts, at any -j.
printf 'img/0.jpg\tone\nimg/half.jpg\tx\nimg/absent.jpg\tx\n' >two.tsv
for j in 1 4; do
    run 1 vlpack -j$j -o out.tar.zst two.tsv
    err_like '^vlpack: two\.tsv: record 1: img/half\.jpg'
done
absent 'out.tar.zst*'

# Damage inside a scan shows only when the image is decoded.
printf 'img/zeros.jpg\tone\n' >zeros.tsv
run 0 vlpack -o zeros.tar.zst zeros.tsv
run 1 vlpack --decode -o out.tar.zst zeros.tsv
err_like '^vlpack: zeros\.tsv: record 0: img/zeros\.jpg: JPEG: '
absent 'out.tar.zst*'
printf 'img/0.jpg\tone\n' >small.tsv
run 1 vlpack --max-pixels 4095 -o out.tar.zst small.tsv
err_like '64 x 64 pixels, more than 4095 allowed'
run 0 vlpack --max-pixels 4096 -o small.tar.zst small.tsv

# A folder with a picture that has no caption; nothing at all; nothing good.
mkdir dir empty
cp img/0.jpg dir/
run 1 vlpack -o out.tar.zst dir
err_is 'vlpack: dir/0.jpg: no 0.txt beside it'
run 1 vlpack -o out.tar.zst empty
err_is 'vlpack: empty: no records'
run 1 vlpack --skip-bad -o out.tar.zst dir
err_like '^vlpack: dir: no records but bad ones$'
run 1 vlpack -o out.tar.zst absent.tsv
err_is 'vlpack: absent.tsv: No such file or directory'
absent 'out.tar.zst*'

# The system fails.
printf 'img/0.jpg\tone\nimg/1.jpg\ttwo\n' >good.tsv
run 1 sh -c 'vlpack good.tsv >/dev/full'
err_is 'vlpack: standard output: write at byte 0: No space left on device'
run 1 vlpack -o /dev/full good.tsv
err_is 'vlpack: /dev/full: write at byte 0: No space left on device'
: >many.tsv
mkdir many
i=0
while [ $i -lt 40 ]; do
    mkimage png 64 64 $i >many/$i.png
    head -c 3000 /dev/urandom >>many/$i.png
    printf 'many/%s.png\tx\n' $i >>many.tsv
    i=$((i + 1))
done
run 1 bash -c 'ulimit -f 64; vlpack -q -o out.tar.zst many.tsv'
err_is 'vlpack: out.tar.zst: write at byte 65536: File too large'
absent 'out.tar.zst*'
# The reader is gone before the first byte.
{ sleep 0.2; rc=0; vlpack -q good.tsv 2>"$ERR" || rc=$?; echo $rc >"$T_KEEP/rc"; } | true
ok 'a closed pipe: exit 1' test "$(cat "$T_KEEP/rc")" -eq 1
err_is 'vlpack: standard output: write at byte 0: Broken pipe'
run 1 vlpack -o no-such-folder/out.tar.zst good.tsv
err_like '^vlpack: no-such-folder/out\.tar\.zst.*: No such file or directory$'
# Killed half-way, with its source held open: the temporary file goes.
mkfifo slow
vlpack -q -o out.tar.zst --root . - <slow &
pid=$!
exec 9>slow
printf 'img/0.jpg\tone\n' >&9
sleep 0.3
kill -TERM $pid
rc=0
wait $pid || rc=$?
exec 9>&-
ok 'SIGTERM ends it' test $rc -eq 143
absent 'out.tar.zst*'

# An output that was there stays as it was when packing fails.
echo before >out.tar.zst
run 1 vlpack -o out.tar.zst two.tsv
ok 'the old file is untouched' grep -qx before out.tar.zst
absent 'out.tar.zst.tmp*'

# The command line.
run 2 vlpack
run 2 vlpack --root . dir
err_like '^vlpack: dir is a folder: a root is for TSV and JSON only$'
run 2 vlpack --max-pixels 0 good.tsv
run 2 vlpack --split "$(printf 'a\tb')" good.tsv
err_like '^vlpack: --split: text holds the control character U\+0009 \(byte 1\)$'
