/* SPDX-License-Identifier: MIT
 * weights_dir.h -- a folder of pretrained weights in the layout of the Hugging Face hub: config.json and
 * model.safetensors, of which only what is asked for is read. Bytes are a stranger's: sizes are held against
 * what the caller wants before anything is allocated for them. */
#ifndef VL_WEIGHTS_DIR_H
#define VL_WEIGHTS_DIR_H

#include "formats/err.h"
#include <jansson.h>
#include <stdbool.h>

typedef struct vl_weights vl_weights;

/* vl_weights_open -- reads config.json and the header of model.safetensors.
 * Errors: VL_EIO (not there, no regular file), VL_EFORMAT, VL_ENOMEM; all name the file. */
VL_MUST_USE int vl_weights_open(const char *folder, vl_weights **out, vl_err *e);
void vl_weights_close(vl_weights *w); /* NULL is harmless */

/* vl_weights_json -- another JSON file of the folder, an object of at most 1 MiB. Gives *out. */
VL_MUST_USE int vl_weights_json(const vl_weights *w, const char *file, json_t **out, vl_err *e);

/* vl_weights_text, vl_weights_int, vl_weights_real, vl_weights_flag -- a key of config.json; fallback where it has
 * none (text: NULL, int: negative, real: NAN makes it an error). Errors: VL_EFORMAT naming file and key. */
VL_MUST_USE int vl_weights_text(const vl_weights *w, const char *key, const char *fallback, const char **out,
                                vl_err *e);
VL_MUST_USE int vl_weights_int(const vl_weights *w, const char *key, int fallback, int *out, vl_err *e);
VL_MUST_USE int vl_weights_real(const vl_weights *w, const char *key, double fallback, double *out,
                                vl_err *e);
VL_MUST_USE int vl_weights_flag(const vl_weights *w, const char *key, bool fallback, bool *out, vl_err *e);

bool vl_weights_has(const vl_weights *w, const char *tensor);

/* vl_weights_read -- a tensor of F16, BF16, F32 or F64 of this shape, finite. Gives *out (free()).
 * Errors: VL_EFORMAT naming file and tensor; VL_EIO; VL_ENOMEM. */
VL_MUST_USE int vl_weights_read(const vl_weights *w, const char *tensor, int rank, const size_t *dim,
                                double **out, vl_err *e);

#endif
