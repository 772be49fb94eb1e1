/* SPDX-License-Identifier: MIT
 * t_trajectory.c -- snapshots written and read back, as chains of differences and as the arrays of older
 * shards; what is not a trajectory is refused by name. */
#include "distill/member.h"
#include "distill/trajectory.h"
#include "formats/vlt.h"
#include "formats/vlt_chain.h"
#include "pipeline/rng.h"
#include "tests/shard_help.h"

#include <math.h>

static vl_augment aug = {true, 2};

static vlm_model model_of(const char *spec, size_t text_dim)
{
    vlm_model m;
    vl_err e;

    if (vlm_parse(spec, 16, text_dim, 6, 14.3, &m, &e))
        fail_msg("%s", e.text);
    return m;
}

static json_t *manifest_of(const vlm_model *m, const char *kind)
{
    json_t *j = NULL;
    vl_err e;

    assert_int_equal(vld_manifest(kind, "t_trajectory", 3, m, &aug, &j, &e), VL_OK);
    return j;
}

static vl_real *weights(const vlm_model *m, uint64_t expert, uint64_t snap)
{
    vl_real *theta = malloc(m->n * sizeof *theta);

    assert_non_null(theta);
    vl_rng_normal(expert, snap, m->n, 1, theta);
    return theta;
}

/* chained: the snapshot before this one was the last that w got. */
static void put(vls_writer *w, const vlm_model *m, int expert, int snap, bool chained)
{
    json_t *manifest = manifest_of(m, "trajectory"),
           *stats = json_pack("{s:i, s:f}", "epoch", snap, "loss", 2.5);
    vl_real *theta = weights(m, (uint64_t)expert, (uint64_t)snap);
    vl_real *before = chained ? weights(m, (uint64_t)expert, (uint64_t)snap - 1) : NULL;
    vls_parent parent = {.kind = "pairs"};
    vl_err e;

    memset(parent.id, 'b', 64);
    if (vld_snapshot_write(w, manifest, m, expert, snap, theta, before, stats, &parent, 1, &e))
        fail_msg("%s", e.text);
    free(before);
    free(theta);
    json_decref(stats);
    json_decref(manifest);
}

static void put_shard(const char *path, const vlm_model *m, const int (*what)[2], size_t n)
{
    vls_writer *w = writer(path);
    vl_err e;

    for (size_t i = 0; i < n; i++)
        put(w, m, what[i][0], what[i][1],
            i && what[i][0] == what[i - 1][0] && what[i][1] == what[i - 1][1] + 1);
    if (vls_writer_close(w, &e))
        fail_msg("%s", e.text);
}

static void expect(const char *const *paths, size_t n, const char *text)
{
    vld_experts x = {.n = 77};
    vl_err e = {0};

    assert_int_equal(vld_experts_read(paths, n, 0, &x, NULL, &e), VL_EFORMAT);
    if (strcmp(e.text, text))
        fail_msg("'%s' where '%s' is expected", e.text, text);
    assert_int_equal(x.n, 77); /* untouched */
}

static void check_snap(const vld_experts *x, int i, int number, int snap)
{
    vl_real *want = weights(&x->model, (uint64_t)number, (uint64_t)snap);

    assert_memory_equal(x->theta[i] + (size_t)snap * x->model.n, want, x->model.n * sizeof *want);
    free(want);
}

