#!/bin/bash
# SPDX-License-Identifier: MIT
# vlpack-tar.sh -- WebDataset tars as input: records and what stays with them; hostile and damaged tars.
. "$(dirname "$0")/lib.sh"
PATH=$PATH:${BIN%/bin}/data

mkdir in x
for i in 0 1 2 3 4 5; do
    mkimage jpg 40 30 $i >in/s$i.jpg
    printf 'picture %s\n' $i >in/s$i.txt
    printf '{"caption":"picture %s","url":"http://x/%s","width":1}' $i $i >in/s$i.json
    printf '%s' $i >in/s$i.cls
done
tar -cf a.tar --sort=name -C in .
run 0 vlpack -o a.tar.zst a.tar
err_is 'vlpack: 6 records packed'
run 0 vlls a.tar.zst
out_like '^s3	[0-9]+	jpg=[0-9]+ json=68 txt=9 cls=1$'
zstd -dcq a.tar.zst | tar -xf - -C x
same x/s3.jpg in/s3.jpg
same x/s3.cls in/s3.cls
printf 'picture 3' >want
same x/s3.txt want
printf '{"captions":["picture 3"],"height":30,"url":"http://x/3","width":40}' >want
same x/s3.json want

# Every carrier, a file and a pipe, any -j, and whatever the name says.
gzip -k a.tar
zstd -q a.tar -o a.zst
split -n 3 --filter='zstd -q' a.tar >frames.tar
cp a.tar.gz wrong.tsv
for f in a.tar a.tar.gz a.zst frames.tar wrong.tsv; do
    run 0 vlpack -q -j1 -o b.tar.zst $f
    same a.tar.zst b.tar.zst
    run 0 sh -c "cat $f | vlpack -q -j4 - >b.tar.zst"
    same a.tar.zst b.tar.zst
done

# Captions: txt first, then what the json has besides; a list, a string; no json, no txt; a split of its own.
make() { # NAME MEMBER...: a tar of files of in
    local to=$1
    shift
    tar -cf "$to" -C in "$@"
}
printf '{"captions":["one","two","one"],"split":"val"}' >in/m.json
printf 'two' >in/m.txt
cp in/s0.jpg in/m.JPG
cp in/s0.jpg in/n.jpeg
printf '{"caption":["eins","zwei"],"key":"n"}' >in/n.json
mkimage webp 8 8 1 >in/o.webp
printf 'drei\r\n' >in/o.txt
cp in/s0.jpg in/o.seg.png
make m.tar m.JPG m.json m.txt n.jpeg n.json o.txt o.seg.png o.webp
run 0 vlpack --split train -o m.tar.zst m.tar
zstd -dcq m.tar.zst | tar -xf - -C x
printf '{"captions":["two","one","one"],"height":30,"split":"val","width":40}' >want
same x/m.json want
printf '{"captions":["eins","zwei"],"height":30,"key":"n","split":"train","width":40}' >want
same x/n.json want
same x/o.webp in/o.webp
same x/o.seg.png in/o.seg.png
printf 'drei' >want
same x/o.txt want

# Names as GNU tar, PAX and old tars write them; tars behind one another are all read.
cp in/s0.jpg in/hügel.jpg
cp in/s0.txt in/hügel.txt
long=$(printf 'long-%096d' 7)
cp in/s0.jpg "in/$long.jpg"
cp in/s0.txt "in/$long.txt"
for format in gnu pax; do
    tar --format=$format -cf $format.tar -C in hügel.jpg hügel.txt "$long.jpg" "$long.txt"
    run 0 vlpack -o out.tar.zst $format.tar
    run 0 vlls out.tar.zst
    out_like '^hügel	'
    out_like "^$long	"
done
tar --format=v7 -cf v7.tar -C in s0.jpg s0.txt
run 0 vlpack -o out.tar.zst v7.tar
cat m.tar a.tar >both.tar
run 0 vlpack -o out.tar.zst both.tar
err_is 'vlpack: 9 records packed'
rm out.tar.zst

# bad NAME TAR MESSAGE: the record in question stands between two good ones.
bad() {
    run 1 vlpack -j4 -o out.tar.zst "$2"
    err_like "^vlpack: $2: record 1$3\$"
    ok "$1: one line" test "$(wc -l <"$ERR")" -eq 1
    absent 'out.tar.zst*'
    run 0 vlpack --skip-bad -o skipped.tar.zst "$2"
    err_like '^vlpack: 1 of 3 records left out$'
    run 0 vlls --check skipped.tar.zst
    out_like 'records=2'
}
python3 - <<'END'
import io, tarfile

