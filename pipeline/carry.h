/* SPDX-License-Identifier: MIT
 * carry.h -- what goes on from the segments that are read to those that are written: manifests, parents,
 * notes.
 *
 * Merging names that differ: kind, schema, model, augment and format must agree. Any other name that is the
 * same everywhere stays; one that differs goes under "various": {name: [each value once, in order]}. Merging
 * what was merged gives the same as merging all at once. */
#ifndef VL_CARRY_H
#define VL_CARRY_H

#include "formats/shard.h"

/* vl_carry_manifest -- a copy without what each segment's writer sets itself (format, ordinal, first_key).
 * Gives it; NULL with *e on VL_ENOMEM. */
json_t *vl_carry_manifest(const json_t *manifest, vl_err *e) VL_MUST_USE;

/* vl_carry_merge -- merges m (another copy, borrowed) into *into; *into NULL becomes a copy.
 * Errors: VL_EFORMAT naming what must agree and does not; VL_ENOMEM. */
VL_MUST_USE int vl_carry_merge(json_t **into, const json_t *m, vl_err *e);

/* vl_carry_notes -- merges the notes of a segment's tail into *into, likewise; nothing must agree. Ancestors,
 * losses of inputs, licences and sources are lists and become one list each (licence.h). */
VL_MUST_USE int vl_carry_notes(json_t **into, const json_t *tail, vl_err *e);

/* vl_carry_parents -- adds the parents of a tail to an array of {content_id, kind}, each once. */
VL_MUST_USE int vl_carry_parents(json_t *into, const json_t *tail, vl_err *e);

/* vl_carry_parent -- adds one: the segment itself, by its tail and kind. */
VL_MUST_USE int vl_carry_parent(json_t *into, const json_t *tail, const char *kind, vl_err *e);

/* vl_carry_ancestors -- adds a tail's parents and its own "ancestors" to the list of that name in *notes
 * (NULL becomes an object): what a slice of a slice was made of in the end, known without the files between. */
VL_MUST_USE int vl_carry_ancestors(json_t **notes, const json_t *tail, vl_err *e);

/* vl_carry_losses -- adds a tail's "input_loss" to the list of that name in *notes (NULL becomes an object). */
VL_MUST_USE int vl_carry_losses(json_t **notes, const json_t *tail, vl_err *e);

/* vl_carry_made_of -- adds a tail's parents and ancestors to an array. */
VL_MUST_USE int vl_carry_made_of(json_t *into, const json_t *tail, vl_err *e);

/* vl_carry_step -- appends step (borrowed) to the manifest's list `name`: "cat", "select". */
VL_MUST_USE int vl_carry_step(json_t *manifest, const char *name, json_t *step, vl_err *e);

#endif
