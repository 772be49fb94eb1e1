#!/bin/bash
# SPDX-License-Identifier: MIT
# readme.sh -- README.md names nothing that is not there: files, make targets, tools, their options.
. "$(dirname "$0")/cli/lib.sh"
readme=$TOP/README.md

for path in $(grep -o '](\([^)]*\))' "$readme" | tr -d '()]' | sort -u); do
    ok "README.md: $path exists" test -e "$TOP/$path"
done
n=$(sed -n '/^## Ten files/,/^## Citing/p' "$readme" | grep -c '^| \[')
ok "the tour has ten files: $n" test "$n" -eq 10

for target in $(grep -oE '\bmake [a-z-]+' "$readme" | sort -u | sed 's/make //' | grep -v '^git$'); do
    ok "make $target is a target" grep -Eq "^([a-z-]+ )*$target( [a-z-]+)*:" "$TOP/Makefile"
done

# Code blocks, without comments; each command of a pipeline with its options.
perl -0777 -ne 'while (/^```sh\n(.*?)^```/gms) { my $b = $1; $b =~ s/ #.*//g; $b =~ s/\|\s*\n\s*/| /g;
    print "$_\n" for map { s/^\s+//r } split /\||&&|\n/, $b }' "$readme" | grep '^vl' >"$T_KEEP/commands"
ok 'there is a pipeline' test -s "$T_KEEP/commands"
while read -r tool args; do
    ok "$tool is a tool" test -x "$BIN/$tool"
    [ -x "$BIN/$tool" ] || continue
    "$tool" --options-tsv | cut -f 1,2 | tr '\t' '\n' >"$T_KEEP/known"
    for word in $args; do
        case $word in
        -) ;;
        -*) ok "$tool has $word" grep -qxe "$word" "$T_KEEP/known" ;;
        esac
    done
done <"$T_KEEP/commands"
