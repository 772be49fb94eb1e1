/* SPDX-License-Identifier: MIT */
#include "pipeline/huge.h"

#include <stdlib.h>
#include <sys/mman.h>

enum { HUGE_PAGE = 1 << 21 };

vl_real *vl_huge_alloc(size_t bytes, vl_err *e)
{
    size_t align = bytes < HUGE_PAGE ? 64 : HUGE_PAGE;
    vl_real *p;

    bytes = (bytes + align - 1) / align * align;
    if (!(p = aligned_alloc(align, bytes)))
        vl_fail(e, VL_ENOMEM, "out of memory: a matrix of %zu bytes", bytes);
#ifdef MADV_HUGEPAGE
    else if (align == HUGE_PAGE)
        (void)madvise(p, bytes, MADV_HUGEPAGE); /* a wish; refused, it is only slower */
#endif
    return p;
}