def make(name, *middle):
    with tarfile.open(name, "w", format=tarfile.PAX_FORMAT) as t:
        for key in ["s0", None, "s1"]:
            if key:
                for ext in ["jpg", "txt"]:
                    t.add(f"in/{key}.{ext}", f"{key}.{ext}")
                continue
            for m in middle:
                if isinstance(m, tarfile.TarInfo):
                    t.addfile(m)
                else:
                    info = tarfile.TarInfo(m[0])
                    info.size = len(m[1])
                    t.addfile(info, io.BytesIO(m[1]))

def special(name, kind, to=""):
    m = tarfile.TarInfo(name)
    m.type, m.linkname = kind, to
    return m

jpg = open("in/s2.jpg", "rb").read()
make("link.tar", special("k.jpg", tarfile.SYMTYPE, "/etc/passwd"), ("k.txt", b"x"))
make("hard.tar", ("k.txt", b"x"), special("k.jpg", tarfile.LNKTYPE, "s0.jpg"))
make("fifo.tar", ("k.txt", b"x"), ("k.jpg", jpg), special("k.fifo", tarfile.FIFOTYPE))
make("device.tar", special("k.jpg", tarfile.CHRTYPE), ("k.txt", b"x"))
make("up.tar", ("../k.jpg", jpg), ("../k.txt", b"x"))
make("absolute.tar", ("/k.jpg", jpg), ("/k.txt", b"x"))
make("hidden.tar", ("._k.jpg", b"x"))
make("meta.tar", ("__vl__/k.txt", b"x"))
make("upper.tar", ("k.jpg", jpg), ("k.txt", b"x"), ("k.CLS", b"1"))
make("control.tar", ("a\x01.jpg", jpg))
make("long.tar", ("x" * 997 + "k.jpg", jpg))
make("noext.tar", ("README", b"x"))
make("twice.tar", ("k.jpg", jpg), ("k.txt", b"x"), ("k.txt", b"y"))
make("again.tar", ("s0.jpg", jpg), ("s0.txt", b"x"))  # goes on with the record before
make("split.tar", ("k.jpg", jpg), ("s1.txt", b"x"))
make("image.tar", ("k.txt", b"x"))
make("gif.tar", ("k.jpg", b"GIF89a"), ("k.txt", b"x"))
make("caption.tar", ("k.jpg", jpg), ("k.json", b'{"url":"x"}'))
make("utf8.tar", ("k.jpg", jpg), ("k.txt", b"caf\xe9"))
make("lines.tar", ("k.jpg", jpg), ("k.txt", b"one\ntwo\n"))
make("json.tar", ("k.jpg", jpg), ("k.json", b'{"caption":'))
make("list.tar", ("k.jpg", jpg), ("k.json", b'[1]'))
make("number.tar", ("k.jpg", jpg), ("k.json", b'{"captions":["x",7]}'))
make("types.tar", ("k.jpg", jpg), ("k.json", b'{"captions":7}'))
make("big.tar", ("k.jpg", jpg), ("k.txt", b"x" * (1 << 20) + b"x"))
END
bad 'symbolic link' link.tar " 'k': member 'k\.jpg': a symbolic link, only files are packed"
bad 'hard link' hard.tar " 'k': member 'k\.jpg': a hard link, only files are packed"
bad 'fifo' fifo.tar " 'k': member 'k\.fifo': a device, pipe or socket, only files are packed"
bad 'device' device.tar " 'k': member 'k\.jpg': a device, pipe or socket, only files are packed"
bad 'parent folder' up.tar " '\.\./k': member '\.\./k\.jpg': key '\.\./k': a part begins with '\.' or '__'"
bad 'absolute path' absolute.tar " '/k': member '/k\.jpg': absolute path"
bad 'hidden file' hidden.tar " '': member '\._k\.jpg': key of 0 bytes, 1 to 1000 allowed"
bad 'the format'"'"'s own name' meta.tar " '__vl__/k': member .*: a part begins with '\.' or '__'"
bad 'upper case' upper.tar " 'k': member 'k\.CLS': extension 'CLS': only a-z 0-9 \. _ \+ - are allowed"
bad 'control character' control.tar " 'a\?': member 'a\?\.jpg': key 'a\?' holds a control character or backslash"
bad 'long name' long.tar " 'x{120}\.\.\.': member 'x{120}\.\.\.': a name of 1002 bytes, at most 1000 allowed"
bad 'no extension' noext.tar " 'README': member 'README': no extension"
bad 'extension twice' twice.tar " 'k': member 'k\.txt': is there twice"
bad 'no image' image.tar " 'k': no image \(jpg, png or webp\)"
bad 'not an image' gif.tar ': k\.jpg: neither JPEG, PNG nor WebP \(byte 0\)'
bad 'no caption' caption.tar " 'k': no caption \(txt, or json with captions\)"
bad 'latin-1' utf8.tar " 'k': caption 0 is not UTF-8 \(byte 3\)"
bad 'two lines' lines.tar " 'k': caption 0 holds the control character U\+000A \(byte 3\)"
bad 'broken json' json.tar " 'k': json: .*"
bad 'a list' list.tar " 'k': json: no object"
bad 'a number' number.tar " 'k': json: a caption is no string"
bad 'no list' types.tar " 'k': json: captions: a string or a list of strings wanted"
bad 'long txt' big.tar " 'k': member 'k\.txt': 1048577 bytes, at most 1048576 allowed"
run 1 vlpack -o out.tar.zst again.tar
err_is "vlpack: again.tar: record 0 's0': member 's0.jpg': is there twice"
run 1 vlpack -o out.tar.zst split.tar
err_is "vlpack: split.tar: record 1 'k': no caption (txt, or json with captions)"

