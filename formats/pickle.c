/* SPDX-License-Identifier: MIT
 * pickle.c -- the pickle machine without its arms: a stack, marks, a memo, and an arena of nodes.
 *
 * Invariants
 *  1. A node, a place of the stack and one of the memo cost a byte each and have a ceiling.
 *  2. A list, tuple or dict gets its place in another at most once (`owned`), and the root has none: what
 *     hangs below the root through these is a tree, and walking it costs no more than the input.
 *  3. Kids of a node lie together in the pool; a list that outgrows its place moves to one twice as large.
 *  4. Nodes 0 .. 2 + SMALL - 1 are None, False, True and the small integers, made once. */
#include "formats/pickle.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { NONE, FALSE, TRUE, SMALL0, SMALL = 256, N_FIXED = SMALL0 + SMALL, ORDERED_DICT = -1 };
#define NO_NODE UINT32_MAX

typedef struct machine {
    vl_pickle p;
    vl_cursor c;
    const vl_pk_global *allowed;
    size_t n_allowed;
    uint32_t *stack, *mark, *memo;
    uint32_t n_stack, n_mark, n_memo; /* n_memo: places that were given out, by MEMOIZE's count */
    uint32_t cap_stack, cap_mark, cap_memo;
    size_t op_at; /* byte of the opcode at hand */
    vl_err *e;
} machine;

#define BAD(m, ...) bad_at(m, vl_fail((m)->e, VL_EFORMAT, __VA_ARGS__))

static int bad_at(machine *m, int rc)
{
    vl_within(m->e, "pickle: byte %zu", m->op_at);
    return rc;
}

/* Room for one more u32 in a growing array. */
static int grow(uint32_t **a, uint32_t n, uint32_t *cap, vl_err *e)
{
    uint32_t want = *cap ? 2 * *cap : 64;
    uint32_t *b;

    if (n < *cap)
        return VL_OK;
    if (n >= VL_PICKLE_KIDS_MAX)
        return vl_fail(e, VL_EFORMAT, "pickle: more than %d values on the stack, in the memo or in lists",
                       VL_PICKLE_KIDS_MAX);
    b = vl_realloc(*a, want, sizeof *b, e);
    if (!b)
        return VL_ENOMEM;
    *a = b;
    *cap = want;
    return VL_OK;
}

/* ---- nodes and kids --------------------------------------------------------------------------- */

static int new_node(machine *m, vl_pk_type type, uint32_t *out)
{
    vl_pickle *p = &m->p;

    if (p->n_nodes == p->cap_nodes) {
        uint32_t cap = p->cap_nodes ? 2 * p->cap_nodes : 2 * N_FIXED;
        vl_pk_node *b;
        if (p->n_nodes >= VL_PICKLE_NODES_MAX)
            return BAD(m, "more than %d values", VL_PICKLE_NODES_MAX);
        b = vl_realloc(p->node, cap, sizeof *b, m->e);
        if (!b)
            return VL_ENOMEM;
        p->node = b;
        p->cap_nodes = cap;
    }
    p->node[p->n_nodes] = (vl_pk_node){.type = (uint8_t)type};
    *out = p->n_nodes++;
    return VL_OK;
}

/* A place of `room` kids at the end of the pool. */
static int new_kids(machine *m, uint32_t room, uint32_t *first)
{
    vl_pickle *p = &m->p;

    if (room > VL_PICKLE_KIDS_MAX - p->n_kids)
        return BAD(m, "more than %d places in lists, tuples and dicts", VL_PICKLE_KIDS_MAX);
    while (p->cap_kids - p->n_kids < room) {
        int rc = grow(&p->kid, p->cap_kids, &p->cap_kids, m->e);
        if (rc)
            return rc;
    }
    *first = p->n_kids;
    p->n_kids += room;
    return VL_OK;
}

static int add_kids(machine *m, uint32_t parent, const uint32_t *kid, uint32_t n)
{
    vl_pickle *p = &m->p;
    vl_pk_node *x = &p->node[parent];
    uint32_t first = 0;

    for (uint32_t i = 0; i < n; i++) {
        vl_pk_node *y = &p->node[kid[i]];
        if (y->type == VL_PK_LIST || y->type == VL_PK_DICT || (y->type == VL_PK_TUPLE && y->n)) {
            if (y->owned)
                return BAD(m, "a %s in two places", vl_pk_type_name(y));
            y->owned = true;
        }
    }
    if (n > x->room - x->n) {
        uint32_t room = x->n + n > 2 * x->room ? x->n + n : 2 * x->room;
        int rc = new_kids(m, room, &first);
        if (rc)
            return rc;
        memcpy(p->kid + first, p->kid + x->first, x->n * sizeof *kid);
        x->first = first;
        x->room = room;
    }
    if (n)
        memcpy(p->kid + x->first + x->n, kid, n * sizeof *kid);
    x->n += n;
    return VL_OK;
}

