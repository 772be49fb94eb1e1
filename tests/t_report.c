/* SPDX-License-Identifier: MIT
 * t_report.c -- the report is well-formed whatever text and numbers go in, and always the same
 * bytes. */
#include "cli/report.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- a strict reader of the markup that the report uses -------------------------------------- */

enum { DEPTH = 32 };

static bool is_void(const char *name, size_t n)
{
    static const char *names[] = {"meta", "img"};

    for (size_t i = 0; i < 2; i++)
        if (strlen(names[i]) == n && !memcmp(names[i], name, n))
            return true;
    return false;
}

/* Attributes: name or name="value", no '<' in a value. Returns what follows '>' or NULL. */
static const char *attributes(const char *s, bool *closed)
{
    for (;;) {
        s += strspn(s, " \n");
        *closed = *s == '/';
        s += *closed;
        if (*s == '>')
            return s + 1;
        if (*closed || !strspn(s, "abcdefghijklmnopqrstuvwxyz"))
            return NULL;
        s += strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-");
        if (*s == '=') {
            if (s[1] != '"')
                return NULL;
            s += 2 + strcspn(s + 2, "\"<");
            if (*s++ != '"')
                return NULL;
        }
    }
}

/* NULL when every tag is closed in order and every & begins one of our five entities; else the
 * place. */
static const char *misformed(const char *html)
{
    static const char *entity[] = {"&lt;", "&gt;", "&amp;", "&quot;", "&#39;"};
    const char *open[DEPTH], *s = html + strlen("<!DOCTYPE html>");
    size_t len[DEPTH];
    int depth = 0;

    if (strncmp(html, "<!DOCTYPE html>", strlen("<!DOCTYPE html>")))
        return html;
    while (*s) {
        const char *at = s;
        bool end, closed;
        size_t n;

        if (*s == '&') {
            size_t i = 0;
            while (i < 5 && strncmp(s, entity[i], strlen(entity[i])))
                i++;
            if (i == 5)
                return at;
            s += strlen(entity[i]);
            continue;
        }
        if (*s == '>')
            return at;
        if (*s++ != '<')
            continue;
        end = *s == '/';
        s += end;
        n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789");
        if (end && (!depth || len[depth - 1] != n || memcmp(open[depth - 1], s, n)))
            return at;
        if (!n || depth == DEPTH)
            return at;
        open[depth] = s;
        len[depth] = n;
        s = attributes(s + n, &closed);
        if (!s || (end && closed))
            return at;
        if (end)
            depth--;
        else if (!closed && !is_void(open[depth], len[depth]))
            depth++;
        if (depth && len[depth - 1] == 5 && !memcmp(open[depth - 1], "style", 5))
            s = strstr(s, "</style>") ? strstr(s, "</style>") : s;
    }
    return depth ? open[depth - 1] : NULL;
}

static void assert_well_formed(const char *html)
{
    const char *at = misformed(html);

    if (at)
        fail_msg("not well-formed at byte %td: %.80s", at - html, at);
}

