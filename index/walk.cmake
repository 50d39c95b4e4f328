semsearch_library(semsearch_walk SOURCES glob.c ignore.c walk.c why.c DEPENDS semsearch_base)