static void round_trip(void **state)
{
    static const int a[][2] = {{0, 0}, {0, 1}, {0, 2}, {7, 0}, {7, 1}}, b[][2] = {{0, 0}, {3, 0}, {0, 1}};
    const char *paths[] = {"a", "b"};
    vlm_model m = model_of("convnet:4x2", 10);
    vls_parent parents[2];
    vld_experts x;
    vl_err e;

    (void)state;
    put_shard("a", &m, a, 5);
    put_shard("b", &m, b, 3); /* its expert 0 is another one; experts may take turns */
    if (vld_experts_read(paths, 2, 0, &x, parents, &e))
        fail_msg("%s", e.text);
    assert_int_equal(x.n, 4);
    assert_int_equal(x.n_snaps[0], 3);
    assert_int_equal(x.n_snaps[1], 2);
    assert_int_equal(x.n_snaps[2], 2);
    assert_int_equal(x.n_snaps[3], 1);
    check_snap(&x, 0, 0, 2);
    check_snap(&x, 1, 7, 1);
    check_snap(&x, 2, 0, 1);
    check_snap(&x, 3, 3, 0);
    assert_string_equal(x.model.spec, "convnet:4x2");
    assert_int_equal(x.model.n, m.n);
    assert_int_equal(x.augment.shift, 2);
    assert_string_equal(json_string_value(json_object_get(x.manifest, "kind")), "trajectory");
    assert_int_equal(strlen(parents[0].id), 64);
    assert_string_not_equal(parents[0].id, parents[1].id);
    assert_string_equal(parents[1].kind, "trajectory");
    vld_experts_free(&x);
    vld_experts_free(&x);

    if (vld_experts_read(paths, 1, 2, &x, NULL, &e))
        fail_msg("%s", e.text);
    assert_int_equal(x.n, 2);
    assert_int_equal(x.n_snaps[0], 2);
    check_snap(&x, 0, 0, 1);
    vld_experts_free(&x);
}

/* One segment a snapshot; members in the order of the parameters, then json; parents; the schema. */
static void on_disk(void **state)
{
    static const int a[][2] = {{0, 0}, {0, 1}};
    vlm_model m = model_of("convnet:4x1", 10);
    vls_reader *r;
    vls_record rec;
    const vls_segment *seg;
    json_t *schema = NULL;
    char ext[48];
    vl_err e;

    (void)state;
    put_shard("a", &m, a, 2);
    assert_int_equal(vls_reader_open("a", NULL, &r, &e), VL_OK);
    assert_int_equal(vls_next(r, &rec, &seg, &e), 1);
    assert_string_equal(rec.key, "expert-0000/snap-0000");
    assert_int_equal(rec.n_members, m.n_params + 1);
    for (int i = 0; i < m.n_params; i++) {
        snprintf(ext, sizeof ext, "%s.vlt", m.param[i].name);
        assert_string_equal(rec.members[i].ext, ext);
    }
    assert_string_equal(rec.members[m.n_params].ext, "json");
    assert_int_equal(vls_next(r, &rec, &seg, &e), 1);
    assert_int_equal(seg->ordinal, 1);
    assert_string_equal(rec.key, "expert-0000/snap-0001");
    assert_memory_equal(vls_get(&rec, "json")->data, "{\"epoch\":1,\"loss\":2.5}\n", 23);
    assert_int_equal(vls_next(r, &rec, &seg, &e), 0);
    assert_int_equal(json_array_size(json_object_get(vls_reader_tail(r, 1), "parents")), 1);
    vls_reader_close(r);

    assert_int_equal(vld_trajectory_schema(&m, &schema, &e), VL_OK);
    assert_int_equal(json_object_size(schema), m.n_params + 1);
    assert_int_equal(
        json_array_size(json_object_get(json_object_get(schema, "image.conv1.weight.vlt"), "shape")), 4);
    json_decref(schema);
}

