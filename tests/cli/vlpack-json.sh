#!/bin/bash
# SPDX-License-Identifier: MIT
# vlpack-json.sh -- annotation files of Flickr30K and COCO in their three forms; large, hostile and broken ones.
. "$(dirname "$0")/lib.sh"
PATH=$PATH:${BIN%/bin}/data

mkdir -p img/val2014 x
for i in 0 1 2 3 4; do mkimage jpg 40 30 $i >img/$i.jpg; done
cp img/0.jpg img/val2014/COCO_val2014_7.jpg

# Karpathy: what it holds besides is passed over; splits; a root; a pipe.
cat >k.json <<'END'
{"dataset": "flickr30k", "info": {"a": ["]}\"", {"b": [1, 2]}]}, "count": 3e0, "none": [],
 "images": [
  {"sentids": [0, 1], "imgid": 0, "split": "train", "filename": "0.jpg",
   "sentences": [{"tokens": ["a", "]"], "raw": "A \"dog\" ]}, runs.", "imgid": 0, "sentid": 0},
                 {"tokens": [], "raw": "  Caf\u00e9 \n", "imgid": 0}]},
  {"split": "val", "imgid": 1, "filename": "1.jpg", "sentences": [{"raw": "one"}]},
  {"split": "restval", "filepath": "val2014", "filename": "COCO_val2014_7.jpg", "cocoid": 7, "imgid": 2,
   "sentences": [{"raw": "seven"}]}
 ]}
END
run 0 vlpack -j1 --root img -o k.tar.zst k.json
err_is 'vlpack: 3 records packed'
run 0 vlls k.tar.zst
out_like '^val2014/COCO_val2014_7	'
zstd -dcq k.tar.zst | tar -xf - -C x
printf '{"captions":["A \\"dog\\" ]}, runs.","Café"],"height":30,"image_id":0,"split":"train","width":40}' >want
same x/0.json want
printf '{"captions":["seven"],"height":30,"image_id":7,"split":"restval","width":40}' >want
same x/val2014/COCO_val2014_7.json want
same x/0.jpg img/0.jpg
run 0 sh -c 'cat k.json | vlpack -q -j4 --root img - >b.tar.zst'
same k.tar.zst b.tar.zst
cp k.json img/k.json
run 0 vlpack -q -o b.tar.zst img/k.json # its own folder is the root
same k.tar.zst b.tar.zst
run 0 vlpack --root img --split train,restval -o b.tar.zst k.json
err_is 'vlpack: 2 records packed'
run 0 vlls --manifest b.tar.zst
out_like '"split":"train,restval"'
run 1 vlpack --root img --split test -o out.tar.zst k.json
err_is 'vlpack: k.json: no records'

# COCO: captions in any order, before or behind their images; licences by name.
cat >c.json <<'END'
{"info": {}, "licenses": [{"url": "http://x", "id": 3, "name": "Attribution-NonCommercial License"}],
 "images": [{"id": 9, "file_name": "2.jpg", "license": 3, "coco_url": "http://c/2", "flickr_url": "http://f/2"},
            {"id": -4, "file_name": "1.jpg", "license": 8, "coco_url": "http://c/1"}],
 "annotations": [{"image_id": 9, "id": 1, "caption": "zwei"}, {"image_id": -4, "id": 2, "caption": "eins"},
                 {"image_id": 9, "id": 3, "caption": "two\n"}]}
END
run 0 vlpack --root img -o c.tar.zst c.json
zstd -dcq c.tar.zst | tar -xf - -C x
printf '%s' '{"captions":["zwei","two"],"height":30,"image_id":9,' \
    '"licence":"Attribution-NonCommercial License","source":"http://f/2","width":40}' >want
