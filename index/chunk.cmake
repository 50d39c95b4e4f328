semsearch_library(semsearch_chunk SOURCES chunk.c clean.c fingerprint.c piece.c DEPENDS semsearch_doc semsearch_base)