# Cut at a member's end, inside a member, inside a header; damage in a header. Good records come first.
for n in 20480 20470 20500 30000; do
    head -c $n a.tar >cut.tar
    run 1 vlpack -o out.tar.zst cut.tar
    err_like "^vlpack: cut\.tar: record [3-5] 's[3-5]': [Tt]runcated"
    gzip -c cut.tar >cut.tar.gz
    run 1 vlpack -o out.tar.zst cut.tar.gz
    err_like "^vlpack: cut\.tar\.gz: record [3-5] 's[3-5]': [Tt]runcated"
    run 0 vlpack --skip-bad -o out.tar.zst cut.tar
    err_like '^vlpack: 1 of [4-6] records left out$'
    rm out.tar.zst
done
head -c 512 a.tar >cut.tar
run 1 vlpack -o out.tar.zst cut.tar
err_is 'vlpack: cut.tar: the tar is damaged or cut behind 0 records (byte 512)'
# hit NAME: a header is no header any more.
hit() {
    cp a.tar hit.tar
    at=$(($(grep -abo "$1" a.tar | head -n 1 | cut -d : -f 1) + 150))
    printf '\377' | dd of=hit.tar bs=1 seek=$at conv=notrunc status=none
    run 1 vlpack -o out.tar.zst hit.tar
    err_like "^vlpack: hit\.tar: record 2 's2': Damaged tar archive$"
    run 0 vlpack --skip-bad -o out.tar.zst hit.tar
}
hit 's2\.json'
err_like '^vlpack: 1 of 6 records left out$'
hit 's3\.cls' # the record before may have lost its end, the one behind its beginning
err_like "^vlpack: hit\.tar: record 3 's3': follows damage in the tar, which may hold some of its members; left out$"
err_like '^vlpack: 2 of 6 records left out$'
rm out.tar.zst
head -c 700 a.tar.gz >cut.tar.gz
run 1 vlpack -o out.tar.zst cut.tar.gz
err_is 'vlpack: cut.tar.gz: truncated gzip input'
printf '\037\213junk' >junk.tar.gz
run 1 vlpack -o out.tar.zst junk.tar.gz
ok 'junk: one line' test "$(wc -l <"$ERR")" -eq 1

# An empty tar; a shard; a root for a tar.
head -c 10240 /dev/zero >empty.tar
run 1 vlpack -o out.tar.zst empty.tar
err_is 'vlpack: empty.tar: no records'
run 1 vlpack -o out.tar.zst a.tar.zst
err_is 'vlpack: a.tar.zst: is a shard already'
run 2 vlpack --root in -o out.tar.zst a.tar
err_like '^vlpack: a\.tar is a tar: a root is for TSV and JSON only$'
absent 'out.tar.zst*'
