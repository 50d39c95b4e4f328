semsearch_library(semsearch_update
  SOURCES update.c update_batch.c update_check.c update_known.c update_put.c update_read.c update_unfinished.c
    update_write.c
  DEPENDS semsearch_search semsearch_snapshot semsearch_store semsearch_extract semsearch_chunk semsearch_walk
          semsearch_kernels semsearch_base)