/* ---- the stack -------------------------------------------------------------------------------- */

static int push(machine *m, uint32_t node)
{
    int rc = grow(&m->stack, m->n_stack, &m->cap_stack, m->e);

    if (!rc)
        m->stack[m->n_stack++] = node;
    return rc;
}

/* The lowest place of the stack that may be taken: above the last mark. */
static uint32_t stack_floor(const machine *m)
{
    return m->n_mark ? m->mark[m->n_mark - 1] : 0;
}

static int pop(machine *m, uint32_t *node)
{
    if (m->n_stack <= stack_floor(m))
        return BAD(m, "the stack is empty");
    *node = m->stack[--m->n_stack];
    return VL_OK;
}

static int top(machine *m, uint32_t *node)
{
    if (m->n_stack <= stack_floor(m))
        return BAD(m, "the stack is empty");
    *node = m->stack[m->n_stack - 1];
    return VL_OK;
}

/* Takes all above the last mark, and the mark: *item borrows from the stack until the next push. */
static int pop_mark(machine *m, const uint32_t **item, uint32_t *n)
{
    if (!m->n_mark)
        return BAD(m, "no mark on the stack");
    *n = m->n_stack - m->mark[--m->n_mark];
    m->n_stack -= *n;
    *item = *n ? m->stack + m->n_stack : NULL; /* the stack may not exist yet */
    return VL_OK;
}

static int push_new(machine *m, vl_pk_type type, uint32_t *node)
{
    int rc = new_node(m, type, node);

    return rc ? rc : push(m, *node);
}

/* ---- numbers and text -------------------------------------------------------------------------- */

static int push_int(machine *m, int64_t v)
{
    uint32_t x = 0;
    int rc;

    if (v >= 0 && v < SMALL)
        return push(m, SMALL0 + (uint32_t)v);
    rc = push_new(m, VL_PK_INT, &x);
    if (!rc)
        m->p.node[x].u.i = v;
    return rc;
}

static int push_long(machine *m)
{
    uint8_t n = vl_cur_u8(&m->c);
    const uint8_t *p = vl_cur_bytes(&m->c, n);
    uint64_t v = p && n && p[n - 1] & 0x80 ? UINT64_MAX : 0;

    if (n > 8)
        return BAD(m, "an integer of %u bytes", n);
    for (int i = 0; p && i < n; i++)
        v = (v & ~((uint64_t)255 << 8 * i)) | (uint64_t)p[i] << 8 * i;
    return push_int(m, (int64_t)v);
}

/* A big-endian double, the one number of a pickle that is. */
static int push_float(machine *m)
{
    uint64_t le = vl_cur_u64(&m->c), be = 0;
    uint32_t x = 0;
    int rc = push_new(m, VL_PK_FLOAT, &x);

    for (int i = 0; i < 8; i++)
        be = be << 8 | (le >> 8 * i & 255);
    if (!rc)
        memcpy(&m->p.node[x].u.f, &be, 8);
    return rc;
}

static int push_text(machine *m, uint32_t n)
{
    const uint8_t *p = vl_cur_bytes(&m->c, n);
    uint32_t x = 0;
    int rc;

    if (!p)
        return BAD(m, "a text of %u bytes does not fit what is left", n);
    rc = push_new(m, VL_PK_TEXT, &x);
    if (!rc) {
        m->p.node[x].n = n;
        m->p.node[x].u.text = p;
    }
    return rc;
}

/* ---- lists, tuples, dicts ---------------------------------------------------------------------- */

static int push_tuple(machine *m, const uint32_t *item, uint32_t n)
{
    uint32_t x = 0;
    int rc = new_node(m, VL_PK_TUPLE, &x);

    if (!rc)
        rc = add_kids(m, x, item, n);
    return rc ? rc : push(m, x);
}

/* The last n of the stack as a tuple. */
static int short_tuple(machine *m, uint32_t n)
{
    if (m->n_stack - stack_floor(m) < n)
        return BAD(m, "the stack is empty");
    m->n_stack -= n;
    return push_tuple(m, m->stack + m->n_stack, n);
}

static int marked_tuple(machine *m)
{
    const uint32_t *item = NULL;
    uint32_t n = 0;
    int rc = pop_mark(m, &item, &n);

    return rc ? rc : push_tuple(m, item, n);
}

