#!/usr/bin/env python3
"""Makes the binary documents of the corpus (docs/**.pdf, docx, odt, pptx, xlsx, epub) from src/**.txt.

A source is plain text: the first line is the title, "# x" a heading, "--- page" begins a page, slide or sheet, "a | b" is a row of a
table, other lines are joined to paragraphs (blank line or heading ends one). Only Python's own library is used, and the output is the
same byte for byte at every run (fixed times in the zip files), so that `make.py --check` can say whether docs/ is up to date.
"""
import io
import pathlib
import sys
import textwrap
import zipfile
from xml.sax.saxutils import escape

HERE = pathlib.Path(__file__).parent


def parse(text):
    """-> title, pages; a page is a list of ("heading" | "para" | "row", text or cells)."""
    lines = text.splitlines()
    pages, para = [[]], []

    def flush():
        if para:
            pages[-1].append(("para", " ".join(para)))
            para.clear()

    for line in lines[1:]:
        if line == "--- page":
            flush()
            pages.append([])
        elif line.startswith("# "):
            flush()
            pages[-1].append(("heading", line[2:]))
        elif " | " in line:
            flush()
            pages[-1].append(("row", [c.strip() for c in line.split(" | ")]))
        elif line.strip():
            para.append(line.strip())
        else:
            flush()
    flush()
    return lines[0], pages


def zipped(files, stored_first=None):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for name, data in files:
            info = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_STORED if name == stored_first else zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            z.writestr(info, data)
    return out.getvalue()


XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
CORE = (XML + '<cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{}</dc:title></cp:coreProperties>')


def content_types(*overrides):
    rows = "".join(f'<Override PartName="{p}" ContentType="application/{t}+xml"/>' for p, t in overrides)
    return (XML + '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
            '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Default Extension="xml" ContentType="application/xml"/>{rows}</Types>')


def relations(*rows):
    base = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
    meta = "http://schemas.openxmlformats.org/package/2006/relationships/metadata/"
    body = "".join(f'<Relationship Id="rId{i}" Type="{(meta if t == "core-properties" else base) + t}" Target="{target}"/>'
                   for i, (t, target) in enumerate(rows, 1))
    return XML + f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{body}</Relationships>'


def docx(title, pages):
    body = [f'<w:p><w:pPr><w:pStyle w:val="Title"/></w:pPr><w:r><w:t>{escape(title)}</w:t></w:r></w:p>']
    for page in pages:
        for kind, value in page:
            if kind == "row":
                cells = "".join(f"<w:tc><w:p><w:r><w:t>{escape(c)}</w:t></w:r></w:p></w:tc>" for c in value)
                body.append(f"<w:tbl><w:tr>{cells}</w:tr></w:tbl>")
                continue
            style = '<w:pPr><w:pStyle w:val="Heading1"/></w:pPr>' if kind == "heading" else ""
            body.append(f'<w:p>{style}<w:r><w:t xml:space="preserve">{escape(value)}</w:t></w:r></w:p>')
    document = (XML + '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>'
                + "".join(body) + "</w:body></w:document>")
    word = "vnd.openxmlformats-officedocument.wordprocessingml.document.main"
    return zipped([
        ("[Content_Types].xml", content_types(("/word/document.xml", word))),
        ("_rels/.rels", relations(("officeDocument", "word/document.xml"), ("core-properties", "docProps/core.xml"))),
        ("docProps/core.xml", CORE.format(escape(title))),
        ("word/document.xml", document)])