static void reader_sees_faults(void **state)
{
    static const char *bad[] = {
        "<html>",           "<!DOCTYPE html><p>",      "<!DOCTYPE html><p></b>",
        "<!DOCTYPE html>&", "<!DOCTYPE html>a > b",    "<!DOCTYPE html><p class=x></p>",
        "<!DOCTYPE html><", "<!DOCTYPE html><p x=\"<", "<!DOCTYPE html><p></p></p>"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (!misformed(bad[i]))
            fail_msg("'%s' passes as well-formed", bad[i]);
    assert_null(misformed("<!DOCTYPE html>\n<p class=\"a\">x &amp; y<img alt=\"\"></p><rect x=\"1\"/>"));
}

/* ---- helpers --------------------------------------------------------------------------------- */

static const char *html_of(cli_report *r)
{
    const char *html = NULL;
    size_t n = 0;
    vl_err e = {0};

    if (cli_report_html(r, &html, &n, &e))
        fail_msg("%s", e.text);
    assert_int_equal(strlen(html), n);
    assert_well_formed(html);
    return html;
}

static size_t count(const char *s, const char *what)
{
    size_t n = 0;

    for (; (s = strstr(s, what)); s += strlen(what))
        n++;
    return n;
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void text_is_escaped(void **state)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"plain", "plain"},
        {"<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"},
        {"\"><img src=x onerror='y'>", "&quot;&gt;&lt;img src=x onerror=&#39;y&#39;&gt;"},
        {"a&amp;b", "a&amp;amp;b"},
        {"tab\tline\nescape\033[2J", "tab line escape [2J"},
        {"del\177 c1\302\205", "del  c1 "},
        {"gr\303\274n \360\237\230\200", "gr\303\274n \360\237\230\200"},
        {"cut\303", "cut\357\277\275"},
        {"over\300\257long", "over\357\277\275\357\277\275long"},
        {"half\355\240\200", "half\357\277\275\357\277\275\357\277\275"},
        {"non\357\277\276char", "non\357\277\275char"},
        {"%s %n", "%s %n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cli_report *r = cli_report_new(rows[i].in);
        char want[256];

        cli_report_meta(r, rows[i].in, "%s", rows[i].in);
        cli_report_heading(r, rows[i].in);
        cli_report_text(r, "%s", rows[i].in);
        snprintf(want, sizeof want, ">%s</", rows[i].out);
        /* title, h1, th, td, h2, p */
        if (count(html_of(r), want) != 6)
            fail_msg("row %zu: '%s' is not there six times", i, want);
        cli_report_free(r);
    }
}

static void sheet_and_series_names_are_escaped(void **state)
{
    static const uint8_t png[] = {0x89, 'P', 'N', 'G'};
    static const double x[] = {0, 1}, y[] = {1, 2};
    const char *evil = "\"><script>", *safe = "&quot;&gt;&lt;script&gt;";
    cli_report_series s = {evil, x, y, 2};
    cli_report_figure f = {evil, evil, evil, &s, 1, false};
    cli_report_cell cell = {{png, sizeof png}, {png, sizeof png}, evil};
    cli_report_row row = {evil, evil, 1, 1, 0, 2, {1, 2, 3}, {1, 2, 3}, true, 0, 0};
    const char *head[] = {evil}, *cells[] = {evil};
    cli_report *r = cli_report_new("t");
    const char *html;

    (void)state;
    cli_report_plot(r, &f);
    cli_report_sheet(r, &cell, 1);
    cli_report_table(r, evil, &row, 1);
    cli_report_grid(r, evil, head, 1, cells, 1);
    html = html_of(r);
    assert_null(strstr(html, "<script"));
    /* figure: title, two labels, the line's title, the legend; sheet: two alts, caption; table:
     * caption, name, note; grid: caption, head, cell */
    assert_int_equal(count(html, safe), 5 + 3 + 3 + 3);
    cli_report_free(r);
}

static void pictures_are_base64(void **state)
{
    static const struct {
        const char *bytes, *text;
    } rows[] = {
        {"", "\"data:image/png;base64,\""}, {"f", "base64,Zg==\""},           {"fo", "base64,Zm8=\""},
        {"foo", "base64,Zm9v\""},           {"foob", "base64,Zm9vYg==\""},    {"fooba", "base64,Zm9vYmE=\""},
        {"foobar", "base64,Zm9vYmFy\""},    {"\377\376\375", "base64,//79\""}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cli_report_cell cell = {{(const uint8_t *)rows[i].bytes, strlen(rows[i].bytes)}, {NULL, 0}, NULL};
        cli_report *r = cli_report_new("t");

        cli_report_sheet(r, &cell, 1);
        if (count(html_of(r), rows[i].text) != 1)
            fail_msg("row %zu: no %s", i, rows[i].text);
        cli_report_free(r);
    }
}

