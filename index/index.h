/* index.h - the door of index/: what cli/ may use. */
#ifndef SEMSEARCH_INDEX_INDEX_H
#define SEMSEARCH_INDEX_INDEX_H

#include "index/chunk.h"
#include "index/doc.h"
#include "index/eval/beir.h"
#include "index/eval/evaluate.h"
#include "index/extract/extract.h"
#include "index/glob.h"
#include "index/search.h"
#include "index/snapshot.h"
#include "index/store/store.h"
#include "index/tune/adapter.h"
#include "index/tune/held.h"
#include "index/tune/pairs.h"
#include "index/update.h"
#include "index/walk.h"

#endif
