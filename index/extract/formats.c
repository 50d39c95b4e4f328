/* formats.c - the format table and detection; see formats.h.
 *
 * Detection asks in this order: magic numbers of binary formats (they cannot be mistaken); is it
 * text at all; the name of a text format (a .md that begins with a tag is still Markdown); the
 * beginning of a text whose name says nothing (#!, <html, <?xml, mail headers, JSON).
 */
#include "index/extract/formats.h"

#include "index/extract/blocks.h"

#include "src/base/mem.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#define ROW(fam, nm, ver, k, ext, ...)                                              \
    {                                                                               \
        .info = {.name = (nm), .extensions = (ext), .kind = (k)}, .version = (ver), \
        .family = (fam), __VA_ARGS__                                                \
    }
#define PROGRAM_ROW(nm, ver, k, ext, prog, pack)   \
    {                                              \
        .info = {.name = (nm),                     \
                 .extensions = (ext),              \
                 .kind = (k),                      \
                 .program = (prog),                \
                 .package = (pack)},               \
        .version = (ver), .family = FAMILY_PROGRAM \
    }

/* clang-format off */
static const struct format table[] = {
    ROW(FAMILY_TEXT, "text", 1, KIND_TEXT,
        "txt text log",
        .names = "readme license copying notice authors news changelog todo install"),
    ROW(FAMILY_MARKDOWN, "markdown", 1, KIND_MARKDOWN, "md markdown mdown mkd mkdn mdx qmd rmd"),
    ROW(FAMILY_OUTLINE, "rst", 1, KIND_TEXT, "rst rest"),
    ROW(FAMILY_OUTLINE, "asciidoc", 1, KIND_TEXT, "adoc asciidoc"),
    ROW(FAMILY_OUTLINE, "org", 1, KIND_TEXT, "org"),
    ROW(FAMILY_TEX, "tex", 1, KIND_TEXT, "tex latex ltx"),
    ROW(FAMILY_CODE, "code", 1, KIND_CODE,
        "c h cc cpp cxx c++ hh hpp hxx h++ ipp inl m mm cu cuh py pyi pyx pyw js mjs cjs jsx ts "
        "mts cts tsx vue svelte java kt kts scala groovy gradle clj cljs cljc edn cs fs fsx fsi "
        "vb go rs swift zig nim d dart rb rake gemspec php phtml pl pm t pod lua sh bash zsh "
        "fish ksh csh ps1 psm1 bat cmd sql r jl hs lhs ml mli elm erl hrl ex exs lisp lsp cl el "
        "scm ss rkt f f77 f90 f95 f03 for pas pp ada adb ads asm s v vh sv svh vhd vhdl tcl awk "
        "sed vim cmake mk mak ninja bazel bzl nix proto thrift capnp graphql gql css scss sass "
        "less styl tf hcl y yy l ll lex sol wgsl glsl hlsl vert frag comp cob cbl abap apex "
        "coffee cr hx mojo odin vala gd diff patch m4 ac am dockerfile jinja j2 tmpl tpl ejs "
        "erb hbs pug haml twig ipy sage rpy raku nu",
        .names = "makefile gnumakefile dockerfile containerfile vagrantfile rakefile gemfile "
                 "jenkinsfile cmakelists.txt sconstruct meson.build build.bazel justfile "
                 "procfile brewfile",
        .interpreters = "sh bash dash zsh ksh fish python python2 python3 perl ruby node nodejs "
                        "deno lua awk gawk tclsh wish php Rscript make env guile julia"),
    ROW(FAMILY_ROWS, "csv", 1, KIND_DATA, "csv tsv tab psv"),
    ROW(FAMILY_ROWS, "jsonl", 1, KIND_DATA, "jsonl ndjson"),
    ROW(FAMILY_DATA, "json", 1, KIND_DATA, "json json5 jsonc geojson webmanifest"),
    ROW(FAMILY_DATA, "yaml", 1, KIND_DATA, "yaml yml"),
    ROW(FAMILY_DATA, "toml", 1, KIND_DATA, "toml"),
    ROW(FAMILY_DATA, "ini", 1, KIND_DATA,
        "ini cfg conf cnf properties env desktop service reg po pot ics vcf bib"),
    ROW(FAMILY_DATA, "xml", 1, KIND_DATA,
        "xml xsd xsl xslt rss atom svg plist dtd opml gpx kml rdf wsdl xliff dbk docbook"),
    ROW(FAMILY_SUBTITLE, "subtitle", 1, KIND_SUBTITLE, "srt vtt sbv"),
    ROW(FAMILY_HTML, "html", 1, KIND_HTML, "html htm xhtml xht shtml"),
    ROW(FAMILY_MAIL, "mail", 1, KIND_MAIL, "eml emlx"),
    ROW(FAMILY_MBOX, "mbox", 1, KIND_MAIL, "mbox mbx"),
    ROW(FAMILY_NOTEBOOK, "notebook", 1, KIND_NOTEBOOK, "ipynb"),
    ROW(FAMILY_RTF, "rtf", 1, KIND_DOCUMENT, "rtf"),
    ROW(FAMILY_DOCX, "docx", 1, KIND_DOCUMENT, "docx docm dotx dotm"),
    ROW(FAMILY_PPTX, "pptx", 1, KIND_SLIDES, "pptx pptm ppsx ppsm potx"),
    ROW(FAMILY_XLSX, "xlsx", 1, KIND_SHEET, "xlsx xlsm xltx xltm"),
    ROW(FAMILY_ODF, "odt", 1, KIND_DOCUMENT, "odt ott"),
    ROW(FAMILY_ODF, "odp", 1, KIND_SLIDES, "odp otp"),
    ROW(FAMILY_ODF, "ods", 1, KIND_SHEET, "ods ots"),
    ROW(FAMILY_EPUB, "epub", 1, KIND_EBOOK, "epub"),
    PROGRAM_ROW("pdf", 1, KIND_PDF, "pdf", "pdftotext", "poppler-utils"),
    PROGRAM_ROW("doc", 1, KIND_DOCUMENT, "doc dot", "catdoc", "catdoc"),
    PROGRAM_ROW("ppt", 1, KIND_SLIDES, "ppt pps", "catppt", "catdoc"),
    PROGRAM_ROW("xls", 1, KIND_SHEET, "xls xlt", "xls2csv", "catdoc"),
    ROW(FAMILY_PACKED, "packed", 1, KIND_ARCHIVE, "gz zst xz bz2 lzma lz4 z"),
    ROW(FAMILY_ZIP, "zip", 1, KIND_ARCHIVE, "zip jar war whl xpi apk"),
    ROW(FAMILY_TAR, "tar", 1, KIND_ARCHIVE, "tar tgz tbz2 txz tzst cpio 7z"),
    /* Not listed for people: found by magic or by elimination. The names of binary files tell what need
     * not be unpacked from an archive; under such a name text is still text. */
    ROW(FAMILY_OLE, "ole", 1, KIND_DOCUMENT, ""),
    ROW(FAMILY_BINARY, "binary", 1, KIND_TEXT,
        "png jpg jpeg gif bmp tif tiff webp heic avif ico psd mp3 mp4 m4a m4v avi mov mkv webm "
        "wav flac ogg opus exe dll so dylib o a lib obj class pyc pyo wasm bin dat iso dmg deb "
        "rpm db sqlite sqlite3 woff woff2 ttf otf eot npy npz pt pth onnx safetensors gguf "
        "parquet"),
};
/* clang-format on */