same x/2.json want
printf '{"captions":["eins"],"height":30,"image_id":-4,"source":"http://c/1","width":40}' >want
same x/1.json want
run 0 vlls c.tar.zst
ok 'in the order of the images' test "$(cut -f 1 "$OUT" | tr '\n' ' ')" = '2 1 '
python3 -c 'import json; j = json.load(open("c.json")); print(json.dumps({k: j[k] for k in sorted(j)}))' >sorted.json
run 0 vlpack -q --root img -o b.tar.zst sorted.json # annotations first
same c.tar.zst b.tar.zst

# BLIP: a list; other names stay.
cat >b.json <<'END'
[{"image": "val2014/COCO_val2014_7.jpg", "caption": ["one", "two"], "image_id": "coco_7"},
 {"image": "3.jpg", "caption": "three", "dataset": "coco"}]
END
run 0 vlpack --split train --root img -o b.tar.zst b.json
zstd -dcq b.tar.zst | tar -xf - -C x
printf '{"captions":["three"],"dataset":"coco","height":30,"split":"train","width":40}' >want
same x/3.json want
printf '%s' '{"captions":["one","two"],"height":30,"image_id":"coco_7","split":"train","width":40}' >want
same x/val2014/COCO_val2014_7.json want

# bad NAME JSON MESSAGE [RECORDS LEFT OUT]: one line, no output; with --skip-bad what is good.
bad() {
    printf '%s' "$2" >bad.json
    run 1 vlpack -j4 --root img -o out.tar.zst bad.json
    err_like "^vlpack: bad\.json: $3\$"
    ok "$1: one line" test "$(wc -l <"$ERR")" -eq 1
    absent 'out.tar.zst*'
    [ $# -gt 3 ] || return 0
    run 0 vlpack --skip-bad --root img -o skipped.tar.zst bad.json
    err_like "^vlpack: $4 of [0-9]+ records left out\$"
}
good='{"filename": "0.jpg", "sentences": [{"raw": "x"}]}'
bad 'no name' '{"images": ['"$good"', {"sentences": [{"raw": "x"}]}]}' 'record 1: no file name' 1
bad 'no caption' '{"images": ['"$good"', {"filename": "1.jpg", "sentences": []}]}' 'record 1: no caption' 1
bad 'a number' '{"images": ['"$good"', {"filename": "1.jpg", "sentences": [{"raw": 7}]}]}' \
    'record 1: caption 0 is no string' 1
bad 'two lines' '{"images": ['"$good"', {"filename": "1.jpg", "sentences": [{"raw": "a\nb"}]}]}' \
    'record 1: caption 0 holds the control character U\+000A \(byte 1\)' 1
bad 'blank' '{"images": ['"$good"', {"filename": "1.jpg", "sentences": [{"raw": "x"}, {"raw": " \n"}]}]}' \
    'record 1: caption 1 is empty' 1
bad 'parent folder' '{"images": ['"$good"', {"filename": "../1.jpg", "sentences": [{"raw": "x"}]}]}' \
    "record 1: key '\.\./1': a part begins with '\.' or '__'" 1
bad 'absolute' '{"images": ['"$good"', {"filepath": "/etc", "filename": "1.jpg", "sentences": [{"raw": "x"}]}]}' \
    "record 1: key '/etc/1' has an empty part" 1
bad 'missing image' '{"images": ['"$good"', {"filename": "9.jpg", "sentences": [{"raw": "x"}]}]}' \
    'record 1: 9\.jpg: No such file or directory' 1
bad 'same image' '{"images": ['"$good, $good"']}' "record 1: 0\.jpg: record '0': the key is there twice" 1
bad 'element' '{"images": ['"$good"', 7]}' 'record 1: no file name' 1
bad 'orphan' '{"images": [{"id": 1, "file_name": "0.jpg"}], "annotations": [{"image_id": 5, "caption": "y"},
    {"image_id": 1, "caption": "x"}]}' 'annotation 0: image 5 is not among the images' 1
bad 'image twice' '{"images": [{"id": 1, "file_name": "0.jpg"}, {"id": 1, "file_name": "1.jpg"}],
    "annotations": [{"image_id": 1, "caption": "x"}]}' 'record 1: 1\.jpg: id 1 is there twice' 1
