/* SPDX-License-Identifier: MIT */
#include "distill/member.h"
#include "formats/vlt.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

int vld_npy_build(const vl_real *x, int rank, const size_t *dim, uint8_t **bytes, size_t *n, vl_err *e)
{
    vl_npy a = {.dtype = sizeof(vl_real) == 8 ? VL_F64 : VL_F32, .rank = rank, .data = x};

    for (int i = 0; i < rank; i++)
        a.shape[i] = dim[i];
    return vl_npy_build(&a, bytes, n, e);
}

static int same_shape(const vl_npy *a, int rank, const size_t *dim)
{
    int same = a->rank == rank;

    for (int i = 0; same && i < rank; i++)
        same = a->shape[i] == dim[i];
    return same;
}

static void shape_text(const vl_npy *a, char *out, size_t n)
{
    size_t used = 0;

    out[0] = 0;
    for (int i = 0; i < a->rank && used < n; i++)
        used += (size_t)snprintf(out + used, n - used, i ? ",%" PRIu64 : "%" PRIu64, a->shape[i]);
}

/* An array of floats of this shape? */
static int check_array(const vl_npy *a, const char *ext, int rank, const size_t *dim, vl_err *e)
{
    vl_npy wanted = {.rank = rank};
    char is[120], must[120];

    if (!same_shape(a, rank, dim)) {
        for (int i = 0; i < rank; i++)
            wanted.shape[i] = dim[i];
        shape_text(a, is, sizeof is);
        shape_text(&wanted, must, sizeof must);
        return vl_fail(e, VL_EFORMAT, "%s: shape [%s], [%s] expected", ext, is, must);
    }
    if (a->dtype != VL_F16 && a->dtype != VL_BF16 && a->dtype != VL_F32 && a->dtype != VL_F64)
        return vl_fail(e, VL_EFORMAT, "%s: dtype %s, floats expected", ext, vl_dtype_name(a->dtype));
    return VL_OK;
}

int vld_npy_find(const vls_record *rec, const char *ext, int rank, const size_t *dim, vl_npy *out, vl_err *e)
{
    const vls_member *m = vls_get(rec, ext);
    vl_npy a;

    if (!m)
        return vl_fail(e, VL_EFORMAT, "%s is missing", ext);
    if (vl_npy_parse(m->data, m->n, &a, e))
        return vl_within(e, "%s", ext);
    if (check_array(&a, ext, rank, dim, e))
        return VL_EFORMAT;
    *out = a;
    return VL_OK;
}

int vld_tensor_find(const vl_chain *chain, const vls_record *rec, const char *name, int rank,
                    const size_t *dim, char ext[VLD_EXT_MAX], vl_npy *out, vl_err *e)
{
    const vls_member *m;
    const vl_npy *a;
    vl_vlt t;

    snprintf(ext, VLD_EXT_MAX, "%s.vlt", name);
    m = rec ? vls_get(rec, ext) : NULL;
    a = chain && (m || !rec) ? vl_chain_get(chain, ext) : NULL;
    if (!m && !a) {
        snprintf(ext, VLD_EXT_MAX, "%s.npy", name);
        if (!rec || !vls_get(rec, ext))
            return vl_fail(e, VL_EFORMAT, "%s is there neither as .vlt nor as .npy", name);
        return vld_npy_find(rec, ext, rank, dim, out, e);
    }
    if (!a) {
        if (vl_vlt_parse(m->data, m->n, &t, e))
            return vl_within(e, "%s", ext);
        t.a.data = NULL;
        a = &t.a;
    }
    if (check_array(a, ext, rank, dim, e))
        return VL_EFORMAT;
    *out = *a;
    return VL_OK;
}

static int to_reals(const vl_npy *a, vl_real *out, vl_err *e)
{
#ifdef VL_REAL_DOUBLE
    return vl_npy_doubles(a, out, e);
#else
    return vl_npy_floats(a, out, e);
#endif
}

int vld_npy_reals(const vl_npy *a, const char *ext, vl_real *out, vl_err *e)
{
    if (to_reals(a, out, e))
        return vl_within(e, "%s", ext);
    for (uint64_t i = 0; i < a->n; i++)
        if (!isfinite(out[i]))
            return vl_fail(e, VL_EFORMAT, "%s: value %" PRIu64 " is not finite", ext, i);
    return VL_OK;
}