static void numbers_that_are_none(void **state)
{
    static const cli_report_row rows[] = {
        {"chance", NULL, 0.9, NAN, NAN, NAN, {NAN, NAN, NAN}, {-INFINITY, INFINITY, NAN}, false, 0, 0},
        {"whole", NULL, 50, 1, 48, 52, {10, 20, 30}, {40, 50, 100}, true, 26, 39}};
    static const double x[] = {0, 1, 2, 3, NAN, 5}, y[] = {NAN, 1, INFINITY, -1, 2, 0};
    cli_report_series s[] = {{"holes", x, y, 6}, {"none", NULL, NULL, 0}};
    cli_report *r = cli_report_new("t");
    const char *html;

    (void)state;
    cli_report_table(r, "numbers", rows, 2);
    cli_report_table(r, "empty", NULL, 0);
    for (int log_y = 0; log_y < 2; log_y++)
        for (size_t n = 0; n < 3; n++)
            cli_report_plot(r, &(cli_report_figure){"f", "x", "y", s, n, log_y});
    cli_report_plot(r, &(cli_report_figure){"f", "x", "y", s + 1, 1, false});
    html = html_of(r);
    assert_null(strstr(html, "nan"));
    assert_null(strstr(html, "inf"));
    assert_non_null(strstr(html, "<td class=\"num\">0.90</td><td class=\"num\">\342\200\223</td>"));
    assert_non_null(strstr(html, "48.00 to 52.00"));
    assert_int_equal(count(html, "<rect class=\"ir\" width=\"100.0\""), 3); /* own scale a column */
    assert_int_equal(count(html, "<rect class=\"tr\" width=\"100.0\""), 3);
    assert_non_null(strstr(html, "<rect class=\"ir\" y=\"2\" width=\"96.2\"")); /* 50 of 52 */
    assert_int_equal(count(html, "class=\"whisk\""), 1); /* chance has neither interval */
    assert_int_equal(count(html, "class=\"whisk query\""), 1);
    assert_non_null(strstr(html, "d=\"M50.0 6.5H75.0M50.0 5.0v3M75.0 5.0v3\"")); /* 26 and 39 of 52 */
    cli_report_free(r);
}

/* Where the labels of one axis stand. */
static size_t labels(const char *svg, const char *anchor, char out[16][16])
{
    size_t n = 0;
    const char *s = svg;

    while ((s = strstr(s, anchor)) && n < 16) {
        s += strlen(anchor);
        snprintf(out[n++], 16, "%.*s", (int)strcspn(s, "<"), s);
    }
    return n;
}

static void ticks_are_round(void **state)
{
    static const struct {
        double y0, y1;
        bool log_y;
        const char *want;
    } rows[] = {
        {0, 1, false, "0 0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8 0.9 1 "},
        {0, 7, false, "0 1 2 3 4 5 6 7 "},
        {-3, 3, false, "-3 -2 -1 0 1 2 3 "},
        {3.3, 3.4, false, "3.3 3.31 3.32 3.33 3.34 3.35 3.36 3.37 3.38 3.39 3.4 "},
        {0, 25, false, "0 2 4 6 8 10 12 14 16 18 20 22 24 26 "},
        {1e-9, 6e-9, false, "0 1e-09 2e-09 3e-09 4e-09 5e-09 6e-09 "},
        {5, 5, false, "4.5 4.6 4.7 4.8 4.9 5 5.1 5.2 5.3 5.4 5.5 "},
        {0.01, 100, true, "0.01 0.1 1 10 100 "},
        {1, 50, true, "1 2 5 10 20 50 "},
        {1e-12, 1e12, true, "1e-12 1e-08 0.0001 1 10000 1e+08 1e+12 "},
    };
    static const double x[] = {0, 1};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double y[2] = {rows[i].y0, rows[i].y1};
        cli_report_series s = {"s", x, y, 2};
        cli_report *r = cli_report_new("t");
        char found[16][16], all[256] = "";
        size_t n;

        cli_report_plot(r, &(cli_report_figure){"f", "x", "y", &s, 1, rows[i].log_y});
        n = labels(html_of(r), "text-anchor=\"end\">", found);
        for (size_t k = 0; k < n; k++) {
            strcat(all, found[k]);
            strcat(all, " ");
        }
        if (strcmp(all, rows[i].want))
            fail_msg("%g to %g: %s not %s", rows[i].y0, rows[i].y1, all, rows[i].want);
        cli_report_free(r);
    }
}

