#!/bin/sh
# SPDX-License-Identifier: MIT
# fetch.sh of the demonstration against made-up packages and an apt that serves them: no network.
fetch=$(cd "$(dirname "$0")/experiments/demo" && pwd)/fetch.sh
for tool in dpkg-deb flock sha256sum; do
    command -v $tool >/dev/null || { echo "1..0 # SKIP no $tool here"; exit 0; }
done
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1
n=0 bad=0
check() {       # check NAME COMMAND...
    n=$((n + 1)) name=$1; shift
    if "$@"; then echo "ok $n - $name"; else echo "not ok $n - $name"; sed 's/^/# /' err; bad=1; fi
}
status() { want=$1; shift; "$@" >out 2>err; [ $? -eq "$want" ]; }
says() { grep -qF -- "$1" err; }
silent_about_apt() { ! grep -q fetching err; }

# The archive: one small deb for each name in fetch.sh.
mkdir -p archive bin
for p in $(sed -n "s/^PACKAGES='\(.*\)'/\1/p" "$fetch"); do
    mkdir -p "tree/DEBIAN" "tree/usr/share/$p"
    printf 'Package: %s\nVersion: 1:2-3\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n' "$p" > tree/DEBIAN/control
    echo "$p" > "tree/usr/share/$p/file"
    dpkg-deb -b tree "archive/${p}_1%3a2-3_all.deb" >/dev/null && rm -rf tree
done
# An apt that knows them; `mode` says how it fails.
cat > bin/apt-cache <<END
#!/bin/sh
[ "\$(cat $scratch/mode)" = empty ] && exit 0
case \$1 in
policy) printf '%s:\n  Installed: (none)\n  Candidate: 1:2-3\n' "\$2" ;;
show) f=\$(ls $scratch/archive/"\${3%%=*}"_*)
      printf 'Size: %s\nSHA256: %s\n' \$(stat -c %s "\$f") \$(sha256sum < "\$f" | cut -c 1-64) ;;
esac
END
cat > bin/apt-get <<END
#!/bin/sh
case "\$(cat $scratch/mode) \$2" in
'down download') echo 'E: Failed to fetch: no route'; exit 100 ;;
'wrong download') echo other > "\${3%%=*}_1_all.deb" ;;
*' download') echo "\$3" >> $scratch/downloads; cp $scratch/archive/"\${3%%=*}"_* . ;;
down*) echo 'E: no route'; exit 100 ;;
esac
END
chmod +x bin/*
PATH=$scratch/bin:$PATH

echo ok > mode; : > downloads
check 'no argument is misuse' status 2 "$fetch"
check 'a first run fetches and unpacks' status 0 "$fetch" 'a state'
check 'every package is there' [ "$(cat 'a state'/root/usr/share/*/file | wc -l)" -eq 5 ]
check 'packages.tsv is printed' cmp -s out 'a state/packages.tsv'
check 'packages.tsv has four columns' [ "$(awk -F'\t' 'NF == 4 && $2 == "1:2-3" && length($4) == 64' out | wc -l)" -eq 5 ]
check 'each was fetched once' [ "$(sort -u downloads | wc -l) $(wc -l < downloads)" = '5 5' ]

echo down > mode
check 'a second run needs no network' status 0 "$fetch" 'a state'
check 'and fetches nothing' silent_about_apt

echo ok > mode; : > downloads
deb=$(ls 'a state/debs/'openclipart-png_*)
printf X | dd of="$deb" bs=1 seek=200 conv=notrunc 2>/dev/null
rm 'a state/debs/'unicode-cldr-core_*
check 'a flipped byte and a lost file are repaired' status 0 "$fetch" 'a state'
check 'by fetching those two alone' [ "$(sort downloads | tr '\n' ' ')" = 'openclipart-png=1:2-3 unicode-cldr-core=1:2-3 ' ]
rm -rf 'a state/root/usr'; rm 'a state/root/.packages.tsv'
check 'a broken unpacking is repeated' status 0 "$fetch" 'a state'
check 'and complete' [ "$(cat 'a state'/root/usr/share/*/file | wc -l)" -eq 5 ]

echo down > mode
check 'no network: one line' status 1 "$fetch" new
check 'that names package and cause' says 'fetch.sh: tuxpaint-stamps-default 1:2-3: download failed: E: Failed to fetch: no route'
check 'and leaves no list' [ ! -e new/packages.tsv ]
echo empty > mode
check 'unknown package' status 1 "$fetch" new
check 'is said' says 'fetch.sh: tuxpaint-stamps-default: not in the package lists'
echo wrong > mode
check 'a file that is not the one in the index' status 1 "$fetch" new
check 'is refused' says 'SHA-256 differs from the package index'
: > file
check 'a state folder that is a file' status 1 "$fetch" file
echo "1..$n"
exit $bad
