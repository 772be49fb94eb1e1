#!/bin/bash
# SPDX-License-Identifier: MIT
# man.sh -- each tool has a man page that agrees with its option table; the examples of all pages run.
#
# A page's EXAMPLES hold shell text between .EX and .EE (or .nf and .fi). Each block is run as it
# stands by bash -eu -o pipefail, in order, in one scratch folder a page, which holds:
#   images/img-00000.png ...  40 small pictures       pairs.tsv   path, tab, caption of each
#   photos/NAME.png NAME.txt  12 pictures, captions beside them, in the layout of a folder
#   whatever tests/man/<tool>.sh makes there, where a page needs shards of other tools
# A block that cannot run here has the line  .\" not run: <why>  just before .EX; a page must have one
# that does run. Each .EX block must exit 0.
. "$(dirname "$0")/cli/lib.sh"

sections='NAME SYNOPSIS DESCRIPTION OPTIONS EXIT STATUS FILES EXAMPLES SEE ALSO'

# Splits the EXAMPLES of page $1 into $2.0, $2.1 ...; prints how many are to be run.
split_examples() {
    perl -e '
        my ($page, $to) = @ARGV;
        open my $f, "<", $page or die "$page: $!\n";
        my ($in, $block, $skip, $n) = (0, undef, 0, 0);
        while (<$f>) {
            if (/^\.SH\s+"?(.*?)"?\s*$/) { $in = $1 eq "EXAMPLES"; next }
            next unless $in;
            if (/^\.\\" not run: \S/) { $skip = 1; next }
            if (/^\.(EX|nf)/) { $block = ""; next }
            if (/^\.(EE|fi)/) {
                if (!$skip && $block =~ /\S/) {
                    open my $g, ">", "$to.$n" or die; print $g $block; close $g; $n++;
                }
                ($block, $skip) = (undef, 0);
                next;
            }
            next unless defined $block;
            s/\\f[BIRP]//g; s/\\-/-/g; s/\\\(aq/\x27/g; s/\\\(dq/"/g; s/\\&//g; s/\\e/\\/g;
            $block .= $_;
        }
        print "$n\n";
    ' -- "$1" "$2"
}

make_inputs() {
    python3 "$TOP/tests/data/make_pairs.py" 40 >pairs.tsv
    mkdir photos
    head -n 12 pairs.tsv | while IFS="$(printf '\t')" read -r path caption; do
        name=$(basename "$path" .png)
        cp "$path" "photos/$name.png"
        printf '%s\n' "$caption" >"photos/$name.txt"
    done
}

run_examples() {
    tool=$1 page=$2
    mkdir "$T_KEEP/page-$tool" "$tool"
    n=$(split_examples "$page" "$T_KEEP/page-$tool/example")
    ok "$tool: the page has an example that runs" test "$n" -gt 0
    cd "$tool"
    make_inputs
    if [ -f "$TOP/tests/man/$tool.sh" ]; then
        run 0 bash -eu -o pipefail "$TOP/tests/man/$tool.sh"
    fi
    i=0
    while [ "$i" -lt "$n" ]; do
        run 0 bash -eu -o pipefail "$T_KEEP/page-$tool/example.$i"
        i=$((i + 1))
    done
    absent '*.tmp*' '*.part'
    cd ..
}

for src in "$TOP"/cli/vl*.c; do
    tool=$(basename "$src" .c | tr _ -)
    page=$TOP/cli/man/$tool.1
    ok "$tool: has a man page" test -s "$page"
    [ -s "$page" ] || continue
    found=$(sed -n 's/^\.SH *"\{0,1\}\([A-Z ]*\)"\{0,1\} *$/\1/p' "$page" | tr '\n' ' ')
    ok "$tool: sections are $found" test "$found" = "$sections "
    ok "$tool: NAME says what it is" grep -Eq "^$tool \\\\- [a-z]" "$page"
    run 0 groff -man -Tutf8 -ww -z "$page"
    err_is ''
    "$tool" --options-tsv >"$T_KEEP/tsv"
    run 0 "$TOP/tests/man_options.pl" --check "$page" <"$T_KEEP/tsv"
    t_show "$OUT"
    # What --help shows as its example stands in the page, too, and so is run.
    "$tool" --help | sed -n '/^example:$/,$p' | sed '1d;s/^  //' >"$T_KEEP/example"
    ok "$tool: the page has the example of --help" perl -e '
        local $/; open my $f, "<", $ARGV[0]; my $want = <$f>; open $f, "<", $ARGV[1]; my $page = <$f>;
        $page =~ s/\\-/-/g; $page =~ s/\\f[BIRP]//g; $page =~ s/\\\(aq/\x27/g; $page =~ s/\\e/\\/g;
        s/\\\n\s*//g, s/\s+/ /g, s/^ | $//g for $want, $page;
        exit(index($page, $want) < 0 || $want eq "");' "$T_KEEP/example" "$page"
    run_examples "$tool" "$page"
done

# Pages of file formats have no options.
for page in "$TOP"/cli/man/*.5; do
    name=$(basename "$page" .5)
    ok "$name: NAME says what it is" grep -Eq "^$name \\\\- [a-z]" "$page"
    run 0 groff -man -Tutf8 -ww -z "$page"
    err_is ''
    run_examples "$name" "$page"
done