static void long_series_are_thinned_and_keep_spikes(void **state)
{
    enum { N = 100000 };
    double *x = malloc(N * sizeof *x), *y = malloc(N * sizeof *y);
    cli_report_series s = {"s", x, y, N};
    cli_report *r = cli_report_new("t");
    const char *html, *path;

    (void)state;
    assert_true(x && y);
    for (int i = 0; i < N; i++) {
        x[i] = i;
        y[i] = i == 54321 ? 10 : 0;
    }
    cli_report_plot(r, &(cli_report_figure){"f", "x", "y", &s, 1, false});
    html = html_of(r);
    path = strstr(html, "<path class=\"line s0\" d=\"M");
    assert_non_null(path);
    assert_true(strlen(html) < 30000);
    /* the top of the frame is y = 10 units down: the spike reaches it */
    assert_non_null(strstr(path, " 10.0L"));
    assert_true(count(path, "L") > 290);
    cli_report_free(r);
    free(x);
    free(y);
}

static void build_all(cli_report *r)
{
    static const double x[] = {0, 1, 2}, y[] = {3, 2, 1.5};
    cli_report_series s[10];

    for (int i = 0; i < 10; i++)
        s[i] = (cli_report_series){"a", x, y, 3};
    cli_report_meta(r, "n", "%d", 3);
    cli_report_plot(r, &(cli_report_figure){"f", "x", "y", s, 10, true});
    cli_report_text(r, "%0*d", 5000, 1); /* longer than any buffer */
}

static void same_calls_same_bytes(void **state)
{
    cli_report *a = cli_report_new("t"), *b = cli_report_new("t");

    (void)state;
    build_all(a);
    build_all(b);
    assert_string_equal(html_of(a), html_of(b));
    assert_string_equal(html_of(a), html_of(b)); /* asking twice changes nothing */
    assert_non_null(strstr(html_of(a), "and 2 more, not drawn"));
    cli_report_free(a);
    cli_report_free(b);
}

static void page_is_self_contained(void **state)
{
    static const char *outside[] = {"http:", "https:", "url(", "<link", "@import", "<script", "src=\"/"};
    cli_report *r = cli_report_new("t");
    const char *html;

    (void)state;
    build_all(r);
    html = html_of(r);
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++)
        if (strstr(html, outside[i]))
            fail_msg("the page holds %s", outside[i]);
    cli_report_free(r);
}

static void failures_are_reported(void **state)
{
    const char *html = NULL;
    size_t n = 0;
    vl_err e = {0};
    cli_report *r = cli_report_new("t");

    (void)state;
    assert_int_equal(cli_report_html(NULL, &html, &n, &e), VL_ENOMEM);
    cli_report_meta(NULL, "a", "b");
    cli_report_heading(NULL, "a");
    cli_report_text(NULL, "a");
    cli_report_table(NULL, "a", NULL, 0);
    cli_report_grid(NULL, "a", NULL, 0, NULL, 0);
    cli_report_sheet(NULL, NULL, 0);
    cli_report_free(NULL);
    assert_int_equal(cli_report_write(r, "/dev/full", &e), VL_EIO);
    assert_non_null(strstr(e.text, "/dev/full"));
    assert_int_equal(cli_report_write(r, "/no/such/folder/x.html", &e), VL_EIO);
    cli_report_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reader_sees_faults),
        cmocka_unit_test(text_is_escaped),
        cmocka_unit_test(sheet_and_series_names_are_escaped),
        cmocka_unit_test(pictures_are_base64),
        cmocka_unit_test(numbers_that_are_none),
        cmocka_unit_test(ticks_are_round),
        cmocka_unit_test(long_series_are_thinned_and_keep_spikes),
        cmocka_unit_test(same_calls_same_bytes),
        cmocka_unit_test(page_is_self_contained),
        cmocka_unit_test(failures_are_reported),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
