/* SPDX-License-Identifier: MIT
 * member.h -- reals as .npy and .vlt members of records: what trajectories and distilled sets share. */
#ifndef VLD_MEMBER_H
#define VLD_MEMBER_H

#include "formats/shard.h"
#include "formats/vlt_chain.h"
#include "pipeline/real.h"

/* vld_npy_build -- x, of shape dim[rank], as .npy: f32, in the double build f64. Gives *bytes (free()). */
VL_MUST_USE int vld_npy_build(const vl_real *x, int rank, const size_t *dim, uint8_t **bytes, size_t *n,
                              vl_err *e);

/* vld_npy_find -- member ext of rec, which must be an array of floats of shape dim[rank]. *out borrows from
 * rec. Nothing is allocated: what passes has as many bytes as it claims.
 * Errors: VL_EFORMAT naming the member. */
VL_MUST_USE int vld_npy_find(const vls_record *rec, const char *ext, int rank, const size_t *dim, vl_npy *out,
                             vl_err *e);

/* vld_tensor_find -- the same for a tensor that is there as <name>.vlt or, in older shards, <name>.npy.
 *   chain  to which vl_chain_add gave rec; *out borrows from it or from rec. NULL: a .vlt's shape and dtype
 *          are checked, out->data is NULL then
 *   rec    NULL: the record that the chain was given last, of which only .vlt are left
 *   ext    out  which member it is */
enum { VLD_EXT_MAX = 64 };
VL_MUST_USE int vld_tensor_find(const vl_chain *chain, const vls_record *rec, const char *name, int rank,
                                const size_t *dim, char ext[VLD_EXT_MAX], vl_npy *out, vl_err *e);

/* vld_npy_reals -- its values into out[a->n]. Errors: VL_EFORMAT, one is not finite (or does not fit). */
VL_MUST_USE int vld_npy_reals(const vl_npy *a, const char *ext, vl_real *out, vl_err *e);

#endif
