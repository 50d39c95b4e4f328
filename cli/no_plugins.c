/* no_plugins.c - in place of dlopen() where the program is linked without shared libraries: SQLite
 * could load extensions and is never asked to (cli/CMakeLists.txt sends its calls here). */
#include <stddef.h>

void *__wrap_dlopen(const char *file, int mode);
void *__wrap_dlsym(void *handle, const char *name);
char *__wrap_dlerror(void);
int __wrap_dlclose(void *handle);

void *__wrap_dlopen(const char *file, int mode)
{
    (void)file;
    (void)mode;
    return NULL;
}

void *__wrap_dlsym(void *handle, const char *name)
{
    (void)handle;
    (void)name;
    return NULL;
}

char *__wrap_dlerror(void)
{
    return NULL;
}

int __wrap_dlclose(void *handle)
{
    (void)handle;
    return 0;
}
