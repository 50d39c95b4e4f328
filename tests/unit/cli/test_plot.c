/* test_plot.c - curves as SVG: what is in the file, and what is left out. */
#include "cli/plot.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "tests/unit/scratch.h"
#include "tests/unit/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static size_t count(const char *text, const char *what)
{
    size_t n = 0;
    for (; (text = strstr(text, what)); text++)
        n++;
    return n;
}

/* Draws and reads the file back. */
static void draw(const struct plot_panel *p, size_t n, struct str *svg)
{
    char *const path = path_join(dir, "p.svg");
    struct err err = {0};
    if (plot_write(path, "a & b <c>", "step", p, n, &err) || file_read(path, 1 << 22, svg, &err))
        fail_msg("%s", err.msg);
    free(path);
}

static void panels(void **state)
{
    (void)state;
    const double x[] = {1, 2, 3, 4}, y[] = {0.5, NAN, 0.25, INFINITY}, none[] = {NAN};
    const struct plot_series loss = {"loss", x, y, 4, false, true},
                             eval = {"f1", x, x, 3, true, false},
                             empty = {"empty", x, none, 1, false, false};
    const struct plot_panel p[] = {{"loss", &loss, 1}, {"nothing", &empty, 1}, {"eval", &eval, 1}};
    struct str svg = {0};
    draw(p, 3, &svg);
    assert_non_null(strstr(svg.p, "a &amp; b &lt;c>"));
    assert_int_equal(count(svg.p, "class=\"title\""), 2); /* the empty panel is left out */
    assert_int_equal(count(svg.p, "<circle"), 3);
    assert_null(strstr(svg.p, "nan"));
    assert_null(strstr(svg.p, "inf"));
    assert_null(strstr(svg.p, "http://www.w3.org/2000/svg\" xlink")); /* one name space, no links */
    assert_null(strstr(svg.p, "href"));
    assert_int_equal(strcmp(svg.p + svg.n - 7, "</svg>\n"), 0);
    str_release(&svg);
}

/* A constant, a single point, huge and tiny numbers: still an axis with a few round numbers. */
static void hard_ranges(void **state)
{
    (void)state;
    static const double values[][2] = {
        {3, 3}, {0, 0}, {1e-7, 2e-7}, {-1e12, 1e12}, {0.1, 0.1000001}};
    const double x[] = {7, 7};
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        const struct plot_series s = {"s", x, values[i], 2, false, false};
        const struct plot_panel p = {"p", &s, 1};
        struct str svg = {0};
        draw(&p, 1, &svg);
        assert_in_range(count(svg.p, "class=\"small end\""), 3, 12);
        str_release(&svg);
    }
}

/* A long run is thinned: the file does not grow with it. */
static void long_runs(void **state)
{
    (void)state;
    enum { N = 300000 };
    double *const x = xcalloc(N, sizeof *x);
    for (int i = 0; i < N; i++)
        x[i] = i;
    const struct plot_series s = {"loss", x, x, N, false, true};
    const struct plot_panel p = {"loss", &s, 1};
    struct str svg = {0};
    draw(&p, 1, &svg);
    assert_true(svg.n < 100000);
    str_release(&svg);
    free(x);
}

static void refused(void **state)
{
    (void)state;
    struct err err = {0};
    char *const path = path_join(dir, "none.svg");
    assert_int_equal(plot_write(path, "t", "x", NULL, 0, &err), -1);
    assert_false(file_exists(path));
    const double one[] = {1};
    const struct plot_series s = {"s", one, one, 1, false, false};
    const struct plot_panel p = {"p", &s, 1};
    char *const lost = path_join(path, "x.svg"); /* of a folder that is not there */
    assert_int_equal(plot_write(lost, "t", "x", &p, 1, &err), -1);
    free(lost);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(panels), cmocka_unit_test(hard_ranges),
                                       cmocka_unit_test(long_runs), cmocka_unit_test(refused)};
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
