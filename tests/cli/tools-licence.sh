#!/bin/bash
# SPDX-License-Identifier: MIT
# tools-licence.sh -- licences and sources go from the packed pairs through every tool to the distilled set.
. "$(dirname "$0")/lib.sh"
PATH=$PATH:${BIN%/bin}/data

for s in a b c; do
    mkdir $s
    for i in 0 1 2 3 4 5 6 7; do
        mkimage png 16 16 $i >$s/$s$i.png
        printf 'picture %s of %s\n' $i $s >$s/$s$i.txt
    done
done
run 0 vlpack -q --licence CC-BY-4.0 --source 'camera A' -o a.tar.zst a
run 0 vlpack -q --licence CC-BY-SA-4.0 --source 'camera B' -o b.tar.zst b
run 0 vlpack -q -o c.tar.zst c

# is FILE LICENCE LICENCES SOURCES: what vlls shows, and what the last tail holds
is() {
    vlls --check --json "$1" >check.json
    ok "$1: $2" grep -q "\"licence\":\"$2\"" check.json
    ok "$1: all licences" grep -qF "\"licences\":$3," check.json
    ok "$1: all sources" grep -qF "\"sources\":$4" check.json
    run 0 vlls --check "$1"
    out_like "	licence=$2( of .*)?	source=camera A(, camera B)?$"
}
ab='["CC-BY-4.0","CC-BY-SA-4.0"]'
sources='["camera A","camera B"]'
is a.tar.zst CC-BY-4.0 '["CC-BY-4.0"]' '["camera A"]'
run 0 vlls --check c.tar.zst
out_unlike licence

run 0 vlembed -q -o ab.emb.tar.zst a.tar.zst b.tar.zst
is ab.emb.tar.zst CC-BY-SA-4.0 "$ab" "$sources"
cat a.tar.zst b.tar.zst >ab.tar.zst
is ab.tar.zst CC-BY-SA-4.0 "$ab" "$sources"
run 0 vlselect -q -n 4 -o few.tar.zst ab.tar.zst ab.emb.tar.zst
is few.tar.zst CC-BY-SA-4.0 "$ab" "$sources"
run 0 vltrain-expert -q -n 1 -e 2 --model convnet:8x2 --size 16 --batch 4 -o t.tar.zst ab.tar.zst ab.emb.tar.zst
is t.tar.zst CC-BY-SA-4.0 "$ab" "$sources"
run 0 vldistill -q --pairs 4 --batch 4 --iterations 1 --inner-steps 1 --expert-epochs 1 \
    --real ab.tar.zst --real ab.emb.tar.zst -o d.tar.zst t.tar.zst
is d.tar.zst CC-BY-SA-4.0 "$ab" "$sources"
# weights are a parent, too
run 0 vlembed -q --image-model 'convnet:8x2@t.tar.zst#expert-0000/snap-0001' -o w.tar.zst c.tar.zst
is w.tar.zst NOASSERTION '["CC-BY-4.0","CC-BY-SA-4.0","NOASSERTION"]' "$sources"

# A shard without a licence among others makes the whole not known; without any there is nothing to say.
run 0 vlembed -q -o abc.emb.tar.zst a.tar.zst b.tar.zst c.tar.zst
is abc.emb.tar.zst NOASSERTION '["CC-BY-4.0","CC-BY-SA-4.0","NOASSERTION"]' "$sources"
cat a.tar.zst c.tar.zst >ac.tar.zst
is ac.tar.zst NOASSERTION '["CC-BY-4.0","NOASSERTION"]' '["camera A"]'
run 0 vlembed -q -o c.emb.tar.zst c.tar.zst
run 0 vlls --check c.emb.tar.zst
out_unlike licence

# vlcat: cut, joined, brought into one segment.
run 0 vlcat -q --head 3 -o h.tar.zst ab.emb.tar.zst
is h.tar.zst CC-BY-SA-4.0 "$ab" "$sources"
run 0 vlcat -q --reseal -o r.tar.zst a.tar.zst b.tar.zst
is r.tar.zst CC-BY-SA-4.0 "$ab" "$sources"
run 0 vlcat -q --reseal -o r.tar.zst r.tar.zst c.tar.zst
is r.tar.zst NOASSERTION '["CC-BY-4.0","CC-BY-SA-4.0","NOASSERTION"]' "$sources"
run 0 vlcat -q --join ab.emb.tar.zst -o j.tar.zst a.tar.zst
is j.tar.zst CC-BY-SA-4.0 "$ab" "$sources"

# Text that is no SPDX identifier stays as it is and is the strictest.
run 0 vlpack -q --licence 'nur für Forschung' -o own.tar.zst c
run 0 vlembed -q -o own.emb.tar.zst own.tar.zst a.tar.zst
is own.emb.tar.zst 'nur für Forschung' '["CC-BY-4.0","nur für Forschung"]' '["camera A"]'

# Records with licences of their own: COCO names them by number.
cat >coco.json <<'END'
{"licenses": [{"url": "http://creativecommons.org/licenses/by-nc-sa/2.0/", "id": 1, "name": "Some License"},
              {"url": "http://flickr.com/commons/usage/", "id": 7, "name": "No known copyright restrictions"}],
 "images": [{"id": 0, "file_name": "a0.png", "license": 1}, {"id": 1, "file_name": "a1.png", "license": 1},
            {"id": 2, "file_name": "a2.png", "license": 7}, {"id": 3, "file_name": "a3.png"}],
 "annotations": [{"image_id": 0, "caption": "x"}, {"image_id": 1, "caption": "x"}, {"image_id": 2, "caption": "x"},
                 {"image_id": 3, "caption": "x"}]}
END
mkdir set
run 0 vlpack -q --root a --shard-records 2 -o 'set/%d' coco.json
run 0 vlls --check set/0
out_like '	licence=CC-BY-NC-SA-2\.0$'
run 0 vlls --check --json set/1
out_like '"licences":\["NOASSERTION","No known copyright restrictions"\]'
run 0 vlpack -q --root a --licence CC0-1.0 -o coco.tar.zst coco.json
run 0 vlls --check --json coco.tar.zst
out_like '"licences":\["CC-BY-NC-SA-2.0","CC0-1.0","No known copyright restrictions"\]'

# As many licences as records: they stay in the records, and the summary says that it knows less.
python3 - <<'END'
import io, json, tarfile
png = open("a/a0.png", "rb").read()
with tarfile.open("many.tar", "w") as t:
    for i in range(300):
        j = json.dumps({"caption": "x", "licence": "(c) photographer %d" % i}).encode()
        for ext, data in ("png", png), ("json", j):
            m = tarfile.TarInfo("r%03d.%s" % (i, ext))
            m.size = len(data)
            t.addfile(m, io.BytesIO(data))
END
run 0 vlpack -q -o many.tar.zst many.tar
run 0 vlls --check --json many.tar.zst
out_like '"NOASSERTION"'
ok '255 and that' test "$(grep -o '(c)' "$OUT" | wc -l)" -eq 256 # one of them is the strictest, and is there twice
run 2 vlpack --licence "$(printf 'x%.0s' $(seq 1001))" -o out.tar.zst a
