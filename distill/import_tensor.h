/* SPDX-License-Identifier: MIT
 * import_tensor.h -- tensors of a .pt file as members of a record that is being gathered. */
#ifndef VLD_IMPORT_TENSOR_H
#define VLD_IMPORT_TENSOR_H

#include "formats/pt.h"
#include "formats/shard.h"

enum { VLD_GATHER_EXT = 80 }; /* longest ext, with its NUL */

typedef struct vld_gather { /* {0} is an empty one */
    vls_member *m;
    char (*ext)[VLD_GATHER_EXT];
    size_t n, room;
    uint64_t tensors; /* that were gathered, over all records */
    json_t *schema;   /* ext -> type, dtype, shape */
    uint64_t held;    /* bytes of the members: at most those of a record */
    uint64_t bytes;   /* of elements, over all records */
    uint64_t limit;   /* of bytes: what the files may expand to */
} vld_gather;

/* vld_gather_count -- n bytes of elements more than before. Errors: VL_EFORMAT over the limit. */
VL_MUST_USE int vld_gather_count(vld_gather *g, uint64_t n, vl_err *e);

/* vld_gather_bytes -- adds a member; takes bytes, also on failure. */
VL_MUST_USE int vld_gather_bytes(vld_gather *g, const char *ext, uint8_t *bytes, size_t n, vl_err *e);

/* vld_gather_array -- adds <name>.npy with its schema. data is copied. */
VL_MUST_USE int vld_gather_array(vld_gather *g, const char *name, const vl_npy *a, vl_err *e);

/* vld_gather_tensor -- the same with a tensor of a file. floats: converted to f32, and nothing but floats. */
VL_MUST_USE int vld_gather_tensor(vld_gather *g, const char *name, vl_pt *pt, const vl_pt_tensor *t,
                                  bool floats, vl_err *e);

/* vld_gather_clear -- no members any more, a new schema. */
VL_MUST_USE int vld_gather_clear(vld_gather *g, vl_err *e);
void vld_gather_free(vld_gather *g);

#endif
