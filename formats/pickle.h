/* SPDX-License-Identifier: MIT
 * pickle.h -- a Python pickle as a tree of values. Nothing is executed: a call of a global is a node that
 * names the global and holds the arguments, and only globals of the caller's list may be named at all.
 *
 * Read: the opcodes of protocols 2 to 4 that torch.save writes for numbers, text, lists, tuples, dicts, globals
 * and calls. Everything else is refused by its opcode or by the global's name. There is no recursion, a list,
 * tuple or dict has one place in the tree, and memory is bounded by the bytes that are read.
 * Source: the opcode table of CPython's pickletools. */
#ifndef VL_PICKLE_H
#define VL_PICKLE_H

#include "formats/bytes.h"

enum {
    VL_PICKLE_MAX = 64 << 20,      /* bytes */
    VL_PICKLE_NODES_MAX = 1 << 22, /* values that are not small integers, None, True or False */
    VL_PICKLE_KIDS_MAX = 1 << 23   /* places in lists, tuples and dicts */
};

typedef enum vl_pk_type {
    VL_PK_NONE,
    VL_PK_BOOL,   /* i */
    VL_PK_INT,    /* i */
    VL_PK_FLOAT,  /* f */
    VL_PK_TEXT,   /* text, n bytes, no NUL behind it; not checked to be UTF-8 */
    VL_PK_LIST,   /* n kids */
    VL_PK_TUPLE,  /* n kids */
    VL_PK_DICT,   /* n kids: key, value, key, value ...; an OrderedDict is one, too */
    VL_PK_GLOBAL, /* i: row of the caller's list; -1 OrderedDict */
    VL_PK_CALL,   /* i: row of the caller's list; one kid, the tuple of arguments */
    VL_PK_PERSID  /* one kid, what the writer's persistent_id gave */
} vl_pk_type;

typedef struct vl_pk_node {
    uint8_t type; /* vl_pk_type */
    bool owned;   /* it has its place in a list, tuple or dict */
    bool ordered; /* a dict made by OrderedDict */
    uint32_t n;
    uint32_t first, room; /* kids: where they begin in the pool, how many fit there */
    union {
        int64_t i;
        double f;
        const uint8_t *text; /* borrowed from the pickle */
    } u;
} vl_pk_node;

/* A global that may be named, "torch._utils" "_rebuild_tensor_v2". */
typedef struct vl_pk_global {
    const char *module, *name;
} vl_pk_global;

typedef struct vl_pickle {
    vl_pk_node *node;
    uint32_t *kid;
    uint32_t n_nodes, n_kids, cap_nodes, cap_kids;
    uint32_t root;
} vl_pickle;

/* vl_pickle_parse -- bytes[n] must be one pickle and nothing else; text nodes borrow from it.
 *   allowed  the globals that may be named, beside collections.OrderedDict
 * Errors: VL_EFORMAT with the byte's number and what stands there; VL_ENOMEM. *out is empty then. */
VL_MUST_USE int vl_pickle_parse(const uint8_t *bytes, size_t n, const vl_pk_global *allowed, size_t n_allowed,
                                vl_pickle *out, vl_err *e);
void vl_pickle_free(vl_pickle *p); /* zeroed is harmless */

const vl_pk_node *vl_pk_root(const vl_pickle *p);
/* vl_pk_kid -- kid i of a node, i < x->n. */
const vl_pk_node *vl_pk_kid(const vl_pickle *p, const vl_pk_node *x, uint32_t i);
/* vl_pk_get -- the value of this key in a dict; the last one, as in Python. NULL when there is none. */
const vl_pk_node *vl_pk_get(const vl_pickle *p, const vl_pk_node *dict, const char *key);
/* vl_pk_is -- is it this text? */
bool vl_pk_is(const vl_pk_node *text, const char *s);
/* vl_pk_type_name -- "list", "dict" ..., for messages. */
const char *vl_pk_type_name(const vl_pk_node *x);

#endif
