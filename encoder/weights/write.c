/* write.c - writing .safetensors; see write.h. */
#include "encoder/weights/write.h"

#include "src/base/file.h"
#include "src/base/json.h"
#include "src/base/str.h"

static size_t bytes_of(const struct tensor_out *t)
{
    return (size_t)t->rows * (size_t)(t->cols ? t->cols : 1) * sizeof(float);
}

static void header(const struct tensor_out *t, size_t n, struct str *out)
{
    struct json_writer w;
    size_t at = 0;
    jw_init(&w, out);
    jw_object(&w);
    jw_key(&w, "__metadata__");
    jw_object(&w);
    jw_ktext(&w, "format", "pt");
    jw_end(&w);
    for (size_t i = 0; i < n; i++) {
        jw_key(&w, t[i].name);
        jw_object(&w);
        jw_ktext(&w, "dtype", "F32");
        jw_key(&w, "shape");
        jw_array(&w);
        jw_int(&w, t[i].rows);
        if (t[i].cols)
            jw_int(&w, t[i].cols);
        jw_end(&w);
        jw_key(&w, "data_offsets");
        jw_array(&w);
        jw_int(&w, (int64_t)at);
        at += bytes_of(&t[i]);
        jw_int(&w, (int64_t)at);
        jw_end(&w);
        jw_end(&w);
    }
    jw_end(&w);
    while (out->n % 8) /* the data begins aligned */
        str_putc(out, ' ');
}

int safetensors_write(const char *path, const struct tensor_out *t, size_t n, struct err *err)
{
    struct outfile f;
    struct str head = {0};
    unsigned char length[8];
    if (outfile_open(&f, path, err))
        return -1;
    header(t, n, &head);
    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)((uint64_t)head.n >> (8 * i));
    outfile_write(&f, length, sizeof length);
    outfile_write(&f, head.p, head.n);
    for (size_t i = 0; i < n; i++)
        outfile_write(&f, t[i].data, bytes_of(&t[i]));
    str_release(&head);
    return outfile_commit(&f, err);
}