/* APPEND, APPENDS, SETITEM, SETITEMS: items onto what lies below them. */
static int extend(machine *m, vl_pk_type type, const uint32_t *item, uint32_t n)
{
    uint32_t x = 0;
    int rc = top(m, &x);

    if (rc)
        return rc;
    if (m->p.node[x].type != type)
        return BAD(m, "items for a %s", vl_pk_type_name(&m->p.node[x]));
    if (type == VL_PK_DICT && n % 2)
        return BAD(m, "a key without a value");
    return add_kids(m, x, item, n);
}

static int extend_marked(machine *m, vl_pk_type type)
{
    const uint32_t *item = NULL;
    uint32_t n = 0;
    int rc = pop_mark(m, &item, &n);

    return rc ? rc : extend(m, type, item, n);
}

static int extend_by(machine *m, vl_pk_type type, uint32_t n)
{
    if (m->n_stack - stack_floor(m) < n)
        return BAD(m, "the stack is empty");
    m->n_stack -= n;
    return extend(m, type, m->stack + m->n_stack, n);
}

static int mark(machine *m)
{
    int rc = grow(&m->mark, m->n_mark, &m->cap_mark, m->e);

    if (!rc)
        m->mark[m->n_mark++] = m->n_stack;
    return rc;
}

/* ---- the memo --------------------------------------------------------------------------------- */

static int put(machine *m, uint32_t at)
{
    uint32_t x = 0;
    int rc = top(m, &x);

    if (!rc && at > m->n_memo) /* writers count them from 0 */
        rc = BAD(m, "memo place %u, %u expected", at, m->n_memo);
    if (!rc)
        rc = grow(&m->memo, at, &m->cap_memo, m->e);
    if (rc)
        return rc;
    m->memo[at] = x;
    m->n_memo += at == m->n_memo;
    return VL_OK;
}

static int get(machine *m, uint32_t at)
{
    if (at >= m->n_memo)
        return BAD(m, "memo place %u of %u", at, m->n_memo);
    return push(m, m->memo[at]);
}

/* ---- globals and calls ------------------------------------------------------------------------- */

static bool same(const char *s, const uint8_t *p, size_t n)
{
    return strlen(s) == n && !memcmp(s, p, n);
}

static int push_global(machine *m, const uint8_t *module, size_t n_module, const uint8_t *name, size_t n_name)
{
    int64_t row = ORDERED_DICT;
    uint32_t x = 0;
    int rc;

    if (!same("collections", module, n_module) || !same("OrderedDict", name, n_name)) {
        for (row = 0; row < (int64_t)m->n_allowed; row++)
            if (same(m->allowed[row].module, module, n_module) && same(m->allowed[row].name, name, n_name))
                break;
        if (row == (int64_t)m->n_allowed)
            return BAD(m, "global '%.*s.%.*s' is not one that tensors need: refused",
                       (int)(n_module < 80 ? n_module : 80), (const char *)module,
                       (int)(n_name < 80 ? n_name : 80), (const char *)name);
    }
    rc = push_new(m, VL_PK_GLOBAL, &x);
    if (!rc)
        m->p.node[x].u.i = row;
    return rc;
}

/* Bytes up to the newline, which is taken, too. */
static const uint8_t *line(machine *m, size_t *n)
{
    const uint8_t *p = m->c.p + m->c.at, *end = memchr(p, '\n', vl_cur_left(&m->c));

    if (!end)
        return NULL;
    *n = (size_t)(end - p);
    return vl_cur_bytes(&m->c, *n + 1);
}

static int global(machine *m)
{
    size_t n_module, n_name;
    const uint8_t *module = line(m, &n_module), *name = module ? line(m, &n_name) : NULL;

    if (!name)
        return BAD(m, "a global without its name");
    return push_global(m, module, n_module, name, n_name);
}

static int stack_global(machine *m)
{
    uint32_t name = 0, module = 0;
    const vl_pk_node *x, *y;
    int rc = pop(m, &name);

    if (!rc)
        rc = pop(m, &module);
    if (rc)
        return rc;
    x = &m->p.node[module];
    y = &m->p.node[name];
    if (x->type != VL_PK_TEXT || y->type != VL_PK_TEXT)
        return BAD(m, "a global whose name is no text");
    return push_global(m, x->u.text, x->n, y->u.text, y->n);
}

