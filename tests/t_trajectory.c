/* SPDX-License-Identifier: MIT
 * t_trajectory.c -- snapshots written and read back, as chains of differences and as the arrays of older
 * shards; what is not a trajectory is refused by name. */
#include "distill/member.h"
#include "formats/vlt.h"
#include "formats/vlt_chain.h"
#include "tests/trajectory_help.h"

#include <math.h>

static void expect(const char *const *paths, size_t n, const char *text)
{
    vld_experts x = {.n = 77};
    vl_err e = {0};

    assert_int_equal(vld_experts_read(paths, n, 0, &x, NULL, &e), VL_EFORMAT);
    if (strcmp(e.text, text))
        fail_msg("'%s' where '%s' is expected", e.text, text);
    assert_int_equal(x.n, 77); /* untouched */
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

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, enter, leave)
    const struct CMUnitTest tests[] = {T(round_trip),      T(on_disk),          T(order_and_networks),
                                       T(keyframes),       T(old_arrays),       T(broken_chains),
                                       T(hostile_members), T(hostile_manifests)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