static void order_and_networks(void **state)
{
    static const int gap[][2] = {{0, 0}, {0, 2}}, late[][2] = {{0, 1}}, good[][2] = {{0, 0}};
    const char *a[] = {"a", "b"}, *b[] = {"b"};
    vlm_model m = model_of("convnet:4x2", 10), wide = model_of("convnet:6x2", 10),
              text = model_of("convnet:4x2", 11);
    vls_writer *w;
    vl_err e;

    (void)state;
    put_shard("b", &m, gap, 2);
    expect(b, 1, "b: expert-0000/snap-0002: snapshot 1 expected here");
    put_shard("b", &m, late, 1);
    expect(b, 1, "b: expert-0000/snap-0001: snapshot 0 expected here");
    put_shard("a", &m, good, 1);
    expect(a, 2, "b: expert-0000/snap-0001: snapshot 0 expected here");
    put_shard("b", &wide, good, 1);
    expect(a, 2, "b: expert-0000/snap-0000: its network is not that of a");
    put_shard("b", &text, good, 1);
    expect(a, 2, "b: expert-0000/snap-0000: its network is not that of a");
    text = m;
    text.scale = 14.4;
    put_shard("b", &text, good, 1);
    expect(a, 2, "b: expert-0000/snap-0000: its network is not that of a");
    aug.shift = 3;
    put_shard("b", &m, good, 1);
    aug.shift = 2;
    expect(a, 2, "b: expert-0000/snap-0000: its augmentation is not that of a");
    w = writer("b");
    begin(w, "pairs");
    add(w, "k", "bin", "x", 1);
    end_and_close(w);
    expect(b, 1, "b: no trajectory in it, its kind is pairs");
    w = writer("b");
    assert_int_equal(vld_snapshot_write(w, NULL, &m, VLD_MAX_EXPERTS, 0, NULL, NULL, NULL, NULL, 0, &e),
                     VL_EARG);
    assert_int_equal(vld_snapshot_write(w, NULL, &m, 0, VLD_MAX_SNAPS, NULL, NULL, NULL, NULL, 0, &e),
                     VL_EARG);
    vls_writer_abort(w);
}

/* ---- chains ---------------------------------------------------------------------------------- */

/* Which filter a member has, 0 to 3. */
static int filter_of(const vls_record *rec, const char *ext)
{
    const vls_member *m = vls_get(rec, ext);
    vl_vlt t;
    vl_err e;

    assert_non_null(m);
    if (vl_vlt_parse(m->data, m->n, &t, &e))
        fail_msg("%s", e.text);
    return (int)t.filter;
}

/* 23 snapshots in a row: 0, 10 and 20 stand alone, the others refer to the one before. */
static void keyframes(void **state)
{
    const char *a[] = {"a"};
    vlm_model m = model_of("convnet:4x2", 10);
    int what[23][2];
    const vls_segment *seg;
    vls_reader *r;
    vls_record rec;
    vld_experts x;
    vl_err e;

    (void)state;
    for (int i = 0; i < 23; i++)
        what[i][0] = 5, what[i][1] = i;
    put_shard("a", &m, (const int(*)[2])what, 23);
    assert_int_equal(vls_reader_open("a", NULL, &r, &e), VL_OK);
    for (int i = 0; i < 23; i++) {
        assert_int_equal(vls_next(r, &rec, &seg, &e), 1);
        assert_int_equal(filter_of(&rec, "text.head.weight.vlt"), i % 10 ? VL_VLT_SUB : VL_VLT_SHUFFLE);
    }
    vls_reader_close(r);
    for (int max = 0; max < 24; max += 4) {
        if (vld_experts_read(a, 1, max, &x, NULL, &e))
            fail_msg("%s", e.text);
        assert_int_equal(x.n_snaps[0], max ? max : 23);
        for (int i = 0; i < x.n_snaps[0]; i++)
            check_snap(&x, 0, 5, i);
        vld_experts_free(&x);
    }
}

/* Copies a shard; change() may alter a record's members, give it another key, or leave it out (false). */
static void copy(const char *from, const char *to, bool (*change)(int at, vls_record *, vls_member *))
{
    vls_member member[VLM_MAX_PARAMS + 1];
    vls_writer *w = writer(to);
    const vls_segment *seg;
    vls_reader *r;
    vls_record rec;
    vl_err e;

    assert_int_equal(vls_reader_open(from, NULL, &r, &e), VL_OK);
    for (int i = 0; vls_next(r, &rec, &seg, &e) == 1; i++) {
        memcpy(member, rec.members, rec.n_members * sizeof *member);
        rec.members = member;
        if (!change(i, &rec, member))
            continue;
        assert_int_equal(vls_segment_begin(w, seg->manifest, 0, &e), VL_OK);
        if (vls_add(w, &rec, &e))
            fail_msg("%s", e.text);
        assert_int_equal(vls_segment_end(w, &e), VL_OK);
    }
    vls_reader_close(r);
    assert_int_equal(vls_writer_close(w, &e), VL_OK);
}