const struct format *format_at(size_t i)
{
    return i < ARRAY_LEN(table) ? &table[i] : NULL;
}

size_t format_index(const struct format *f)
{
    return (size_t)(f - table);
}

const struct format *format_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (strcmp(table[i].info.name, name) == 0)
            return &table[i];
    return NULL;
}

const struct extract_format *extract_format_at(size_t i)
{
    const struct format *f = format_at(i);
    return f && f->info.extensions[0] ? &f->info : NULL;
}

/* Versions only rise, so their sum rises with each of them. */
int extract_version(void)
{
    int sum = 0;
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        sum += table[i].version;
    return sum;
}

void format_extension(const char *name, char out[16])
{
    const char *slash = strrchr(name, '/');
    const char *base = slash ? slash + 1 : name;
    const char *dot = strrchr(base, '.');
    size_t n = 0;
    if (dot && dot != base)
        for (const char *p = dot + 1; *p && n < 15; p++)
            out[n++] = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
    out[n] = '\0';
}

/* Whether `word` is one of the space-separated words of `list`. */
static bool list_has(const char *list, struct span word)
{
    if (!list || word.n == 0)
        return false;
    struct span rest = span_of(list), piece;
    while (span_split(&rest, ' ', &piece))
        if (piece.n == word.n && strncasecmp(piece.p, word.p, word.n) == 0)
            return true;
    return false;
}

