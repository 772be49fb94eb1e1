/* SPDX-License-Identifier: MIT
 * t_trajectory_salvage.c -- experts out of a damaged shard: up to the first snapshot that is lost, or not at all;
 * and the note of such a loss, which a resumed run must find again. */
#include "distill/resume.h"
#include "tests/trajectory_help.h"

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

/* The note is in every tail, and a run that goes on must find its own. */
static void loss_of_inputs(void **state)
{
    json_t *manifest, *stats = json_pack("{s:i}", "epoch", 0), *loss = json_pack("[{s:i}]", "left_out", 2),
                      *other = json_pack("[{s:i}]", "left_out", 3);
    const json_t *const plans[] = {loss, NULL, other};
    vlm_model m = model_of("convnet:4x1", 10);
    vl_real *theta = weights(&m, 0, 0);
    vld_resume_point at;
    vls_writer *w = writer("a");
    vl_err e;

    (void)state;
    manifest = manifest_of(&m, "trajectory");
    assert_int_equal(vld_snapshot_put(w, manifest, &m, 0, 0, theta, NULL, stats, &e), VL_OK);
    assert_int_equal(vls_segment_note(w, "input_loss", json_incref(loss), &e), VL_OK);
    end_and_close(w);
    for (int i = 0; i < 3; i++) {
        const vld_resume_plan plan = {
            .model = &m, .manifest = manifest, .experts = 1, .epochs = 2, .input_loss = plans[i]};
        int rc = vld_resume_read("a", &plan, &at, &e);
        assert_int_equal(rc, i ? VL_EARG : VL_OK);
        if (rc) {
            assert_string_equal(e.text,
                                "a: segment 0: another run's: other records were left out of its data");
            continue;
        }
        assert_int_equal(at.snap, 1);
        assert_memory_equal(at.before, theta, m.n * sizeof *theta);
        free(at.before);
    }
    json_decref(manifest);
    json_decref(stats);
    json_decref(loss);
    json_decref(other);
    free(theta);
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
    assert_int_equal(vld_experts_read(b, 1, 0, &x, NULL, &e), VL_EFORMAT);
    assert_string_equal(e.text, "b: no trajectory in it, its kind is empty");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, enter, leave)
    const struct CMUnitTest tests[] = {T(salvage), T(salvage_of_good), T(loss_of_inputs)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
