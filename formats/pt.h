/* SPDX-License-Identifier: MIT
 * pt.h -- files of torch.save (PyTorch 1.6 and later): a pickle of lists, dicts and tensors in a zip, each
 * tensor a view of a storage, which is an entry of the zip. Nothing in the file is executed (pickle.h).
 *
 *   NAME/data.pkl     the pickle; a tensor is a call of torch._utils._rebuild_tensor_v2
 *   NAME/data/KEY     the bytes of a storage
 *   NAME/byteorder    "little" where it is there (2.0 and later); big-endian files are refused
 * Source: torch/serialization.py and torch/_utils.py, 1.13 and 2.8. */
#ifndef VL_PT_H
#define VL_PT_H

#include "formats/npy.h"
#include "formats/pickle.h"
#include "formats/pt_zip.h"

#define VL_PT_STORAGE_MAX ((uint64_t)1 << 32) /* bytes of one storage: they are held in memory */
#define VL_PT_TENSOR_MAX  ((uint64_t)1 << 32) /* bytes of one tensor as vl_pt_read gives it */

typedef struct vl_pt {
    vl_ptz zip;
    char *prefix;     /* "NAME/" */
    uint8_t *text;    /* the pickle's bytes */
    vl_pickle pickle; /* its tree: vl_pk_root(&pt->pickle) */
    const void *held; /* the storage that was read last, and its bytes */
    uint8_t *held_bytes;
} vl_pt;

/* vl_pt_open -- reads and checks the zip's directory and the pickle; storages are read when asked for.
 * Errors, without the path: VL_EIO, VL_ENOMEM, VL_EFORMAT (as of pt_zip.h and pickle.h; no data.pkl; the
 * format of torch before 1.6; big-endian). */
VL_MUST_USE int vl_pt_open(const char *path, vl_pt *pt, vl_err *e);
void vl_pt_close(vl_pt *pt); /* a failed open's is harmless */

/* A tensor: a view of a storage, checked to lie within it. */
typedef struct vl_pt_tensor {
    vl_dtype dtype;
    int rank;
    uint64_t shape[VL_NPY_MAX_RANK];
    uint64_t stride[VL_NPY_MAX_RANK]; /* elements */
    uint64_t offset;                  /* elements from the storage's first */
    uint64_t n;                       /* elements */
    const vl_ptz_entry *storage;
} vl_pt_tensor;

/* vl_pt_is_tensor -- is this node a tensor or a parameter (not yet checked)? */
bool vl_pt_is_tensor(const vl_pk_node *x);

/* vl_pt_tensor_of -- what a node says of a tensor, held against the storage it names.
 * Errors: VL_EFORMAT: no tensor; more than 8 dimensions; a storage that is not there or not as long as claimed; a view that leaves it or is larger than
 * VL_PT_TENSOR_MAX. */
VL_MUST_USE int vl_pt_tensor_of(const vl_pt *pt, const vl_pk_node *x, vl_pt_tensor *out, vl_err *e);

/* vl_pt_part -- row i of the first dimension (i < shape[0], rank > 0), as a tensor. */
vl_pt_tensor vl_pt_part(const vl_pt_tensor *t, uint64_t i);

/* vl_pt_read -- its elements in C order, little-endian, into out[t->n * vl_dtype_size(t->dtype)]. Keeps the
 * storage in memory until another one is read, so that many views of one cost one read.
 * Errors: VL_EIO, VL_ENOMEM, VL_EFORMAT (the storage's CRC-32). */
VL_MUST_USE int vl_pt_read(vl_pt *pt, const vl_pt_tensor *t, void *out, vl_err *e);

#endif