const struct format *format_by_name(const char *name)
{
    const char *slash = strrchr(name, '/');
    const char *base = slash ? slash + 1 : name;
    char ext[16];
    format_extension(base, ext);
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (list_has(table[i].names, span_of(base)))
            return &table[i];
    for (size_t i = 0; ext[0] && i < ARRAY_LEN(table); i++)
        if (list_has(table[i].info.extensions, span_of(ext)))
            return &table[i];
    return NULL;
}

/* ---- magic numbers ------------------------------------------------------------------------ */

static const struct {
    uint8_t bytes[8];
    uint8_t n;
    uint16_t offset;
    const char *format;
} magics[] = {
    {{'P', 'K', 3, 4}, 4, 0, "zip"},
    {{'P', 'K', 5, 6}, 4, 0, "zip"},
    {{0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1}, 8, 0, "ole"},
    {{'{', '\\', 'r', 't', 'f'}, 5, 0, "rtf"},
    {{0x1F, 0x8B, 8}, 3, 0, "packed"},
    {{0x28, 0xB5, 0x2F, 0xFD}, 4, 0, "packed"},
    {{0xFD, '7', 'z', 'X', 'Z', 0}, 6, 0, "packed"},
    {{'1', 'A', 'Y', '&', 'S', 'Y'}, 6, 4, "packed"},
    {{0x04, 0x22, 0x4D, 0x18}, 4, 0, "packed"},
    {{0x1F, 0x9D}, 2, 0, "packed"},
    {{'u', 's', 't', 'a', 'r'}, 5, 257, "tar"},
    {{'7', 'z', 0xBC, 0xAF, 0x27, 0x1C}, 6, 0, "tar"},
    {{'0', '7', '0', '7', '0', '1'}, 6, 0, "tar"},
    {{0x89, 'P', 'N', 'G'}, 4, 0, "binary"},
    {{0xFF, 0xD8, 0xFF}, 3, 0, "binary"},
    {{'G', 'I', 'F', '8'}, 4, 0, "binary"},
    {{0x7F, 'E', 'L', 'F'}, 4, 0, "binary"},
    {{0x25, 0x21, 0x50, 0x53, 0x2D}, 5, 0, "binary"}, /* %!PS-: a page program */
    {{'I', 'D', '3', 3}, 4, 0, "binary"},
    {{'O', 'g', 'g', 'S', 0}, 5, 0, "binary"},
    {{'w', 'O', 'F', 'F'}, 4, 0, "binary"},
    {{'w', 'O', 'F', '2'}, 4, 0, "binary"},
};

static bool is_pdf(struct span head)
{
    const struct span first = span_sub(head, 0, 1024); /* readers accept junk before the header */
    return span_find(first, "%PDF-") != NULL;
}

static const struct format *by_magic(struct span head)
{
    for (size_t i = 0; i < ARRAY_LEN(magics); i++)
        if (head.n >= (size_t)magics[i].offset + magics[i].n &&
            memcmp(head.p + magics[i].offset, magics[i].bytes, magics[i].n) == 0)
            return format_find(magics[i].format);
    return head.n >= 5 && is_pdf(head) ? format_find("pdf") : NULL;
}

/* ---- text or not -------------------------------------------------------------------------- */

/* Text in UTF-16 or UTF-32: a byte-order mark, or Latin text whose every other byte is 0. */
static bool is_wide_text(struct span s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    if (s.n >= 2 && ((p[0] == 0xFF && p[1] == 0xFE) || (p[0] == 0xFE && p[1] == 0xFF)))
        return true;
    if (s.n >= 4 && memcmp(p, "\0\0\xFE\xFF", 4) == 0)
        return true;
    size_t zero[2] = {0, 0};
    for (size_t i = 0; i < s.n; i++)
        zero[i & 1] += p[i] == 0;
    const size_t half = s.n / 2;
    return half >= 4 && ((zero[0] > half * 7 / 10 && zero[1] <= half / 20) ||
                         (zero[1] > half * 7 / 10 && zero[0] <= half / 20));
}