static vl_chain expanding;
static uint8_t *arrays[64];
static char names[64][VLD_EXT_MAX];
static int n_arrays;

/* Every .vlt as the .npy that it stands for. */
static bool expand(int at, vls_record *rec, vls_member *m)
{
    vl_err e;

    (void)at;
    if (vl_chain_add(&expanding, rec, &e))
        fail_msg("%s", e.text);
    for (size_t i = 0; i < rec->n_members; i++) {
        const vl_npy *a = vl_chain_get(&expanding, m[i].ext);
        if (!a)
            continue;
        snprintf(names[n_arrays], VLD_EXT_MAX, "%.*s.npy", (int)strlen(m[i].ext) - 4, m[i].ext);
        assert_int_equal(vl_npy_build(a, &arrays[n_arrays], &m[i].n, &e), VL_OK);
        m[i].data = arrays[n_arrays];
        m[i].ext = names[n_arrays++];
    }
    return true;
}

static void drop_arrays(void)
{
    while (n_arrays)
        free(arrays[--n_arrays]);
    vl_chain_free(&expanding);
}

/* Shards of version 0.1 hold .npy: the same weights come out of them. */
static void old_arrays(void **state)
{
    static const int what[][2] = {{0, 0}, {0, 1}, {1, 0}, {1, 1}, {1, 2}};
    const char *old[] = {"old"};
    vlm_model m = model_of("convnet:4x2", 10);
    vld_experts x;
    vl_err e;

    (void)state;
    put_shard("a", &m, what, 5);
    copy("a", "old", expand);
    drop_arrays();
    if (vld_experts_read(old, 1, 0, &x, NULL, &e))
        fail_msg("%s", e.text);
    assert_int_equal(x.n, 2);
    for (int i = 0; i < 5; i++)
        check_snap(&x, what[i][0], what[i][0], what[i][1]);
    vld_experts_free(&x);
}

static const char *renamed[] = {"expert-0000/snap-0000", "expert-0000/snap-0001", "expert-0000/snap-0002"};

static bool leave_out_1(int at, vls_record *rec, vls_member *m)
{
    (void)m;
    if (at == 2)
        rec->key = renamed[1];
    return at != 1;
}

static bool other_expert(int at, vls_record *rec, vls_member *m)
{
    static char key[3][32];

    (void)m;
    snprintf(key[at], 32, "expert-0001/snap-%04d", at);
    rec->key = key[at];
    return true;
}

/* Snapshot 1 with the sum of snapshot 0's first tensor changed: another tensor was meant. */
static bool wrong_sum(int at, vls_record *rec, vls_member *m)
{
    (void)rec;
    if (at == 1)
        ((uint8_t *)m[0].data)[16] ^= 1;
    return true;
}

static bool wrong_bytes(int at, vls_record *rec, vls_member *m)
{
    (void)rec;
    if (at == 1)
        ((uint8_t *)m[0].data)[m[0].n - 1] ^= 1;
    return true;
}

static void broken_chains(void **state)
{
    static const int what[][2] = {{0, 0}, {0, 1}, {0, 2}};
    static const struct {
        bool (*change)(int, vls_record *, vls_member *);
        const char *text;
    } rows[] = {
        {leave_out_1, "b: expert-0000/snap-0001: image.stem.weight.vlt: vlt: its reference "
                      "'expert-0000/snap-0001.image.stem.weight.vlt' is not there"},
        {other_expert, "b: expert-0001/snap-0001: image.stem.weight.vlt: vlt: its reference "
                       "'expert-0000/snap-0000.image.stem.weight.vlt' is not there"},
        {wrong_sum, "b: expert-0000/snap-0001: image.stem.weight.vlt: vlt: its reference "
                    "'expert-0000/snap-0000.image.stem.weight.vlt' has other bytes"},
        {wrong_bytes,
         "b: expert-0000/snap-0001: image.stem.weight.vlt: vlt: its bytes have not the sum that its "
         "header says"},
    };
    const char *b[] = {"b"};
    vlm_model m = model_of("convnet:4x1", 10);

    (void)state;
    put_shard("a", &m, what, 3);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        copy("a", "b", rows[i].change);
        expect(b, 1, rows[i].text);
    }
}

