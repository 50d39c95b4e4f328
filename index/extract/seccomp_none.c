/* seccomp_none.c - stands in for seccomp.c where libseccomp was not found at build time. */
#include "index/extract/sandbox.h"

bool seccomp_confine(bool may_execute)
{
    (void)may_execute;
    return false;
}