bad 'no captions' '{"images": [{"id": 1, "file_name": "0.jpg"}, {"id": 2, "file_name": "1.jpg"}],
    "annotations": [{"image_id": 1, "caption": "x"}]}' 'record 1: 1\.jpg: no caption' 1
bad 'boxes' '{"images": [{"id": 1, "file_name": "0.jpg"}], "annotations": [{"image_id": 1, "bbox": []}]}' \
    'annotations: number 0 has no image_id or no caption'
bad 'an id that is text' '{"images": [{"id": "1", "file_name": "0.jpg"}]}' \
    'images: number 0 has no id or no file_name'
bad 'other arrays' '{"data": [1, 2], "x": "y"}' 'no records'
bad 'blip without image' '[{"caption": "x"}]' 'record 0: no file name'

# What is not JSON, or no more. The good records that came before count under --skip-bad.
bad 'cut in an element' '{"images": ['"$good"', {"filename": "1.jpg", "sent' \
    'JSON: the end of a value expected, the file ends at byte 91' 1
bad 'cut behind one' '{"images": ['"$good" "JSON: ',' or '\]' expected, the file ends at byte 62" 1
bad 'cut behind the array' '{"images": ['"$good"']' "JSON: ',' or '}' expected, the file ends at byte 63" 1
bad 'more behind it' '{"images": ['"$good"']} x' 'JSON: the end expected, found 0x78 \(byte 65\)' 1
bad 'no comma' '{"images": ['"$good $good"']}' "JSON: ',' or '\]' expected, found 0x7b \(byte 63\)" 1
bad 'trailing comma' '{"images": ['"$good"',]}' 'JSON: a value expected, found 0x5d \(byte 63\)' 1
bad 'no colon' '{"images" ['"$good"']}' "JSON: ':' expected, found 0x5b \(byte 10\)"
bad 'wrong brackets' '{"images": [{"filename": ]}]}' 'JSON: .* \(byte [0-9]+\)'
bad 'name twice' '{"images": [{"filename": "a", "filename": "b", "sentences": []}]}' \
    'JSON: duplicate object key.* \(byte [0-9]+\)'
bad 'latin-1' "$(printf '{"images": [{"filename": "caf\351.jpg"}]}')" 'JSON: .* \(byte [0-9]+\)'
bad 'deep' "{\"images\": [$(printf '[%.0s' $(seq 600))" 'JSON: more than 512 levels \(byte 524\)'
bad 'long name' "{\"$(printf 'x%.0s' $(seq 256))\": 1}" 'JSON: a value of more than 257 bytes \(byte [0-9]+\)'
python3 -c 'print("{\"images\": [{\"filename\": \"" + "x" * (4 << 20) + "\"}]}")' >long.json
run 1 vlpack --root img -o out.tar.zst long.json
err_like '^vlpack: long\.json: JSON: a value of more than 4194304 bytes \(byte [0-9]+\)$'

# A file of 40 MB takes no memory to speak of: what is not wanted is stepped over.
python3 - <<'END'
import json
one = {"filename": "", "split": "x", "sentences": [{"raw": "word " * 60, "tokens": ["word"] * 60}] * 5}
with open("large.json", "w") as f:
    f.write('{"images": [')
    for i in range(12000):
        f.write(json.dumps(one) + ", ")
    f.write(json.dumps({"filename": "0.jpg", "split": "y", "sentences": [{"raw": "x"}]}) + "]}")
END
ok 'it is large' test "$(stat -c %s large.json)" -gt 40000000
if [ -z "$(nm -D "$BIN/vlpack" | grep asan)" ]; then # sanitizers take memory of their own
    run 0 bash -c 'ulimit -v 400000; vlpack -q -j1 --split y --root img -o large.tar.zst large.json'
else
    run 0 vlpack -q -j1 --split y --root img -o large.tar.zst large.json
fi
run 0 vlls --check large.tar.zst
out_like 'records=1 '
