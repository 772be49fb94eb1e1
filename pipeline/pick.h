/* SPDX-License-Identifier: MIT
 * pick.h -- which records of a stream are wanted, by kind, key and number.
 *
 *   kind, keys  ->  range  ->  every  ->  part  ->  head
 *
 * Each step counts what the one before it left. Records are counted within their kind, so that pairs and
 * their embeddings, which have the same keys in the same order, are cut alike. The record `set` of a
 * distilled set speaks of all its pairs: only kind and keys apply to it, and it is not counted. */
#ifndef VL_PICK_H
#define VL_PICK_H

#include "pipeline/keytab.h"

enum { VL_PICK_KINDS = 64 }; /* kinds in a stream */

typedef struct vl_pick_opts {
    const char *kind;        /* NULL: all */
    const char *const *glob; /* [n_globs] shell patterns of whole keys; '*' matches '/', too */
    size_t n_globs;
    const vl_keytab *keys; /* NULL: none; a key is wanted that is here or matches a pattern */
    uint64_t from, to;     /* [from, to); to UINT64_MAX: the end */
    uint64_t every;        /* >= 1: numbers 0, every, 2 every, ... */
    uint64_t part,
        parts;     /* part number of parts consecutive ones, sizes differ by one at most; parts 0: all */
    uint64_t head; /* at most so many; UINT64_MAX: all */
} vl_pick_opts;

typedef struct vl_pick_kind {
    char name[24];
    uint64_t seen, left, given; /* by key; after every; handed out */
    uint64_t total;             /* what `left` was at the end of the counting pass */
} vl_pick_kind;

typedef struct vl_pick {
    vl_pick_opts o;
    vl_pick_kind kind[VL_PICK_KINDS];
    size_t n_kinds;
    bool *glob_used, *key_used; /* has this one matched a record? */
} vl_pick;

/* vl_pick_new -- keeps o's pointers. Gives *out. */
VL_MUST_USE int vl_pick_new(const vl_pick_opts *o, vl_pick **out, vl_err *e);
void vl_pick_free(vl_pick *p); /* NULL is harmless */

/* vl_pick_count -- the counting pass that parts need, for every record of the stream; then
 * vl_pick_again, and the stream once more through vl_pick_next. */
VL_MUST_USE int vl_pick_count(vl_pick *p, const char *kind, const char *key, vl_err *e);
void vl_pick_again(vl_pick *p);

/* vl_pick_next -- 1 wanted, 0 not, negative: VL_EFORMAT more than VL_PICK_KINDS kinds. headless: without the
 * last step (the caller takes the first so many in an order of its own). */
VL_MUST_USE int vl_pick_next(vl_pick *p, const char *kind, const char *key, bool headless, vl_err *e);

/* vl_pick_unused -- after the stream: VL_EFORMAT when a pattern or key met no record, naming the first. */
VL_MUST_USE int vl_pick_unused(const vl_pick *p, vl_err *e);

#endif