bool format_is_binary(struct span head)
{
    if (head.n == 0 || is_wide_text(head))
        return false;
    size_t control = 0;
    for (size_t i = 0; i < head.n; i++) {
        const unsigned char c = (unsigned char)head.p[i];
        if (c == 0)
            return true;
        control += c < 32 && !(c >= 7 && c <= 13) && c != 27;
    }
    return control > head.n / 20;
}

/* ---- the beginning of a text -------------------------------------------------------------- */

static bool starts_nocase(struct span s, const char *word)
{
    const size_t n = strlen(word);
    return s.n >= n && strncasecmp(s.p, word, n) == 0;
}

static bool has_interpreter(struct span head)
{
    const char *eol = memchr(head.p, '\n', head.n);
    struct span line = {head.p + 2, eol ? (size_t)(eol - head.p) - 2 : head.n - 2}, word;
    while (span_split(&line, ' ', &word)) {
        struct span base = span_trim(word), piece;
        struct span rest = base;
        while (span_split(&rest, '/', &piece))
            base = piece;
        while (base.n && ((base.p[base.n - 1] >= '0' && base.p[base.n - 1] <= '9') ||
                          base.p[base.n - 1] == '.'))
            base.n--; /* python3.11 */
        if (list_has(format_find("code")->interpreters, base))
            return true;
    }
    return false;
}

/* A mail begins with headers; two of the usual ones make it a mail. */
static bool looks_like_mail(struct span head)
{
    static const char *const usual[] = {
        "from:",       "to:",          "subject:",      "date:",        "received:",
        "message-id:", "return-path:", "mime-version:", "delivered-to:"};
    int seen = 0;
    struct span rest = head, line;
    while (span_split(&rest, '\n', &line)) {
        line = span_sub(line, 0, line.n && line.p[line.n - 1] == '\r' ? line.n - 1 : line.n);
        if (line.n == 0)
            break;
        if (line.p[0] == ' ' || line.p[0] == '\t')
            continue;
        const char *colon = memchr(line.p, ':', line.n);
        if (!colon || memchr(line.p, ' ', (size_t)(colon - line.p)))
            return false;
        for (size_t i = 0; i < ARRAY_LEN(usual); i++)
            seen += starts_nocase(line, usual[i]);
    }
    return seen >= 2;
}

static const struct format *by_beginning(struct span head)
{
    if (span_starts(head, "\xEF\xBB\xBF"))
        head = span_sub(head, 3, head.n);
    if (span_starts(head, "#!"))
        return format_find(has_interpreter(head) ? "code" : "text");
    if (span_starts(head, "From ") && span_find(head, "\nFrom: "))
        return format_find("mbox");
    const struct span s = span_trim(head);
    if (starts_nocase(s, "<!doctype html") || starts_nocase(s, "<html"))
        return format_find("html");
    if (span_starts(s, "<?xml"))
        return format_find(span_find(s, "<html") ? "html" : "xml");
    if (span_starts(s, "WEBVTT"))
        return format_find("subtitle");
    if (looks_like_mail(head))
        return format_find("mail");
    if ((span_starts(s, "{\"") || span_starts(s, "{\n") || span_starts(s, "[{")) && s.n > 2)
        return format_find("json");
    return format_find("text");
}

/* Formats whose files are never text: text under such a name is just text. */
static bool needs_magic(const struct format *f)
{
    return f->family == FAMILY_BINARY || f->family >= FAMILY_RTF;
}

const struct format *format_detect(struct span head, const char *name)
{
    const struct format *const named = format_by_name(name);
    const struct format *const magic = by_magic(head);
    if (magic && !(magic->family == FAMILY_PACKED && head.n < 4))
        return magic;
    if (format_is_binary(head))
        return named && needs_magic(named) ? named : format_find("binary");
    if (named && !needs_magic(named))
        return named;
    return by_beginning(head);
}
