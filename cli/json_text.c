/* SPDX-License-Identifier: MIT */
#include "cli/json_text.h"

#include "pipeline/text_utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

json_t *cli_json_text(const char *s)
{
    size_t n = s ? strlen(s) : 0, at = 0, used = 0, bad;
    char *out;
    json_t *j;

    if (!s || vl_utf8_valid(s, n, &bad))
        return s ? json_stringn(s, n) : NULL;
    out = malloc(4 * n + 1);
    if (!out)
        return NULL;
    while (!vl_utf8_valid(s + at, n - at, &bad)) {
        memcpy(out + used, s + at, bad);
        used += bad;
        used += (size_t)snprintf(out + used, 5, "\\x%02x", (unsigned)(unsigned char)s[at + bad]);
        at += bad + 1;
    }
    memcpy(out + used, s + at, n - at);
    j = json_stringn(out, used + n - at);
    free(out);
    return j;
}