def odt(title, pages):
    body = [f'<text:h text:outline-level="1">{escape(title)}</text:h>']
    for page in pages:
        for kind, value in page:
            if kind == "heading":
                body.append(f'<text:h text:outline-level="2">{escape(value)}</text:h>')
            else:
                body.append(f"<text:p>{escape(value)}</text:p>")
    names = ('xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
             'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" xmlns:dc="http://purl.org/dc/elements/1.1/" '
             'xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"')
    mime = "application/vnd.oasis.opendocument.text"
    return zipped([
        ("mimetype", mime),
        ("content.xml", XML + f"<office:document-content {names}><office:body><office:text>" + "".join(body)
         + "</office:text></office:body></office:document-content>"),
        ("meta.xml", XML + f"<office:document-meta {names}><office:meta><dc:title>{escape(title)}</dc:title></office:meta>"
         "</office:document-meta>"),
        ("META-INF/manifest.xml", XML + f'<manifest:manifest {names}><manifest:file-entry manifest:full-path="/" '
         f'manifest:media-type="{mime}"/><manifest:file-entry manifest:full-path="content.xml" '
         'manifest:media-type="text/xml"/></manifest:manifest>')], stored_first="mimetype")


def pptx(title, pages):
    names = ('xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
             'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" '
             'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"')
    slides = [[("heading", title)]] + pages
    files, kind = [], "vnd.openxmlformats-officedocument.presentationml."
    for i, page in enumerate(slides, 1):
        shapes = ""
        for what, value in page:
            place = '<p:nvPr><p:ph type="title"/></p:nvPr>' if what == "heading" else "<p:nvPr/>"
            shapes += (f'<p:sp><p:nvSpPr><p:cNvPr id="2" name="x"/><p:cNvSpPr/>{place}</p:nvSpPr><p:spPr/><p:txBody><a:bodyPr/>'
                       f"<a:p><a:r><a:t>{escape(value)}</a:t></a:r></a:p></p:txBody></p:sp>")
        files.append((f"ppt/slides/slide{i}.xml", XML + f"<p:sld {names}><p:cSld><p:spTree>{shapes}</p:spTree></p:cSld></p:sld>"))
    ids = "".join(f'<p:sldId id="{255 + i}" r:id="rId{i}"/>' for i in range(1, len(slides) + 1))
    return zipped([
        ("[Content_Types].xml", content_types(("/ppt/presentation.xml", kind + "presentation.main"),
                                              *((f"/ppt/slides/slide{i}.xml", kind + "slide")
                                                for i in range(1, len(slides) + 1)))),
        ("_rels/.rels", relations(("officeDocument", "ppt/presentation.xml"), ("core-properties", "docProps/core.xml"))),
        ("docProps/core.xml", CORE.format(escape(title))),
        ("ppt/presentation.xml", XML + f"<p:presentation {names}><p:sldIdLst>{ids}</p:sldIdLst></p:presentation>"),
        ("ppt/_rels/presentation.xml.rels", relations(*(("slide", f"slides/slide{i}.xml")
                                                        for i in range(1, len(slides) + 1))))] + files)


def xlsx(title, pages):
    names = ('xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" '
             'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"')
    strings, index, files, tabs = [], {}, [], ""
    for i, page in enumerate(pages, 1):
        rows, n = "", 0
        for what, value in page:
            if what == "heading":
                tabs += f'<sheet name="{escape(value)}" sheetId="{i}" r:id="rId{i}"/>'
                continue
            n += 1
            cells = ""
            for j, cell in enumerate(value):
                ref = f"{chr(65 + j)}{n}"
                if cell.replace(".", "", 1).isdigit():
                    cells += f'<c r="{ref}"><v>{cell}</v></c>'
                    continue
                if cell not in index:
                    index[cell] = len(strings)
                    strings.append(cell)
                cells += f'<c r="{ref}" t="s"><v>{index[cell]}</v></c>'
            rows += f'<row r="{n}">{cells}</row>'
        files.append((f"xl/worksheets/sheet{i}.xml", XML + f"<worksheet {names}><sheetData>{rows}</sheetData></worksheet>"))
    kind = "vnd.openxmlformats-officedocument.spreadsheetml."
    table = "".join(f"<si><t>{escape(s)}</t></si>" for s in strings)
    sheets = [("worksheet", f"worksheets/sheet{i}.xml") for i in range(1, len(pages) + 1)]
    return zipped([
        ("[Content_Types].xml", content_types(("/xl/workbook.xml", kind + "sheet.main"),
                                              ("/xl/sharedStrings.xml", kind + "sharedStrings"),
                                              *((f"/xl/{t}", kind + "worksheet") for _, t in sheets))),
        ("_rels/.rels", relations(("officeDocument", "xl/workbook.xml"), ("core-properties", "docProps/core.xml"))),
        ("docProps/core.xml", CORE.format(escape(title))),
        ("xl/workbook.xml", XML + f"<workbook {names}><sheets>{tabs}</sheets></workbook>"),
        ("xl/_rels/workbook.xml.rels", relations(*sheets, ("sharedStrings", "sharedStrings.xml"))),
        ("xl/sharedStrings.xml", XML + f"<sst {names}>{table}</sst>")] + files)


