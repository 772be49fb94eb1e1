/* SPDX-License-Identifier: MIT */
#include "formats/numbered.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where the number goes: [*from, *to) of the pattern, *digits wide at least. 0: not there, or not alone. */
static int place(const char *pattern, size_t *from, size_t *to, int *digits)
{
    const char *at = strchr(pattern, '%'), *p;

    if (!at || strchr(at + 1, '%'))
        return 0;
    p = at + 1;
    *digits = 1;
    if (p[0] == '0' && p[1] >= '1' && p[1] <= '9') {
        *digits = p[1] - '0';
        p += 2;
    }
    *from = (size_t)(at - pattern);
    *to = (size_t)(p - pattern) + 1;
    return *p == 'd';
}

int vl_numbered_check(const char *pattern, vl_err *e)
{
    size_t from, to;
    int digits;

    if (!place(pattern, &from, &to, &digits))
        return vl_fail(e, VL_EARG, "'%s' needs one place for a number, such as %%06d", pattern);
    return VL_OK;
}

char *vl_numbered_name(const char *pattern, uint64_t i, vl_err *e)
{
    size_t from = 0, to = 0, n = strlen(pattern) + 24;
    int digits = 1;
    char *name = vl_alloc(n, 1, e);

    if (name && place(pattern, &from, &to, &digits))
        snprintf(name, n, "%.*s%0*" PRIu64 "%s", (int)from, pattern, digits, i, pattern + to);
    return name;
}
