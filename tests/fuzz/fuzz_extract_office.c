/* fuzz_extract_office.c - the XML readers of office formats. The fuzzer cannot guess a deflated
 * zip: its bytes become the main part of a package that this file builds (stored, with right
 * checksums). */
#include "fuzz_extract.h"

#include <archive.h>
#include <archive_entry.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void add(struct archive *a, const char *name, const void *p, size_t n)
{
    struct archive_entry *e = archive_entry_new();
    archive_entry_set_pathname(e, name);
    archive_entry_set_filetype(e, AE_IFREG);
    archive_entry_set_size(e, (la_int64_t)n);
    archive_write_header(a, e);
    archive_write_data(a, p, n);
    archive_entry_free(e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char rels[] =
        "<Relationships><Relationship Id='r1' Type='x/slide' Target='s.xml'/><Relationship Id='r2' "
        "Type='x/worksheet' Target='s.xml'/></Relationships>";
    static const struct {
        const char *sign, *part;
    } kinds[] = {
        {"word/document.xml", "word/document.xml"},  {"word/document.xml", "word/styles.xml"},
        {"ppt/presentation.xml", "ppt/s.xml"},       {"xl/workbook.xml", "xl/s.xml"},
        {"xl/workbook.xml", "xl/sharedStrings.xml"}, {"content.xml", "content.xml"},
        {"META-INF/container.xml", "b.opf"},         {"META-INF/container.xml", "c.xhtml"}};
    static const char office[] = "<a xmlns:r='r'><sldId r:id='r1'/><sheet name='s' r:id='r2'/></a>";
    static const char container[] = "<a><rootfile full-path='b.opf'/></a>";
    static const char opf[] = "<a><item id='c' href='c.xhtml'/><itemref idref='c'/></a>";
    static const char odt[] = "application/vnd.oasis.opendocument.text";
    if (n == 0 || n > 1 << 20)
        return 0;
    const size_t k = data[0] % (sizeof kinds / sizeof *kinds);
    static char zip[1 << 21];
    size_t used = 0;
    struct archive *a = archive_write_new();
    archive_write_set_format_zip(a);
    archive_write_set_options(a, "zip:compression=store");
    archive_write_open_memory(a, zip, sizeof zip, &used);
    if (k == 5)
        add(a, "mimetype", odt, sizeof odt - 1);
    if (strcmp(kinds[k].sign, kinds[k].part) != 0)
        add(a, kinds[k].sign, k >= 6 ? container : office,
            k >= 6 ? sizeof container - 1 : sizeof office - 1);
    if (k == 7)
        add(a, "b.opf", opf, sizeof opf - 1);
    add(a, "ppt/_rels/presentation.xml.rels", rels, sizeof rels - 1);
    add(a, "xl/_rels/workbook.xml.rels", rels, sizeof rels - 1);
    add(a, kinds[k].part, data + 1, n - 1);
    archive_write_close(a);
    archive_write_free(a);
    fuzz_extract((const uint8_t *)zip, used, "a.zip");
    return 0;
}
