/* SPDX-License-Identifier: MIT
 * pt_zip.h -- the zip archive that torch.save writes: entries stored, never compressed, read in any order.
 *
 * Not libarchive: it gives a zip's entries in file order only, and what a restricted reader must refuse
 * (overlaps, an entry twice, local and central header that disagree) is what a general one forgives.
 * Nothing is ever unpacked to a file, so names are only compared. Source: PKWARE APPNOTE 6.3.9. */
#ifndef VL_PT_ZIP_H
#define VL_PT_ZIP_H

#include "formats/source.h"

enum {
    VL_PTZ_ENTRIES_MAX = 1 << 20, /* tensors and more of a file */
    VL_PTZ_NAME_MAX = 1023        /* bytes */
};

typedef struct vl_ptz_entry {
    const char *name;
    uint64_t head; /* where its local header begins */
    uint64_t at;   /* where its bytes begin */
    uint64_t n;    /* bytes */
    uint32_t crc;  /* CRC-32 of them */
} vl_ptz_entry;

typedef struct vl_ptz {
    vl_source src;
    char *names;
    vl_ptz_entry *entry; /* [n], by name */
    size_t n;
} vl_ptz;

/* vl_ptz_open -- reads the directory and every local header, checks all of it. Memory: the directory, which
 * lies in the file.
 * Errors, without the path: VL_EIO; VL_EFORMAT not a zip, a compressed or encrypted entry, entries that
 * overlap or leave the file, a name twice, several disks, a comment behind the end. */
VL_MUST_USE int vl_ptz_open(const char *path, vl_ptz *z, vl_err *e);
void vl_ptz_close(vl_ptz *z); /* {.src.fd = -1} and a closed one are harmless */

/* vl_ptz_find -- the entry of this name, or NULL. */
const vl_ptz_entry *vl_ptz_find(const vl_ptz *z, const char *name);

/* vl_ptz_read -- all of an entry's bytes into out[x->n]. Errors: VL_EIO, VL_EFORMAT (CRC-32), naming it. */
VL_MUST_USE int vl_ptz_read(const vl_ptz *z, const vl_ptz_entry *x, uint8_t *out, vl_err *e);

#endif
