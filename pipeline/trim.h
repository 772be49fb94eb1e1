/* SPDX-License-Identifier: MIT
 * trim.h -- records with other names: members dropped or renamed, keys with another beginning. Bytes of
 * members are never touched. */
#ifndef VL_TRIM_H
#define VL_TRIM_H

#include "formats/shard.h"
#include "formats/tarhead.h"

typedef struct vl_trim_opts {
    const char *const *drop;   /* [n_drops] shell patterns of extensions */
    const char *const *rename; /* [n_renames] "OLD=NEW", whole extensions */
    size_t n_drops, n_renames;
    const char *strip;  /* taken from the beginning of every key, which must have it; NULL: nothing */
    const char *prefix; /* put in front of every key; the first "%d" in it becomes the input's number */
} vl_trim_opts;

typedef struct vl_trim { /* {.o = ...} to start */
    vl_trim_opts o;
    vls_member *member; /* of the record that was given last */
    size_t room;
    char key[2 * VL_TAR_NAME_MAX];
    bool used[128]; /* drops, then renames: has it met a member? */
} vl_trim;

/* vl_trim_check -- are the options well formed? At most 64 drops and 64 renames. Errors: VL_EARG. */
VL_MUST_USE int vl_trim_check(const vl_trim_opts *o, vl_err *e);

/* vl_trim_record -- 1 *out is the record as it is to be, borrowed from t and in until the next call; 0 no
 * member was left; negative: VL_EFORMAT, its key does not begin as it must.
 *   input   number of the input that it comes from */
VL_MUST_USE int vl_trim_record(vl_trim *t, const vls_record *in, size_t input, vls_record *out, vl_err *e);

/* vl_trim_schema -- the same for the names in a manifest's schema (an object, changed; NULL is harmless). */
VL_MUST_USE int vl_trim_schema(const vl_trim *t, json_t *schema, vl_err *e);

/* vl_trim_unused -- VL_EFORMAT when a drop or a rename met no member, naming it. */
VL_MUST_USE int vl_trim_unused(const vl_trim *t, vl_err *e);

void vl_trim_free(vl_trim *t);

#endif
