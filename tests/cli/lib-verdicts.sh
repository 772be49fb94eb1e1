#!/bin/sh
# SPDX-License-Identifier: MIT
# lib-verdicts.sh -- the shell test library itself: what must fail does fail.
. "$(dirname "$0")/lib.sh"

# verdict EXIT TEXT: a test made of TEXT ends with EXIT; its output is that of the last run.
mkdir -p tree/tests/cli
cp "$TOP/tests/cli/lib.sh" tree/tests/cli
: >tree/Makefile
verdict() {
    printf '. "$(dirname "$0")/lib.sh"\n%s\n' "$2" >tree/tests/cli/x-y.sh
    run "$1" sh tree/tests/cli/x-y.sh
}

verdict 0 'run 0 true'
out_is 'ok 1 - exit 0: true
1..1'
verdict 1 ''
out_is '1..0
# this test made no check'
verdict 1 'run 0 true; false; run 0 true'
out_unlike '^1\.\.'
verdict 1 'run 0 false'
out_like '^not ok 1 - exit 0: false$'
verdict 1 'run 1 true'
verdict 0 'run 3 sh -c "exit 3"'
verdict 1 'run 0 true; exit 1'
out_unlike '^1\.\.'

while IFS='|' read -r good bad; do
    verdict 0 "run 0 sh -c 'echo out; echo err >&2'; echo x >f; echo x >g; echo y >h; $good"
    verdict 1 "run 0 sh -c 'echo out; echo err >&2'; echo x >f; echo x >g; echo y >h; $bad"
    out_like '^not ok '
    out_like '^1\.\.'
done <<'E2'
out_is out|out_is ou
err_is err|err_is ''
err_like '^e.r$'|err_like '^rr'
out_like ut|out_like err
err_unlike out|err_unlike er
out_unlike err|out_unlike o
same f g|same f h
same f g|same f nothing
absent 'a*' nothing|absent nothing '[fz]'
present f g|present f nothing
ok what true|ok what false
no what false|no what true
E2

# prove itself: a test that dies early, and one without checks, fail the run.
for text in '' 'run 0 true; false' 'run 0 false'; do
    printf '#!/bin/sh\n. "$(dirname "$0")/lib.sh"\n%s\n' "$text" >tree/tests/cli/x-y.sh
    chmod +x tree/tests/cli/x-y.sh
    no "prove fails: '$text'" prove tree/tests/cli/x-y.sh
done

verdict 0 'skip "no such thing here"'
out_is '1..0 # SKIP no such thing here'
verdict 1 'run 0 true; skip "too late"'

verdict 0 'echo "$PWD" >"$TOP/where"; : >left; ok there test -f left'
ok 'the scratch folder is removed' sh -c '! test -e "$(cat tree/where)"'