/* ---- hostile content ------------------------------------------------------------------------- */

static void change_nothing(vls_member *m)
{
    (void)m;
}

static void change_nan(vls_member *m)
{
    static float bad = NAN;

    memcpy((uint8_t *)m->data + m->n - 4, &bad, 4);
}

static void change_cut(vls_member *m)
{
    m->n -= 4;
}

static void change_name(vls_member *m)
{
    m->ext = "image.other.npy";
}

/* One dimension fewer at the same size: the header's shape text, same length. */
static void change_shape(vls_member *m)
{
    char *at = memmem(m->data, 128, "(4, 4, 3, 4)", 12);

    assert_non_null(at);
    memcpy(at, "(4, 4, 4, 3)", 12);
}

static void change_dtype(vls_member *m)
{
    char *at = memmem(m->data, 128, "<f4", 3);

    assert_non_null(at);
    memcpy(at, "<i4", 3);
}

/* A good snapshot, copied with another manifest, another key and one member changed. */
static void spoil(const json_t *manifest, const char *key, void (*change)(vls_member *))
{
    static const int good[][2] = {{0, 0}};
    vlm_model m = model_of("convnet:4x1", 10);
    vls_writer *w = writer("b");
    vls_reader *r;
    vls_record rec;
    const vls_segment *seg;
    vls_member member[VLM_MAX_PARAMS + 1];
    json_t *own = manifest_of(&m, "trajectory");
    vl_err e;

    put_shard("c", &m, good, 1);
    copy("c", "a", expand);
    drop_arrays();
    assert_int_equal(vls_reader_open("a", NULL, &r, &e), VL_OK);
    assert_int_equal(vls_next(r, &rec, &seg, &e), 1);
    memcpy(member, rec.members, rec.n_members * sizeof *member);
    change(&member[0]);
    rec.members = member;
    rec.key = key;
    assert_int_equal(vls_segment_begin(w, manifest ? manifest : own, 0, &e), VL_OK);
    assert_int_equal(vls_add(w, &rec, &e), VL_OK);
    end_and_close(w);
    vls_reader_close(r);
    json_decref(own);
}

static void hostile_members(void **state)
{
    static const struct {
        const char *key;
        void (*change)(vls_member *);
        const char *text;
    } rows[] = {
        {"expert-0000/snap-0000", change_nan,
         "b: expert-0000/snap-0000: image.stem.weight.npy: value 191 is not finite"},
        {"expert-0000/snap-0000", change_cut, NULL},
        {"expert-0000/snap-0000", change_name,
         "b: expert-0000/snap-0000: image.stem.weight is there neither as .vlt nor as .npy"},
        {"expert-0000/snap-0000", change_shape,
         "b: expert-0000/snap-0000: image.stem.weight.npy: shape [4,4,4,3], [4,4,3,4] expected"},
        {"expert-0000/snap-0000", change_dtype,
         "b: expert-0000/snap-0000: image.stem.weight.npy: dtype <i4, floats expected"},
        {"expert-4096/snap-0000", change_nothing,
         "b: expert-4096/snap-0000: a snapshot's key is expert-NNNN/snap-NNNN, numbers below 4096 and 4096"},
        {"expert-1/snap-0000", change_nothing,
         "b: expert-1/snap-0000: a snapshot's key is expert-NNNN/snap-NNNN, numbers below 4096 and 4096"},
        {"expert-00000/snap-0000", change_nothing,
         "b: expert-00000/snap-0000: a snapshot's key is expert-NNNN/snap-NNNN, numbers below 4096 and 4096"},
        {"expert-0000/snap-0000x", change_nothing,
         "b: expert-0000/snap-0000x: a snapshot's key is expert-NNNN/snap-NNNN, numbers below 4096 and 4096"},
        {"expert-0000/snap-  +0", change_nothing, NULL},
    };
    const char *b[] = {"b"};
    vld_experts x;
    vl_err e;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        spoil(NULL, rows[i].key, rows[i].change);
        if (rows[i].text)
            expect(b, 1, rows[i].text);
        else
            assert_int_equal(vld_experts_read(b, 1, 0, &x, NULL, &e), VL_EFORMAT);
    }
    spoil(NULL, "expert-4095/snap-0000", change_nothing);
    assert_int_equal(vld_experts_read(b, 1, 0, &x, NULL, &e), VL_OK);
    assert_int_equal(x.n, 1);
    vld_experts_free(&x);
}

