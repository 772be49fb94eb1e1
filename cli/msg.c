/* SPDX-License-Identifier: MIT
 * msg.c -- messages, progress, the end of standard output.
 *
 * A message is built in one buffer and leaves in one call, so lines of several threads do not mix.
 * While a progress line stands on the terminal, a message first wipes it; the next refresh draws it
 * again. */
#include "cli/msg.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE = 1024 };

static const char *tool_name = "vlkit";
static const cli_common *common;
static atomic_bool line_stands; /* a progress line that a message would be glued to */

void cli_msg_setup(const char *tool, const cli_common *c)
{
    tool_name = tool;
    common = c;
}

double cli_now(void)
{
    struct timespec ts = {0};

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

/* ---- messages -------------------------------------------------------------------------------- */

static void say(const char *fmt, va_list ap)
{
    char text[LINE];
    int n = vsnprintf(text, sizeof text, fmt, ap);

    if (n < 0)
        return;
    if ((size_t)n >= sizeof text)
        vl_cut(text, sizeof text);
    vl_clean(text);
    fprintf(stderr, "%s%s: %s\n", atomic_exchange(&line_stands, false) ? "\r\033[K" : "", tool_name, text);
}

void cli_error(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say(fmt, ap);
    va_end(ap);
}

void cli_warn(const char *fmt, ...)
{
    va_list ap;

    if (common && common->quiet)
        return;
    va_start(ap, fmt);
    say(fmt, ap);
    va_end(ap);
}

void cli_info(const char *fmt, ...)
{
    va_list ap;

    if (common && common->quiet)
        return;
    va_start(ap, fmt);
    say(fmt, ap);
    va_end(ap);
}

void cli_debug(const char *fmt, ...)
{
    va_list ap;

    if (!common || !common->verbose || common->quiet)
        return;
    va_start(ap, fmt);
    say(fmt, ap);
    va_end(ap);
}

int cli_fail(const vl_err *e)
{
    cli_error("%s", e->text[0] ? e->text : "failed without a message");
    return 1;
}

void cli_misuse(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say(fmt, ap);
    va_end(ap);
    fprintf(stderr, "try '%s --help'\n", tool_name);
    exit(2);
}

/* ---- progress -------------------------------------------------------------------------------- */

static bool progress_wanted(void)
{
    if (!common || !common->progress || !strcmp(common->progress, "auto"))
        return isatty(STDERR_FILENO) && !(common && common->quiet);
    return !strcmp(common->progress, "always");
}

static int eta_text(char *out, size_t n, double s)
{
    if (s < 100)
        return snprintf(out, n, "  eta %.0f s", s);
    if (s < 100 * 60)
        return snprintf(out, n, "  eta %.0f min", s / 60);
    return snprintf(out, n, "  eta %.1f h", s / 3600);
}

static void draw(cli_progress *p, const char *detail)
{
    double s = cli_now() - p->t0, rate = s > 0 ? (double)p->done / s : 0;
    char total[24] = "", eta[40] = "";
    bool tty = isatty(STDERR_FILENO);

    if (p->total)
        snprintf(total, sizeof total, "/%llu", (unsigned long long)p->total);
    if (p->total > p->done && rate > 0)
        eta_text(eta, sizeof eta, (double)(p->total - p->done) / rate);
    fprintf(stderr, "%s%s %llu%s%s%s  %.3g %s/s%s%s", tty ? "\r" : "", p->what, (unsigned long long)p->done,
            total, *detail ? "  " : "", detail, rate, p->what, eta, tty ? "\033[K" : "\n");
    atomic_store(&line_stands, tty);
}

void cli_progress_begin(cli_progress *p, const char *what, uint64_t total)
{
    *p = (cli_progress){what, 0, total, cli_now(), 0, progress_wanted()};
}

void cli_progress_at(cli_progress *p, uint64_t done, const char *fmt, ...)
{
    char detail[256] = "";
    double now = cli_now();
    va_list ap;

    p->done = done;
    if (now - p->last < 1.0 / 6 || !p->wanted)
        return;
    p->last = now;
    va_start(ap, fmt);
    if (fmt && vsnprintf(detail, sizeof detail, fmt, ap) < 0)
        detail[0] = 0;
    va_end(ap);
    draw(p, detail);
}

void cli_progress_end(cli_progress *p)
{
    if (p->last > 0)
        draw(p, "");
    if (atomic_exchange(&line_stands, false))
        fputc('\n', stderr);
}

/* ---- standard output ------------------------------------------------------------------------- */

void cli_refuse_tty(const char *output)
{
    if ((!output || !strcmp(output, "-")) && isatty(STDOUT_FILENO))
        cli_misuse("standard output is a terminal: name a file with -o, or pipe the output on");
}

/* A failed write may lie long back and its errno be lost; a pipe without a reader says so. */
static bool reader_gone(void)
{
    struct pollfd p = {STDOUT_FILENO, POLLOUT, 0};

    return poll(&p, 1, 0) == 1 && (p.revents & POLLERR);
}

int cli_stdout_close(bool quiet_pipe)
{
    bool gone, bad = ferror(stdout) != 0;
    int why = 0;

    if (fflush(stdout)) {
        bad = true;
        why = errno;
    }
    gone = bad && (why == EPIPE || reader_gone());
    if (fclose(stdout) && !bad) { /* NFS and quotas complain only here */
        bad = true;
        why = errno;
    }
    if (!bad || (gone && quiet_pipe))
        return 0;
    if (gone)
        why = EPIPE;
    cli_error("standard output: %s", why ? strerror(why) : "a write failed");
    return 1;
}
