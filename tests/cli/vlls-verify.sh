#!/bin/bash
# SPDX-License-Identifier: MIT
# vlls-verify.sh -- signatures made with keys of openssl: who signed what, and what they do not cover.
. "$(dirname "$0")/lib.sh"
PATH=$PATH:${BIN%/bin}/data

for k in a b; do
    openssl genpkey -algorithm ed25519 -out $k.pem
    openssl pkey -in $k.pem -pubout -out $k.pub
done
mkdir in
for i in 0 1 2; do
    mkimage jpg 40 30 $i >in/p$i.jpg
    printf 'picture %s\n' $i >in/p$i.txt
done
run 0 vlpack -q -o plain.tar.zst in
run 0 vlpack -q --sign a.pem -o signed.tar.zst in
run 0 vlpack -q --sign a.pem -o again.tar.zst in
same signed.tar.zst again.tar.zst
id() { vlls --check "$1" | cut -f 5; }
ok 'the content id is the same' test "$(id plain.tar.zst)" = "$(id signed.tar.zst)"
run 0 vlls --verify a.pub signed.tar.zst
out_like "^signed\.tar\.zst	ok	pairs	.*	$(id plain.tar.zst)	verified$"
err_is ''
run 0 vlls --verify a.pub --json signed.tar.zst
out_like '"verified":true'

# The signature is one that openssl itself accepts, over these bytes.
tail=$(vlls --manifest --json signed.tar.zst)
printf '%s' "$tail" | grep -o '"value":"[0-9a-f]*"' | cut -d '"' -f 4 | perl -ne 'chomp; print pack("H*", $_)' >value
printf 'vlkit content id v1\n%s pairs\n' "$(id signed.tar.zst)" >message
run 0 openssl pkeyutl -verify -pubin -inkey a.pub -rawin -in message -sigfile value

# Pipes, cat, other compression: the signature stays. Each segment has its own.
run 0 vlembed -q --sign a.pem -o emb.tar.zst signed.tar.zst
cat signed.tar.zst emb.tar.zst >both.tar.zst
run 0 sh -c 'vlls --verify a.pub - <both.tar.zst'
out_like '^-	ok	mixed	segments=2 '
mkdir set
run 0 vlpack -q --shard-records 2 --sign a.pem -o 'set/%d' in
run 0 vlls --verify a.pub set/0 set/1
run 0 vlselect -q -n 2 --sign a.pem -o few.tar.zst signed.tar.zst
run 0 vlls --verify a.pub few.tar.zst
run 0 vlcat -q --sign b.pem -o cat.tar signed.tar.zst
run 0 vlls --verify b.pub cat.tar

# One line and exit 1 for each: another key, none, one segment without.
run 1 vlls --verify b.pub signed.tar.zst
err_like '^vlls: signed\.tar\.zst: segment 0: signed by another key, [0-9a-f]{16}\.\.\.$'
out_is ''
run 1 vlls --verify a.pub plain.tar.zst
err_is 'vlls: plain.tar.zst: segment 0: not signed'
cat signed.tar.zst plain.tar.zst >half.tar.zst
run 1 vlls --verify a.pub half.tar.zst
err_like '^vlls: half\.tar\.zst: '
run 0 vlembed -q -o plain-emb.tar.zst plain.tar.zst
cat signed.tar.zst plain-emb.tar.zst >half.tar.zst
run 1 vlls --verify a.pub half.tar.zst
err_is 'vlls: half.tar.zst: segment 1: not signed'
run 0 vlcat -q -o copy.tar.zst signed.tar.zst
run 1 vlls --verify a.pub copy.tar.zst
err_is 'vlls: copy.tar.zst: segment 0: not signed'

# Other records under the same signature, all sums made anew: what somebody without the key can do.
cp in/p1.jpg in/p0.jpg
run 0 vlpack -q --sign a.pem -o other.tar.zst in
run 0 vlcat -q --sign a.pem -o good.tar signed.tar.zst
run 0 vlcat -q --sign a.pem -o bad.tar other.tar.zst
python3 - <<'END'
import re, subprocess
def xxh(text):
    return subprocess.run(["xxhsum", "-H64", "-"], input=text, capture_output=True, check=True).stdout[:16]
good, bad = open("good.tar", "rb").read(), open("bad.tar", "rb").read()
value = lambda t: re.search(rb'"value":"([0-9a-f]{128})"', t).group(1)
tail = re.search(rb'\{"bytes":[^\n]*\}\n', bad).group(0)
forged = tail.replace(value(bad), value(good))
assert forged != tail and bad.count(xxh(tail)) == 1
open("forged.tar", "wb").write(bad.replace(tail, forged).replace(xxh(tail), xxh(forged)))
END
run 0 vlls --check forged.tar
run 1 vlls --verify a.pub forged.tar
err_is 'vlls: forged.tar: segment 0: the signature does not fit the content'
head -c 300 signed.tar.zst >cut.tar.zst
run 1 vlls --verify a.pub cut.tar.zst
ok 'one line' test "$(wc -l <"$ERR")" -eq 1
out_is ''

# Keys that are none.
openssl genpkey -algorithm rsa -pkeyopt rsa_keygen_bits:2048 -out rsa.pem 2>/dev/null
openssl pkey -in rsa.pem -pubout -out rsa.pub
openssl pkey -in a.pem -aes256 -passout pass:x -out locked.pem
printf 'junk' >junk.pem
run 1 vlls --verify rsa.pub signed.tar.zst
err_is 'vlls: rsa.pub: a public key, but none of Ed25519'
run 1 vlls --verify a.pem signed.tar.zst
err_is 'vlls: a.pem: no public key in PEM form, or one behind a password'
run 1 vlls --verify absent signed.tar.zst
err_is 'vlls: absent: No such file or directory'
run 1 vlpack --sign rsa.pem -o out.tar.zst in
err_is 'vlpack: rsa.pem: a private key, but none of Ed25519'
run 1 vlpack --sign locked.pem -o out.tar.zst in
err_is 'vlpack: locked.pem: no private key in PEM form, or one behind a password'
run 1 vlembed --sign junk.pem -o out.tar.zst plain.tar.zst
err_is 'vlembed: junk.pem: no private key in PEM form, or one behind a password'
absent 'out.tar.zst*'
run 2 vlls --verify a.pub --skip-bad signed.tar.zst
run 2 vlcat --sign a.pem --to npz -o out.npz emb.tar.zst
