/* fuzz_safetensors.c - any bytes as a weight file: refused, or every tensor lies inside the file.
 */
#include "encoder/weights/safetensors.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char path[64];
    struct safetensors s;
    if (!path[0])
        snprintf(path, sizeof path, "/tmp/fuzz-safetensors-%d", (int)getpid());
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, size, f) != size || fclose(f))
        abort();
    if (safetensors_open(&s, path, NULL) == 0) {
        for (size_t i = 0; i < s.n_tensors; i++) {
            const struct tensor *t = &s.tensor[i];
            if (t->data < s.map.p || t->data + t->n_bytes > s.map.p + s.map.n)
                abort();
            if (safetensors_find(&s, t->name) == NULL)
                abort();
        }
        safetensors_close(&s);
    }
    unlink(path);
    return 0;
}