/* A network of 17 GB in the manifest over a small record: refused for the shape, before any allocation. */
static void hostile_manifests(void **state)
{
    static const struct {
        const char *name;
        json_int_t value;
        const char *text;
    } rows[] = {
        {"text_dim", 65536,
         "b: expert-0000/snap-0000: text.head.weight.npy: shape [10,6], [65536,6] expected"},
        {"embed_dim", 65536,
         "b: expert-0000/snap-0000: image.head.weight.npy: shape [4,6], [4,65536] expected"},
        {"text_dim", 1 << 20, NULL},
        {"embed_dim", -1, NULL},
        {"size", 17, NULL},
        {"scale", 0, NULL},
    };
    const char *b[] = {"b"};
    vlm_model m = model_of("convnet:4x1", 10);
    vld_experts x;
    vl_err e;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *manifest = manifest_of(&m, "trajectory");
        json_object_set_new(json_object_get(manifest, "model"), rows[i].name, json_integer(rows[i].value));
        spoil(manifest, "expert-0000/snap-0000", change_nothing);
        json_decref(manifest);
        if (rows[i].text)
            expect(b, 1, rows[i].text);
        else
            assert_int_equal(vld_experts_read(b, 1, 0, &x, NULL, &e), VL_EFORMAT);
    }
    json_t *manifest = json_pack("{s:s}", "kind", "trajectory");
    spoil(manifest, "expert-0000/snap-0000", change_nothing);
    json_decref(manifest);
    expect(b, 1, "b: expert-0000/snap-0000: manifest: model lacks spec, size, text_dim, embed_dim or scale");
}

/* ---- salvage --------------------------------------------------------------------------------- */

static int hear_shard(void *arg, const vls_reader *r, vl_err *e)
{
    (void)e;
    *(uint64_t *)arg += vls_reader_counts(r)->bad_frames + vls_reader_counts(r)->lost_tails;
    return VL_OK;
}

static char told[1000]; /* a line an expert */

static int hear_expert(void *arg, const char *key, const char *why, vl_err *e)
{
    size_t n = strlen(told);

    (void)arg;
    (void)e;
    assert_non_null(strstr(why, key));
    snprintf(told + n, sizeof told - n, "%s\n", why);
    return VL_OK;
}

/* a with one byte of segment `at` turned over (0: of its middle, its records; 1: of its beginning, its
 * manifest), or cut there (2), as b. */
static void damage(size_t at, int how)
{
    uint8_t *p;
    size_t n, n_spans, k;
    vl_span *span = NULL;
    int fd = open("a", O_RDONLY);
    vl_err e;

    slurp("a", &p, &n);
    assert_int_equal(vl_seektab_walk(fd, n, &span, &n_spans, &e), VL_OK);
    assert_true(at + 1 < n_spans);
    k = how == 1 ? span[at].start + 40 : (span[at].start + span[at + 1].start) / 2;
    p[k] ^= 0xff;
    spill("b", p, how == 2 ? k : n);
    close(fd);
    free(span);
    free(p);
}

