/* SPDX-License-Identifier: MIT
 * import_pt.h -- what the published code of trajectory matching for image-text pairs leaves behind (files of
 * torch.save), as shards. Nothing in the files is executed (formats/pickle.h).
 *
 *   img_replay_buffer_N.pt, txt_replay_buffer_N.pt   list of experts, each a list of snapshots (the first one
 *                        before any training), each the list of a network's parameters in its own order
 *   distilled_IT.pt      dict: image f32 [M,3,H,W], text f32 [M,D], syn_lr_img, syn_lr_txt (inner learning
 *                        rates), similarity_params (diagonal [M], left and right factor [M,r]; or one [M,M]),
 *                        similarity_mat [M,M]
 *
 * Parameters have no names there. Six tensors of the shapes [H,D] [H] [H,H] [H] [H] [H] are the projection head
 * that all of these projects share and get its names (image.projection.weight ...); anything else is numbered
 * (image.0000).
 * Source: the code of LoRS (Xu et al. 2024) and RepBlend (Zhang et al. 2025). */
#ifndef VLD_IMPORT_PT_H
#define VLD_IMPORT_PT_H

#include "formats/shard.h"

typedef struct vld_import_counts {
    uint64_t experts, snapshots; /* of replay buffers */
    uint64_t pairs;              /* of a distilled set */
    uint64_t tensors, bytes;     /* that were written, and their elements' bytes */
} vld_import_counts;

/* vld_import_replay -- one file of each branch. Snapshot s of expert k is the record expert-(first + k)/snap-s in
 * a segment of its own, as FORMAT.md says; memory holds one snapshot.
 *   tool       the name that the manifest gives
 *   counts     added to; counts->experts is the number of the next expert
 * Errors, naming file and place: those of pt.h; VL_EFORMAT other nesting, numbers of experts or snapshots that
 * differ between the two files, a network that differs from the first snapshot's, more bytes in tensors than
 * 256 times the files (views of few bytes). */
VL_MUST_USE int vld_import_replay(const char *image, const char *text, const char *tool, vls_writer *w,
                                  vld_import_counts *counts, vl_err *e);

/* vld_import_distilled -- one segment of kind distilled; pixels and texts are written as f32. Tensors and numbers
 * under other names are kept as members and "values" of the record set. Previews take the pixels to be
 * normalised as CLIP's are, which these projects do; the manifest says so ("pixels").
 * Memory: the file's image storage. */
VL_MUST_USE int vld_import_distilled(const char *path, const char *tool, vls_writer *w,
                                     vld_import_counts *counts, vl_err *e);

/* vld_import_pt -- sorts files by their names: img_replay_buffer_N.pt goes with txt_replay_buffer_N.pt, in
 * order of N; a single other name is a distilled set.
 * Errors: VL_EARG a buffer without its other half, a number twice, several distilled sets, both kinds. */
VL_MUST_USE int vld_import_pt(const char *const *paths, size_t n, const char *tool, vls_writer *w,
                              vld_import_counts *counts, vl_err *e);

#endif
