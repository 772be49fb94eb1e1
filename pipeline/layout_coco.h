/* SPDX-License-Identifier: MIT
 * layout_coco.h -- the tables of a COCO captions file: images, captions and licences by their ids. For
 * layout_json.c. Memory: the texts, 32 bytes an image and 24 a caption, and once more the latter while they are
 * sorted. */
#ifndef VL_LAYOUT_COCO_H
#define VL_LAYOUT_COCO_H

#include "formats/bytes.h"
#include <jansson.h>

typedef struct vl_coco { /* {0} is empty */
    vl_buf text, image, caption, licence;
    size_t *by_id; /* numbers of images in the order of their ids, once sorted */
} vl_coco;

typedef struct vl_coco_image {
    int64_t id;
    const char *name, *source, *licence; /* source, licence: NULL where there is none */
    size_t first, n;                     /* captions first to first + n - 1, as in the file */
    bool twice;                          /* an image before it has the same id */
} vl_coco_image;

/* vl_coco_add -- takes what is of use out of an element of "images", "annotations" or "licenses"; others are passed
 * over. Errors: VL_EFORMAT (no id, no file_name, no caption), VL_ENOMEM. */
VL_MUST_USE int vl_coco_add(vl_coco *c, const char *array, const json_t *element, vl_err *e);

/* vl_coco_sort -- once all is there. */
VL_MUST_USE int vl_coco_sort(vl_coco *c, vl_err *e);

size_t vl_coco_images(const vl_coco *c);
vl_coco_image vl_coco_get(const vl_coco *c, size_t i);              /* i: in the order of the file */
const char *vl_coco_caption(const vl_coco *c, size_t k, size_t *n); /* k: as in vl_coco_image */
/* vl_coco_orphan -- the first caption from *k on whose image is not there: its number among the annotations and that
 * image's id; *k moves behind it. False: there is none. */
bool vl_coco_orphan(const vl_coco *c, size_t *k, size_t *number, int64_t *id);

void vl_coco_free(vl_coco *c);

#endif