/* Expert 4 with snapshots 0 to 11, then 7 with 0 to 2, with damage to one of them. */
static void salvage(void **state)
{
    static const struct {
        size_t at;                        /* segment */
        int how, max, n, snaps[2], first; /* what is left; first: number of the first expert */
        const char *told;
    } rows[] = {
        {3, 0, 0, 2, {3, 3}, 4, ""},
        {3, 1, 0, 2, {3, 3}, 4, ""},
        {3, 0, 3, 2, {3, 3}, 4, ""},
        {2, 0, 3, 1, {3}, 7, "b: expert-0004: 2 snapshots in a row from the first, 3 needed\n"},
        {9, 0, 0, 2, {9, 3}, 4, ""}, /* the keyframe 10 does not go on with it */
        {10, 0, 0, 2, {10, 3}, 4, ""},
        {0, 1, 0, 1, {3}, 7, "b: expert-0004: 0 snapshots in a row from the first, 1 needed\n"},
        {12, 0, 2, 1, {2}, 4, "b: expert-0007: 0 snapshots in a row from the first, 2 needed\n"},
        {13, 2, 0, 2, {12, 1}, 4, ""},
        {13, 2, 2, 1, {2}, 4, "b: expert-0007: 1 snapshots in a row from the first, 2 needed\n"},
        {2, 2, 3, 0, {0}, 0, "b: expert-0004: 2 snapshots in a row from the first, 3 needed\n"},
    };
    const char *b[] = {"b"};
    vlm_model m = model_of("convnet:4x2", 10);
    int what[15][2];
    vl_err e;

    (void)state;
    for (int i = 0; i < 15; i++)
        what[i][0] = i < 12 ? 4 : 7, what[i][1] = i % 12;
    put_shard("a", &m, (const int(*)[2])what, 15);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t bad = 0;
        const vls_left_out ear = {&bad, hear_shard, hear_expert};
        vld_experts x = {0};
        told[0] = 0;
        damage(rows[i].at, rows[i].how);
        assert_int_equal(vld_experts_read(b, 1, rows[i].max, &x, NULL, &e), VL_EFORMAT); /* as ever */
        assert_int_equal(vld_experts_salvage(b, 1, rows[i].max, &ear, &x, NULL, &e),
                         rows[i].n ? VL_OK : VL_EFORMAT);
        assert_string_equal(told, rows[i].told);
        assert_true(bad > 0);
        assert_int_equal(x.n, rows[i].n);
        for (int k = 0; k < x.n; k++) {
            assert_int_equal(x.n_snaps[k], rows[i].snaps[k]);
            for (int s = 0; s < x.n_snaps[k]; s++)
                check_snap(&x, k, k ? 7 : rows[i].first, s);
        }
        vld_experts_free(&x);
    }
    assert_string_equal(e.text, "none of 1 experts has its first 3 snapshots");
}

/* What no loss explains is an error as ever; whole shards lose nothing. */
static void salvage_of_good(void **state)
{
    static const int good[][2] = {{0, 0}, {0, 1}, {1, 0}};
    const char *a[] = {"a"}, *b[] = {"b"};
    vlm_model m = model_of("convnet:4x2", 10);
    uint64_t bad = 0;
    const vls_left_out ear = {&bad, hear_shard, hear_expert};
    vls_parent parent, same;
    vld_experts x;
    vls_writer *w;
    vl_err e;

    (void)state;
    told[0] = 0;
    put_shard("a", &m, good, 3);
    assert_int_equal(vld_experts_salvage(a, 1, 0, &ear, &x, &parent, &e), VL_OK);
    assert_int_equal(x.n, 2);
    assert_int_equal(x.n_snaps[0], 2);
    vld_experts_free(&x);
    assert_int_equal(vld_experts_read(a, 1, 0, &x, &same, &e), VL_OK);
    vld_experts_free(&x);
    assert_string_equal(parent.id, same.id);
    assert_true(!bad && !told[0]);
    vls_parent_free(&parent);
    vls_parent_free(&same);
    w = writer("a");
    begin(w, "pairs");
    add(w, "k", "bin", "x", 1);
    end_and_close(w);
    assert_int_equal(vld_experts_salvage(a, 1, 0, &ear, &x, NULL, &e), VL_EFORMAT);
    assert_string_equal(e.text, "a: no trajectory in it, its kind is pairs");
    spill("b", vl_term, VL_TERM_BYTES); /* a shard without a segment */
    expect(b, 1, "b: no trajectory in it, its kind is empty");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, enter, leave)
    const struct CMUnitTest tests[] = {
        T(round_trip),    T(on_disk),         T(order_and_networks), T(keyframes), T(old_arrays),
        T(broken_chains), T(hostile_members), T(hostile_manifests),  T(salvage),   T(salvage_of_good)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