static int call(machine *m)
{
    uint32_t args = 0, func = 0, x = 0;
    int64_t row;
    int rc = pop(m, &args);

    if (!rc)
        rc = pop(m, &func);
    if (rc)
        return rc;
    if (m->p.node[func].type != VL_PK_GLOBAL || m->p.node[args].type != VL_PK_TUPLE)
        return BAD(m, "a call of a %s with a %s", vl_pk_type_name(&m->p.node[func]),
                   vl_pk_type_name(&m->p.node[args]));
    row = m->p.node[func].u.i;
    if (row == ORDERED_DICT && m->p.node[args].n)
        return BAD(m, "OrderedDict called with arguments");
    rc = push_new(m, row == ORDERED_DICT ? VL_PK_DICT : VL_PK_CALL, &x);
    if (rc)
        return rc;
    m->p.node[x].ordered = row == ORDERED_DICT;
    m->p.node[x].u.i = row;
    return row == ORDERED_DICT ? VL_OK : add_kids(m, x, &args, 1);
}

static int persid(machine *m)
{
    uint32_t id = 0, x = 0;
    int rc = pop(m, &id);

    if (!rc)
        rc = push_new(m, VL_PK_PERSID, &x);
    return rc ? rc : add_kids(m, x, &id, 1);
}

/* BUILD sets attributes: a state dict's OrderedDict carries _metadata there, which no tensor needs. */
static int build(machine *m)
{
    uint32_t state = 0, x = 0;
    int rc = pop(m, &state);

    if (!rc)
        rc = top(m, &x);
    if (!rc && (!m->p.node[x].ordered || m->p.node[state].type != VL_PK_DICT))
        rc = BAD(m, "attributes for a %s", vl_pk_type_name(&m->p.node[x]));
    return rc;
}

/* ---- the opcodes ------------------------------------------------------------------------------ */

static int proto(machine *m)
{
    uint8_t v = vl_cur_u8(&m->c);

    return v >= 2 && v <= 5 ? VL_OK : BAD(m, "protocol %u: 2 to 5 are read", v);
}

static int frame(machine *m)
{
    uint64_t n = vl_cur_u64(&m->c);

    return n <= vl_cur_left(&m->c) ? VL_OK : BAD(m, "a frame of %" PRIu64 " bytes is cut", n);
}

static int new_empty(machine *m, vl_pk_type type)
{
    uint32_t x = 0;

    return push_new(m, type, &x);
}

/* One opcode a line. */
/* clang-format off */
static int dispatch(machine *m, uint8_t op)
{
    vl_cursor *c = &m->c;

    switch (op) {
    case 0x80: return proto(m);                         /* PROTO */
    case 0x95: return frame(m);                         /* FRAME */
    case 'N': return push(m, NONE);                     /* NONE */
    case 0x88: return push(m, TRUE);                    /* NEWTRUE */
    case 0x89: return push(m, FALSE);                   /* NEWFALSE */
    case 'K': return push_int(m, vl_cur_u8(c));         /* BININT1 */
    case 'M': return push_int(m, vl_cur_u16(c));        /* BININT2 */
    case 'J': return push_int(m, (int32_t)vl_cur_u32(c)); /* BININT */
    case 0x8a: return push_long(m);                     /* LONG1 */
    case 'G': return push_float(m);                     /* BINFLOAT */
    case 0x8c: return push_text(m, vl_cur_u8(c));       /* SHORT_BINUNICODE */
    case 'X': return push_text(m, vl_cur_u32(c));       /* BINUNICODE */
    case ']': return new_empty(m, VL_PK_LIST);          /* EMPTY_LIST */
    case '}': return new_empty(m, VL_PK_DICT);          /* EMPTY_DICT */
    case ')': return new_empty(m, VL_PK_TUPLE);         /* EMPTY_TUPLE */
    case 0x85: return short_tuple(m, 1);                /* TUPLE1 */
    case 0x86: return short_tuple(m, 2);                /* TUPLE2 */
    case 0x87: return short_tuple(m, 3);                /* TUPLE3 */
    case 't': return marked_tuple(m);                   /* TUPLE */
    case '(': return mark(m);                           /* MARK */
    case 'a': return extend_by(m, VL_PK_LIST, 1);       /* APPEND */
    case 'e': return extend_marked(m, VL_PK_LIST);      /* APPENDS */
    case 's': return extend_by(m, VL_PK_DICT, 2);       /* SETITEM */
    case 'u': return extend_marked(m, VL_PK_DICT);      /* SETITEMS */
    case 'q': return put(m, vl_cur_u8(c));              /* BINPUT */
    case 'r': return put(m, vl_cur_u32(c));             /* LONG_BINPUT */
    case 0x94: return put(m, m->n_memo);                /* MEMOIZE */
    case 'h': return get(m, vl_cur_u8(c));              /* BINGET */
    case 'j': return get(m, vl_cur_u32(c));             /* LONG_BINGET */
    case 'c': return global(m);                         /* GLOBAL */
    case 0x93: return stack_global(m);                  /* STACK_GLOBAL */
    case 'R': return call(m);                           /* REDUCE */
    case 'Q': return persid(m);                         /* BINPERSID */
    case 'b': return build(m);                          /* BUILD */
    default:
        return BAD(m, "opcode 0x%02x is not one that torch.save writes: refused", op);
    }
}
/* clang-format on */

