semsearch_library(semsearch_chunk SOURCES chunk.c clean.c piece.c DEPENDS semsearch_doc semsearch_base)
