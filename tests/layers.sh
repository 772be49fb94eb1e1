#!/bin/sh
# SPDX-License-Identifier: MIT
# layers.sh -- what holds for the tree as a whole: includes go one way, every header compiles alone,
# file names are unique, library code neither prints nor exits.
. "$(dirname "$0")/cli/lib.sh"
cd "$TOP"

# Sources as the tree has them; build folders and a demonstration's outputs are not the tree.
sources() { find formats pipeline distill cli tests spec -type f \( -name '*.c' -o -name '*.h' -o -name '*.cu' \) 2>/dev/null | sort; }

# formats <- pipeline <- distill <- cli: prints every include that points upward, and quoted includes
# that name no file of the tree (a bare "x.h" would let the same name mean two files).
upward() {
    find "$1" -type f \( -name '*.c' -o -name '*.h' -o -name '*.cu' -o -name '*.def' \) -exec \
        grep -Hn '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' {} + |
        perl -ne '
            BEGIN { %rank = (formats => 0, pipeline => 1, distill => 2, cli => 3); $base = shift @ARGV }
            ($file, $inc) = /^([^:]+):\d+:.*"([^"]+)"/ or next;
            $rel = substr($file, length($base) ? length($base) + 1 : 0);
            ($from) = $rel =~ m{^([^/]+)/}; ($to) = $inc =~ m{^([^/]+)/};
            print "$rel includes $inc\n"
                if !defined $to || !defined $rank{$to} || !-e ($base ? "$base/$inc" : $inc)
                || $rank{$to} > $rank{$from};
        ' -- "$2"
}
for d in formats pipeline distill cli; do
    [ -d "$d" ] || continue
    upward "$d" "" >"$T_KEEP/up"
    ok "includes of $d go downward and name files of the tree: $(tr '\n' ';' <"$T_KEEP/up")" \
        test ! -s "$T_KEEP/up"
done

# The same check must see a planted fault.
mkdir -p "$T_KEEP/plant/formats" "$T_KEEP/plant/cli"
echo '#include "cli/opt.h"' >"$T_KEEP/plant/formats/a.c"
: >"$T_KEEP/plant/cli/opt.h"
upward "$T_KEEP/plant/formats" "$T_KEEP/plant" >"$T_KEEP/up"
ok 'a planted upward include is seen' grep -q 'formats/a.c includes cli/opt.h' "$T_KEEP/up"

# Flags for the headers alone: those of the Makefile matter less than that nothing is missing.
flags=$(pkg-config --cflags libpng openblas libjpeg jansson libutf8proc)
for h in $(find formats pipeline distill cli -name "*.h" 2>/dev/null | sort); do
    for real in '' -DVL_REAL_DOUBLE; do
        # A header is the main file here, and clang calls its inline functions unused.
        # shellcheck disable=SC2086
        ok "compiles alone: $h $real" ${CC:-cc} -std=c11 -D_GNU_SOURCE -Wall -Wextra -Wstrict-prototypes \
            -Werror -Wno-unused-function -I. $flags $real -fsyntax-only -x c "$h"
    done
    ok "has an include guard and a licence line: $h" sh -c \
        'grep -q "^#ifndef " "$1" && head -n 1 "$1" | grep -q "SPDX-License-Identifier: MIT"' - "$h"
done

# EXPECT.tsv, README.md and Makefiles of subfolders are names with a meaning of their own.
twice=$(find . \( -name .git -o -path './build*' -o -path ./demo \) -prune -o -type f -print |
    sed 's,.*/,,' | grep -vxE 'README\.md|Makefile|\.gitignore|run\.sh' | sort | uniq -d |
    tr '\n' ' ')
ok "file names are unique: ${twice:-yes}" test -z "$twice"

# Comments and strings are taken out first; snprintf into a buffer and fprintf to an own file are fine.
loud() {
    perl -0777 -ne '
        s{("(?:\\.|[^"\\\n])*")|(\x27(?:\\.|[^\x27\\\n])*\x27)|/\*.*?\*/|//[^\n]*}{
            $s = $&; $n = ($s =~ tr/\n//); (defined $1 ? "\"\"" : "") . "\n" x $n}gse;
        $n = 0;
        for (split /\n/) {
            $n++;
            print "$ARGV:$n: $_\n" if /\b(?:printf|vprintf|puts|putchar|perror|exit|_exit|quick_exit|abort|err|errx|warn|warnx)\s*\(/
                || /\b(?:stderr)\b/ || /\bf(?:printf|puts|putc|write)\s*\([^;]*\bstdout\b/;
        }' "$@"
}
printf 'int f(void)\n{\n    /* exit(1) */ const char *s = "abort()";\n    (void)s;\n    exit(1);\n}\n' >"$T_KEEP/planted.c"
loud "$T_KEEP/planted.c" >"$T_KEEP/loud"
ok 'a planted exit() is seen, one in a comment or string is not' \
    grep -qx "$T_KEEP/planted.c:5:     exit(1);" "$T_KEEP/loud"
ok 'and it is the only one' test "$(wc -l <"$T_KEEP/loud")" -eq 1
lib=$(find formats pipeline distill -name '*.[ch]' -o -name '*.cu' 2>/dev/null | sort)
# shellcheck disable=SC2086
loud $lib >"$T_KEEP/loud"
ok "library code neither prints nor exits: $(head -n 3 "$T_KEEP/loud" | tr '\n' ';')" \
    test ! -s "$T_KEEP/loud"

no_licence=$(sources | xargs grep -L 'SPDX-License-Identifier' | tr '\n' ' ')
ok "every source names its licence: ${no_licence:-yes}" test -z "$no_licence"

# One idea a file: beyond 700 lines nobody reads it.
long=$(sources | xargs wc -l | awk '$2 != "total" && $1 > 700 { print $2 " (" $1 ")" }' | tr '\n' ' ')
ok "no source is longer than 700 lines: ${long:-none}" test -z "$long"

# prove starts scripts by themselves: one without the x bit would not run at all.
not_x=$(find tests -name '*.sh' ! -perm -100 -exec grep -l '^#!' {} + | tr '\n' ' ')
ok "scripts are executable: ${not_x:-yes}" test -z "$not_x"