def epub(title, pages):
    items = [item for page in pages for item in page]
    chapters = []
    for kind, value in items:
        if kind == "heading":
            chapters.append([value, ""])
        else:
            chapters[-1][1] += f"<p>{escape(value)}</p>"
    files = [("mimetype", "application/epub+zip"),
             ("META-INF/container.xml", XML + '<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">'
              '<rootfiles><rootfile full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>')]
    manifest = spine = ""
    for i, (head, body) in enumerate(chapters, 1):
        files.append((f"OEBPS/c{i}.xhtml", XML + '<html xmlns="http://www.w3.org/1999/xhtml"><head><title>'
                      f"{escape(head)}</title></head><body><h1>{escape(head)}</h1>{body}</body></html>"))
        manifest += f'<item id="c{i}" href="c{i}.xhtml" media-type="application/xhtml+xml"/>'
        spine += f'<itemref idref="c{i}"/>'
    files.insert(2, ("OEBPS/book.opf", XML + '<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id">'
                     '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:identifier id="id">semsearch-small</dc:identifier>'
                     f"<dc:title>{escape(title)}</dc:title><dc:language>en</dc:language></metadata>"
                     f"<manifest>{manifest}</manifest><spine>{spine}</spine></package>"))
    return zipped(files, stored_first="mimetype")


def pdf(title, pages):
    def string(s):
        return b"(" + s.encode("cp1252").replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)") + b")"

    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", None,
               b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
               b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding >>"]
    kids = []
    for page in pages:
        out, y = [], 780
        for kind, value in page:
            big = kind == "heading"
            for line in textwrap.wrap(value, 60 if big else 90):
                out.append(b"BT /%s %d Tf 60 %d Td %s Tj ET" % (b"B" if big else b"F", 16 if big else 11, y, string(line)))
                y -= 22 if big else 15
            y -= 10
        stream = b"\n".join(out)
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream))
        objects.append(b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents %d 0 R "
                       b"/Resources << /Font << /F 3 0 R /B 4 0 R >> >> >>" % len(objects))
        kids.append(b"%d 0 R" % len(objects))
    objects[1] = b"<< /Type /Pages /Kids [%s] /Count %d >>" % (b" ".join(kids), len(kids))
    objects.append(b"<< /Title %s >>" % string(title))
    data, places = b"%PDF-1.4\n", []
    for i, o in enumerate(objects, 1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (i, o)
    table = b"".join(b"%010d 00000 n \n" % p for p in places)
    return (data + b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R /Info %d 0 R >>\nstartxref\n%d\n%%%%EOF\n"
            % (len(objects) + 1, table, len(objects) + 1, len(objects), len(data)))


def main():
    check = sys.argv[1:] == ["--check"]
    stale = 0
    for source in sorted((HERE / "src").rglob("*.txt")):
        target = HERE / "docs" / source.relative_to(HERE / "src").with_suffix("")
        make = {".docx": docx, ".odt": odt, ".pptx": pptx, ".xlsx": xlsx, ".epub": epub, ".pdf": pdf}[target.suffix]
        data = make(*parse(source.read_text(encoding="utf-8")))
        if check:
            if not target.exists() or target.read_bytes() != data:
                print(f"{target} is not what its source makes")
                stale += 1
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
