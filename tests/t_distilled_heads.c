/* SPDX-License-Identifier: MIT
 * t_distilled_heads.c -- sets of features, and learned similarities, written and read back; what does not fit is
 * refused by name. */
#include "distill/distilled.h"
#include "formats/npy.h"
#include "pipeline/rng.h"
#include "tests/shard_help.h"

enum { F = 7, K = 5, PAIRS = 20 };

static const vlm_objective objectives[] = {
    {.loss = VLM_INFONCE},
    {.loss = VLM_ENCE, .sim = VLM_SIM_FULL},
    {.loss = VLM_WBCE, .sim = VLM_SIM_LOWRANK, .rank = 3, .alpha = 0.25, .blend = 1},
};
enum { OBJECTIVES = sizeof objectives / sizeof *objectives, LOWRANK = 2 };

static vld_distilled set_of(size_t n, const vlm_objective *o)
{
    const vl_augment still = {0};
    vld_distilled d = {.batch = 2, .objective = *o};
    json_t *j = NULL;
    vl_err e;

    assert_int_equal(vlm_parse_heads("heads:7", K, 6, 14.3, &d.model, &e), VL_OK);
    assert_int_equal(vld_manifest("distilled", "t", 3, &d.model, &still, &d.manifest, &e), VL_OK);
    json_object_set_new(d.manifest, "options", json_pack("{s:i}", "batch", 2));
    assert_int_equal(vld_objective_to_json(o, &j, &e), VL_OK);
    json_object_set_new(d.manifest, "objective", j);
    d.about = json_pack("{s:i}", "iterations", 40);
    assert_int_equal(vld_set_new_for(&d.model, o, n, &d.set, &e), VL_OK);
    for (vld_set_part p = 0; p < VLD_SET_PARTS; p++)
        if (vld_set_part_of(&d.set, p))
            vl_rng_normal(1, p, n * vld_set_width(&d.model, o, n, p), 1, vld_set_part_of(&d.set, p));
    d.set.rate[0] = 0.1;
    d.set.rate[1] = 0.7;
    d.init_key = calloc(n, sizeof *d.init_key);
    d.nearest = calloc(n, sizeof *d.nearest);
    d.init_cap = calloc(n, sizeof *d.init_cap);
    for (size_t i = 0; i < n; i++) {
        d.init_key[i] = strdup("a key");
        d.nearest[i] = i % 3 ? strdup("a caption") : NULL;
        d.init_cap[i] = (uint32_t)i;
    }
    return d;
}

static void put_set(const char *path, const vld_distilled *d)
{
    vls_writer *w = writer(path);
    vl_err e;

    if (vld_distilled_write(w, d, NULL, 0, &e) || vls_writer_close(w, &e))
        fail_msg("%s", e.text);
}

static int read_set(const char *path, vld_distilled *d, vl_err *e)
{
    vls_reader *r;
    int rc;

    assert_int_equal(vls_reader_open(path, NULL, &r, e), VL_OK);
    rc = vld_distilled_read(r, d, e);
    vls_reader_close(r);
    return rc;
}

static void round_trip(void **state)
{
    (void)state;
    for (size_t row = 0; row < OBJECTIVES; row++) {
        const vlm_objective *o = &objectives[row];
        vld_distilled d = set_of(PAIRS, o), x;
        vl_err e;

        put_set("a", &d);
        if (read_set("a", &x, &e))
            fail_msg("%s", e.text);
        assert_int_equal(x.set.n, PAIRS);
        assert_true(x.objective.loss == o->loss && x.objective.sim == o->sim && x.objective.rank == o->rank &&
                    x.objective.alpha == o->alpha && x.objective.blend == o->blend);
        for (vld_set_part p = 0; p < VLD_SET_PARTS; p++) {
            size_t width = vld_set_width(&d.model, o, PAIRS, p);
            assert_true(!vld_set_part_of(&x.set, p) == !width);
            if (width)
                assert_memory_equal(vld_set_part_of(&x.set, p), vld_set_part_of(&d.set, p),
                                    PAIRS * width * sizeof(vl_real));
        }
        for (size_t i = 0; i < PAIRS; i++) {
            assert_true(!x.nearest[i] == !d.nearest[i]);
            assert_int_equal(x.init_cap[i], i);
        }
        assert_null(x.init_pixels);
        vld_distilled_free(&x);
        vld_distilled_free(&d);
    }
}

/* Reads shard "a" with one member of record `key` left out, or given as another array; ext NULL: without the record. */
static void expect_without(const char *key, const char *ext, const vl_npy *instead, const char *text)
{
    vls_writer *w = writer("b");
    const vls_segment *seg;
    vls_record rec;
    vls_reader *r;
    vld_distilled d = {0};
    vl_err e = {0};
    int got;
    bool open = false;

    assert_int_equal(vls_reader_open("a", NULL, &r, &e), VL_OK);
    while ((got = vls_next(r, &rec, &seg, &e)) == 1) {
        vls_member m[16];
        vls_record out = {rec.key, m, 0};
        uint8_t *bytes = NULL;
        if (!ext && !strcmp(rec.key, key))
            continue;
        for (size_t i = 0; i < rec.n_members; i++) {
            bool here = ext && !strcmp(rec.key, key) && !strcmp(rec.members[i].ext, ext);
            if (here && !instead)
                continue;
            m[out.n_members] = rec.members[i];
            if (here) {
                assert_int_equal(vl_npy_build(instead, &bytes, &m[out.n_members].n, &e), VL_OK);
                m[out.n_members].data = bytes;
            }
            out.n_members++;
        }
        if (!open && vls_segment_begin(w, seg->manifest, 0, &e))
            fail_msg("%s", e.text);
        open = true;
        if (vls_add(w, &out, &e))
            fail_msg("%s", e.text);
        free(bytes);
    }
    assert_int_equal(got, 0);
    vls_reader_close(r);
    end_and_close(w);
    assert_int_equal(read_set("b", &d, &e), VL_EFORMAT);
    if (strcmp(e.text, text))
        fail_msg("'%s' where '%s' is expected", e.text, text);
}

static void refused(void **state)
{
    static const float zero[(PAIRS + 1) * 4];
    const vl_npy wide = {.dtype = VL_F32, .rank = 2, .shape = {PAIRS, 4}, .data = zero};
    const vl_npy longer = {.dtype = VL_F32, .rank = 2, .shape = {PAIRS + 1, 3}, .data = zero};
    const vl_npy flat = {.dtype = VL_F32, .rank = 1, .shape = {F + 1}, .data = zero};
    vld_distilled d = set_of(PAIRS, &objectives[LOWRANK]);

    (void)state;
    put_set("a", &d);
    expect_without("set", "similarity.right.npy", NULL, "b: set: similarity.right.npy is missing");
    expect_without("set", "similarity.left.npy", &wide,
                   "b: set: similarity.left.npy: shape [20,4], [20,3] expected");
    expect_without("set", "similarity.right.npy", &longer,
                   "b: set: similarity.right.npy: rows of 21 pairs, 20 expected");
    expect_without("syn-00003", "feature.npy", NULL, "b: syn-00003: feature.npy is missing");
    expect_without("syn-00003", "feature.npy", &flat, "b: syn-00003: feature.npy: shape [8], [7] expected");
    expect_without("syn-00019", NULL, NULL, "b: 19 pairs, the similarity is of 20");
    vld_distilled_free(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(round_trip, enter, leave),
                                       cmocka_unit_test_setup_teardown(refused, enter, leave)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