static int run(machine *m)
{
    const uint8_t STOP = '.';
    uint8_t op;
    int rc = VL_OK;

    while (!rc) {
        m->op_at = m->c.at;
        if (!vl_cur_left(&m->c))
            return BAD(m, "it ends before STOP");
        op = vl_cur_u8(&m->c);
        if (op == STOP)
            break;
        rc = dispatch(m, op);
        if (!rc && m->c.over)
            rc = BAD(m, "opcode 0x%02x is cut", op);
    }
    if (!rc && (m->n_mark || m->n_stack != 1))
        rc = BAD(m, "%u values and %u marks are left at the end, one value expected", m->n_stack, m->n_mark);
    if (!rc && vl_cur_left(&m->c))
        rc = BAD(m, "%zu bytes behind STOP", vl_cur_left(&m->c));
    if (!rc && m->p.node[m->stack[0]].owned)
        rc = BAD(m, "the %s holds itself", vl_pk_type_name(&m->p.node[m->stack[0]]));
    if (!rc)
        m->p.root = m->stack[0];
    return rc;
}

/* Nodes that are made once (invariant 4). */
static int make_fixed(machine *m)
{
    uint32_t x = 0;
    int rc = new_node(m, VL_PK_NONE, &x);

    for (int i = 0; !rc && i < 2; i++)
        if (!(rc = new_node(m, VL_PK_BOOL, &x)))
            m->p.node[x].u.i = i;
    for (int i = 0; !rc && i < SMALL; i++)
        if (!(rc = new_node(m, VL_PK_INT, &x)))
            m->p.node[x].u.i = i;
    return rc;
}

int vl_pickle_parse(const uint8_t *bytes, size_t n, const vl_pk_global *allowed, size_t n_allowed,
                    vl_pickle *out, vl_err *e)
{
    machine m = {.c = vl_cur(bytes, n), .allowed = allowed, .n_allowed = n_allowed, .e = e};
    int rc = n <= VL_PICKLE_MAX ? make_fixed(&m)
                                : vl_fail(e, VL_EFORMAT, "pickle: %zu bytes, %d allowed", n, VL_PICKLE_MAX);

    if (!rc)
        rc = run(&m);
    free(m.stack);
    free(m.mark);
    free(m.memo);
    if (rc)
        vl_pickle_free(&m.p);
    *out = m.p;
    return rc;
}

void vl_pickle_free(vl_pickle *p)
{
    free(p->node);
    free(p->kid);
    *p = (vl_pickle){0};
}

/* ---- looking at it ---------------------------------------------------------------------------- */

const vl_pk_node *vl_pk_root(const vl_pickle *p)
{
    return &p->node[p->root];
}

const vl_pk_node *vl_pk_kid(const vl_pickle *p, const vl_pk_node *x, uint32_t i)
{
    return &p->node[p->kid[x->first + i]];
}

bool vl_pk_is(const vl_pk_node *text, const char *s)
{
    return text->type == VL_PK_TEXT && same(s, text->u.text, text->n);
}

const vl_pk_node *vl_pk_get(const vl_pickle *p, const vl_pk_node *dict, const char *key)
{
    for (uint32_t i = dict->type == VL_PK_DICT ? dict->n : 0; i; i -= 2)
        if (vl_pk_is(vl_pk_kid(p, dict, i - 2), key))
            return vl_pk_kid(p, dict, i - 1);
    return NULL;
}

const char *vl_pk_type_name(const vl_pk_node *x)
{
    static const char *const name[] = {
        [VL_PK_NONE] = "None",
        [VL_PK_BOOL] = "bool",
        [VL_PK_INT] = "number",
        [VL_PK_FLOAT] = "number",
        [VL_PK_TEXT] = "text",
        [VL_PK_LIST] = "list",
        [VL_PK_TUPLE] = "tuple",
        [VL_PK_DICT] = "dict",
        [VL_PK_GLOBAL] = "global",
        [VL_PK_CALL] = "call",
        [VL_PK_PERSID] = "persistent id",
    };

    return name[x->type];
}
