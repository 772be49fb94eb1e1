/* SPDX-License-Identifier: MIT
 * data.h -- a data set in memory as training and evaluation see it: square images as bytes, one
 * embedding row for each caption. */
#ifndef VL_DATA_H
#define VL_DATA_H

#include "formats/err.h"
#include <stdint.h>

typedef struct vl_data {
    size_t n;        /* records */
    size_t size;     /* S, pixels */
    size_t text_dim; /* K */
    size_t n_caps;   /* captions of all records */
    uint8_t *images; /* [n,S,S,3] sRGB */
    float *text;     /* [n_caps,K] */
    size_t *cap;     /* [n + 1]: record i has captions cap[i] .. cap[i + 1] - 1, at least one */
    char **key;      /* [n] */
    char **caption;  /* [n_caps] */
    uint32_t *group; /* [n_caps]: equal captions have equal numbers (vl_data_group) */
    size_t n_groups; /* distinct captions */
} vl_data;

/* vl_data_group -- numbers captions so that equal text means equal number, from 0 in order of first
 * sight. */
VL_MUST_USE int vl_data_group(vl_data *d, vl_err *e);

void vl_data_free(vl_data *d); /* zeroed is harmless */

#endif
