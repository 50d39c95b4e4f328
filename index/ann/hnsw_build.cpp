/* hnsw_build.cpp - the graph of ann_hnsw by hnswlib; the one C++ file and the only includer of
 * hnswlib (its header defines functions that are not inline, so it may be included once).
 *
 * hnswlib keeps a copy of what it indexes beside the links. Here that copy is only the row's
 * number: the distance function fetches the int8 row itself, which takes a ninth of the memory of
 * fp32 and our own dot product. Afterwards the links alone are taken out as flat arrays, so that a
 * query walks them in the mapped file (hnsw.c) instead of loading the whole: 165 ms for 100
 * thousand rows.
 *
 * hnswlib throws; nothing may leave this file but an int. It is compiled without ISA flags: an
 * inline function of a template that was built with AVX-512 in one object may be the copy that the
 * linker keeps for all.
 */
#include "index/ann/hnsw_build.h"

extern "C" {
#include "src/base/stop.h"
#include "src/kernels/kernels.h"
}

/* without its SIMD, which we do not use, and its prefetches, which read one link too far */
#define NO_MANUAL_VECTORIZATION
#include <hnswlib/hnswlib.h>

#include <exception>
#include <memory>
#include <new>

namespace
{

constexpr int64_t LINKS = 16, EF_BUILD = 200, BATCH = 1024;

/* 1 - <a, b> of rows that are given by number */
float row_distance(const void *a, const void *b, const void *param)
{
    const hnsw_input *in = static_cast<const hnsw_input *>(param);
    const uint32_t x = *static_cast<const uint32_t *>(a), y = *static_cast<const uint32_t *>(b);
    const size_t dim = static_cast<size_t>(in->dim);
    int32_t dot;
    kern.dot_rows_i8(&dot, in->i8 + x * dim, in->i8 + y * dim, 1, dim);
    return 1.0f - static_cast<float>(dot) * in->scale[x] * in->scale[y];
}

class row_space : public hnswlib::SpaceInterface<float>
{
    const hnsw_input *in;

  public:
    explicit row_space(const hnsw_input *input) : in(input)
    {
    }
    size_t get_data_size() override
    {
        return sizeof(uint32_t);
    }
    hnswlib::DISTFUNC<float> get_dist_func() override
    {
        return row_distance;
    }
    void *get_dist_func_param() override
    {
        return const_cast<hnsw_input *>(in);
    }
};

using graph = hnswlib::HierarchicalNSW<float>;

/* One row after the other: the same vectors give the same graph, and this version of hnswlib races
 * when rows that are near each other arrive at once (recall fell from .99 to .98 with two threads).
 */
int add_rows(graph *g, const hnsw_input *in, const progress_sink *sink, err *e)
{
    for (int64_t at = 0; at < in->n; at++) {
        const uint32_t row = static_cast<uint32_t>(at);
        try {
            g->addPoint(&row, row);
        } catch (...) {
            return err_kind_set(e, ERR_MEMORY, "not enough memory for the vector graph");
        }
        if ((at + 1) % BATCH && at + 1 < in->n)
            continue;
        if (stop_requested())
            return err_kind_set(e, ERR_STOPPED, "stopped while building the vector graph");
        if (sink && sink->update) {
            progress now{};
            now.done = at + 1;
            now.total = in->n;
            now.phase = "building the vector index";
            sink->update(sink->ctx, &now);
        }
    }
    return 0;
}

/* hnswlib numbers rows in order of arrival; a block is rewritten with our row numbers. */
void copy_block(const graph &g, const unsigned *from, uint32_t links, uint32_t *to)
{
    const uint32_t n = g.getListCount(const_cast<unsigned *>(from));
    to[0] = n < links ? n : links;
    for (uint32_t i = 0; i < to[0]; i++)
        to[i + 1] = static_cast<uint32_t>(g.getExternalLabel(from[i + 1]));
}

void copy_links(const graph &g, hnsw_graph *out)
{
    uint32_t next = 0;
    for (uint32_t i = 0; i < out->n; i++) {
        const uint32_t row = static_cast<uint32_t>(g.getExternalLabel(i));
        copy_block(g, g.get_linklist0(i), out->base_links,
                   out->base + static_cast<size_t>(row) * (out->base_links + 1));
        const int levels = g.element_levels_[i];
        out->place[row] = levels > 0 ? next + 1 : 0;
        for (int l = 1; l <= levels; l++, next++)
            copy_block(g, g.get_linklist(i, l), out->upper_links,
                       out->upper + static_cast<size_t>(next) * (out->upper_links + 1));
    }
}

int take_links(const graph &g, hnsw_graph *out)
{
    out->n = static_cast<uint32_t>(g.cur_element_count);
    out->base_links = static_cast<uint32_t>(g.maxM0_);
    out->upper_links = static_cast<uint32_t>(g.maxM_);
    out->entry = static_cast<uint32_t>(g.getExternalLabel(g.enterpoint_node_));
    out->top_level = static_cast<uint32_t>(g.maxlevel_);
    for (uint32_t i = 0; i < out->n; i++)
        out->n_upper += static_cast<size_t>(g.element_levels_[i]);
    const size_t n = out->n;
    out->base = static_cast<uint32_t *>(calloc(n * (out->base_links + 1), sizeof(uint32_t)));
    out->place = static_cast<uint32_t *>(calloc(n, sizeof(uint32_t)));
    out->upper = static_cast<uint32_t *>(
        calloc(out->n_upper * (out->upper_links + 1) + 1, sizeof(uint32_t)));
    if (!out->base || !out->place || !out->upper)
        return -1;
    copy_links(g, out);
    return 0;
}

} // namespace

int hnsw_build(const hnsw_input *in, const progress_sink *sink, hnsw_graph *out, err *e)
{
    *out = hnsw_graph{};
    if (in->n < 1 || in->n > INT32_MAX)
        return err_set(e, "a vector graph of %lld rows is not possible",
                       static_cast<long long>(in->n));
    try {
        row_space space(in);
        std::unique_ptr<graph> g(
            new graph(&space, static_cast<size_t>(in->n), LINKS, EF_BUILD, 100));
        if (add_rows(g.get(), in, sink, e))
            return -1;
        if (take_links(*g, out) == 0)
            return 0;
    } catch (...) {
    }
    hnsw_graph_release(out);
    return err_kind_set(e, ERR_MEMORY, "not enough memory for a vector graph of %lld rows",
                        static_cast<long long>(in->n));
}

void hnsw_graph_release(hnsw_graph *g)
{
    free(g->base);
    free(g->place);
    free(g->upper);
    *g = hnsw_graph{};
}
