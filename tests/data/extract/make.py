#!/usr/bin/env python3
"""Makes the binary samples of this folder (office documents, books, PDFs, packed files, hostile files).

Everything is written by hand with the standard library, so that each sample shows just what its test
looks at; running it again gives the same bytes. Text samples are files of their own and not made here.
"""
import bz2, gzip, io, lzma, os, struct, tarfile, zipfile, zlib

HERE = os.path.dirname(os.path.abspath(__file__))
WHEN = (2024, 1, 1, 0, 0, 0)
XML = '<?xml version="1.0" encoding="UTF-8"?>\n'


def write(name, data):
    with open(os.path.join(HERE, name), 'wb') as f:
        f.write(data)


def make_zip(members, store_first=False):
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w') as z:
        for i, (name, data) in enumerate(members):
            info = zipfile.ZipInfo(name, WHEN)
            info.compress_type = zipfile.ZIP_STORED if store_first and i == 0 else zipfile.ZIP_DEFLATED
            z.writestr(info, data)
    return out.getvalue()


# ---- Office Open XML ------------------------------------------------------------------------------

REL = 'http://schemas.openxmlformats.org/officeDocument/2006/relationships'


def rels(*items):
    rows = ''.join(f'<Relationship Id="{i}" Type="{REL}/{t}" Target="{p}"/>' for i, t, p in items)
    return XML + f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{rows}</Relationships>'


def core(title):
    return XML + ('<cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties" '
                  f'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{title}</dc:title></cp:coreProperties>')


W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def para(text, style=None, extra=''):
    props = (f'<w:pStyle w:val="{style}"/>' if style else '') + extra
    return f'<w:p><w:pPr>{props}</w:pPr><w:r><w:t xml:space="preserve">{text}</w:t></w:r></w:p>'


def docx(body, title='The kettle book'):
    styles = XML + (f'<w:styles {W}>'
                    '<w:style w:styleId="Ueberschrift1"><w:name w:val="heading 1"/></w:style>'
                    '<w:style w:styleId="Mine"><w:name w:val="My heading"/><w:basedOn w:val="Under"/></w:style>'
                    '<w:style w:styleId="Under"><w:name w:val="under"/><w:pPr><w:outlineLvl w:val="1"/></w:pPr></w:style>'
                    '</w:styles>')
    notes = XML + f'<w:footnotes {W}><w:footnote>{para("Descale it with vinegar.")}</w:footnote></w:footnotes>'
    return make_zip([
        ('[Content_Types].xml', XML + '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>'),
        ('_rels/.rels', rels(('rId1', 'officeDocument', 'word/document.xml'))),
        ('docProps/core.xml', core(title)),
        ('word/_rels/document.xml.rels', rels(('rId9', 'footnotes', 'footnotes.xml'))),
        ('word/styles.xml', styles),
        ('word/footnotes.xml', notes),
        ('word/document.xml', XML + f'<w:document {W} xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"><w:body>{body}</w:body></w:document>'),
    ])


def docx_body():
    cell = lambda t: f'<w:tc>{para(t)}</w:tc>'
    return (para('Boiling', 'Ueberschrift1')
            + '<w:p><w:r><w:t>Water boils at a low</w:t></w:r><w:r><w:t xml:space="preserve">er temperature </w:t></w:r>'
              '<w:r><w:t>on mountains.</w:t></w:r><w:del><w:r><w:delText>never shown</w:delText></w:r></w:del></w:p>'
            + para('Pressure', 'Mine')
            + para('Lid', extra='<w:numPr><w:ilvl w:val="0"/></w:numPr>') + para('Spout', extra='<w:numPr><w:ilvl w:val="0"/></w:numPr>')
            + f'<w:tbl><w:tr>{cell("Height")}{cell("Boils at")}</w:tr><w:tr>{cell("3000 m")}{cell("90 C")}</w:tr></w:tbl>'
            + '<mc:AlternateContent><mc:Choice>' + para('Shown once.') + '</mc:Choice><mc:Fallback>' + para('Shown once.')
            + '</mc:Fallback></mc:AlternateContent>')


A = 'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" xmlns:r="%s"' % REL


def slide(*shapes):
    out = ''
    for kind, lines in shapes:
        ph = f'<p:nvSpPr><p:nvPr><p:ph type="{kind}"/></p:nvPr></p:nvSpPr>' if kind else ''
        text = ''.join(f'<a:p><a:r><a:t>{t}</a:t></a:r></a:p>' for t in lines)
        out += f'<p:sp>{ph}<p:txBody>{text}</p:txBody></p:sp>'
    return XML + f'<p:sld {A}><p:cSld><p:spTree>{out}</p:spTree></p:cSld></p:sld>'


def pptx():
    # the files are numbered against the order of the presentation
    return make_zip([
        ('[Content_Types].xml', XML + '<Types/>'),
        ('_rels/.rels', rels(('rId1', 'officeDocument', 'ppt/presentation.xml'))),
        ('ppt/presentation.xml', XML + f'<p:presentation {A}><p:sldIdLst><p:sldId id="256" r:id="rId2"/><p:sldId id="257" r:id="rId1"/></p:sldIdLst></p:presentation>'),
        ('ppt/_rels/presentation.xml.rels', rels(('rId1', 'slide', 'slides/slide1.xml'), ('rId2', 'slide', 'slides/slide2.xml'))),
        ('ppt/slides/slide1.xml', slide(('title', ['Second slide']), ('body', ['Owls hunt at night.']))),
        ('ppt/slides/slide2.xml', slide(('ctrTitle', ['Birds of prey']), (None, ['Falcons dive', 'at 300 km/h.']), ('sldNum', ['7']))),
        ('ppt/slides/_rels/slide2.xml.rels', rels(('rId1', 'notesSlide', '../notesSlides/notesSlide1.xml'))),
        ('ppt/notesSlides/notesSlide1.xml', slide(('body', ['Remember to pause here.']), ('sldNum', ['1']))),
    ])


def xlsx():
    S = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="%s"' % REL
    sheet1 = ('<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c><c r="C1" t="inlineStr"><is><t>Mass</t></is></c></row>'
              '<row r="2"><c r="A2" t="s"><v>2</v></c><c r="B2" s="1"><v>45366</v></c><c r="C2"><v>0.30000000000000004</v></c><c r="D2" t="b"><v>1</v></c></row>')
    return make_zip([
        ('[Content_Types].xml', XML + '<Types/>'),
        ('_rels/.rels', rels(('rId1', 'officeDocument', 'xl/workbook.xml'))),
        ('xl/workbook.xml', XML + f'<workbook {S}><sheets><sheet name="Samples" sheetId="1" r:id="rId1"/><sheet name="Empty" sheetId="2" r:id="rId2"/></sheets></workbook>'),
        ('xl/_rels/workbook.xml.rels', rels(('rId1', 'worksheet', 'worksheets/sheet1.xml'), ('rId2', 'worksheet', 'worksheets/sheet2.xml'))),
        ('xl/sharedStrings.xml', XML + f'<sst {S}><si><t>Sample</t></si><si><r><t>Ta</t></r><r><t>ken</t></r></si><si><t>basalt</t><rPh><t>hidden</t></rPh></si></sst>'),
        ('xl/styles.xml', XML + f'<styleSheet {S}><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs></styleSheet>'),
        ('xl/worksheets/sheet1.xml', XML + f'<worksheet {S}><sheetData>{sheet1}</sheetData></worksheet>'),
        ('xl/worksheets/sheet2.xml', XML + f'<worksheet {S}><sheetData/></worksheet>'),
    ])


# ---- OpenDocument -----------------------------------------------------------------------------------

ODF = ' '.join(f'xmlns:{p}="urn:oasis:names:tc:opendocument:xmlns:{n}:1.0"' for p, n in
               [('office', 'office'), ('text', 'text'), ('table', 'table'), ('draw', 'drawing'),
                ('presentation', 'presentation'), ('style', 'style'), ('meta', 'meta')])


def odf(kind, body, title='', manifest=''):
    return make_zip([
        ('mimetype', f'application/vnd.oasis.opendocument.{kind}'),
        ('META-INF/manifest.xml', XML + f'<manifest>{manifest}</manifest>'),
        ('meta.xml', XML + f'<office:document-meta {ODF} xmlns:dc="http://purl.org/dc/elements/1.1/"><office:meta><dc:title>{title}</dc:title></office:meta></office:document-meta>'),
        ('content.xml', XML + f'<office:document-content {ODF}><office:body>{body}</office:body></office:document-content>'),
    ], store_first=True)


def odt():
    return odf('text', '<office:text><text:h text:outline-level="1">Bees</text:h>'
               '<text:p>A hive<text:s text:c="3"/>holds one queen.<text:note><text:note-citation>1</text:note-citation>'
               '<text:note-body><text:p>Rarely two.</text:p></text:note-body></text:note></text:p>'
               '<text:h text:outline-level="2">Honey</text:h><text:list><text:list-item><text:p>acacia</text:p></text:list-item>'
               '<text:list-item><text:p>heather</text:p></text:list-item></text:list>'
               '<text:tracked-changes><text:p>deleted words</text:p></text:tracked-changes>'
               '<table:table><table:table-row><table:table-cell><text:p>Month</text:p></table:table-cell>'
               '<table:table-cell><text:p>Yield</text:p></table:table-cell></table:table-row></table:table></office:text>', 'On bees')


def odp():
    page = lambda t, b: (f'<draw:page><draw:frame presentation:class="title"><draw:text-box><text:p>{t}</text:p></draw:text-box></draw:frame>'
                         f'<draw:frame><draw:text-box><text:p>{b}</text:p></draw:text-box></draw:frame></draw:page>')
    return odf('presentation', '<office:presentation>' + page('Glaciers', 'Ice flows downhill.') + page('Moraines', 'Debris is left behind.') + '</office:presentation>')


def ods():
    cell = lambda t, n='': f'<table:table-cell {n}><text:p>{t}</text:p></table:table-cell>'
    return odf('spreadsheet', '<office:spreadsheet><table:table table:name="Rivers"><table:table-row>' + cell('River') + cell('Length')
               + '<table:table-cell table:number-columns-repeated="16384"/></table:table-row><table:table-row>' + cell('Danube') + cell('2850 km')
               + '</table:table-row><table:table-row table:number-rows-repeated="1048576"><table:table-cell/></table:table-row></table:table>'
               '<table:table table:name="Lakes"><table:table-row>' + cell('Bodensee', 'table:number-columns-repeated="1000"') + '</table:table-row></table:table></office:spreadsheet>')


# ---- books, PDFs --------------------------------------------------------------------------------------

def epub(encryption=None):
    page = lambda title, h, body: (XML + '<html xmlns="http://www.w3.org/1999/xhtml"><head><title/></head>'
                                   f'<body><h1>{h}</h1><p>{body}</p></body></html>')
    members = [
        ('mimetype', 'application/epub+zip'),
        ('META-INF/container.xml', XML + '<container><rootfiles><rootfile full-path="OEBPS/book.opf"/></rootfiles></container>'),
        ('OEBPS/book.opf', XML + '<package xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata><dc:title>Night walks</dc:title></metadata>'
         '<manifest><item id="nav" href="nav.xhtml" properties="nav"/><item id="b" href="two.xhtml"/><item id="a" href="ch%201.xhtml"/></manifest>'
         '<spine><itemref idref="nav"/><itemref idref="a"/><itemref idref="b"/></spine></package>'),
        ('OEBPS/nav.xhtml', page('', 'Navigation', 'skip me')),
        ('OEBPS/two.xhtml', page('', 'The river', 'It was dark&#160;and quiet.')),
        ('OEBPS/ch 1.xhtml', page('', 'The wood', 'Foxes bark in January.')),
    ]
    if encryption:
        members.append(('META-INF/encryption.xml', encryption))
    return make_zip(members, store_first=True)


def pdf(pages, title=None, encrypt=''):
    objects = ['<< /Type /Catalog /Pages 2 0 R >>',
               '<< /Type /Pages /Count %d /Kids [%s] >>' % (len(pages), ' '.join(f'{4 + 2 * i} 0 R' for i in range(len(pages)))),
               '<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>']
    for i, lines in enumerate(pages):
        text = ' '.join(f'BT /F1 14 Tf 72 {720 - 40 * j} Td ({t}) Tj ET' for j, t in enumerate(lines))
        objects.append('<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R '
                       '/Resources << /Font << /F1 3 0 R >> >> >>' % (5 + 2 * i))
        objects.append(f'<< /Length {len(text)} >>\nstream\n{text}\nendstream')
    info = ''
    if title:
        objects.append(f'<< /Title ({title}) >>')
        info = f'/Info {len(objects)} 0 R '
    out, at = b'%PDF-1.4\n', []
    for i, o in enumerate(objects):
        at.append(len(out))
        out += f'{i + 1} 0 obj\n{o}\nendobj\n'.encode('latin-1')
    xref = len(out)
    out += f'xref\n0 {len(objects) + 1}\n0000000000 65535 f \n'.encode()
    out += b''.join(b'%010d 00000 n \n' % a for a in at)
    out += f'trailer << /Size {len(objects) + 1} /Root 1 0 R {info}{encrypt}>>\nstartxref\n{xref}\n%%EOF\n'.encode()
    return out


# ---- packed files -------------------------------------------------------------------------------------

def gz(data):
    return gzip.compress(data, 9, mtime=0)


def zst(data):
    """A Zstandard frame of raw blocks (RFC 8878 section 3.1.1)."""
    out = struct.pack('<IBI', 0xFD2FB528, 0xA0, len(data))  # single segment, 4-byte content size
    pieces = [data[i:i + 65536] for i in range(0, len(data), 65536)]
    for i, p in enumerate(pieces):
        out += struct.pack('<I', len(p) << 3 | (i == len(pieces) - 1))[:3] + p
    return out


def tar(members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w', format=tarfile.USTAR_FORMAT) as t:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            t.addfile(info, io.BytesIO(data))
    return out.getvalue()


def main():
    note = b'Lighthouse notes\n\nThe lamp turns every ten seconds.\n'
    write('kettle.docx', docx(docx_body()))
    write('birds.pptx', pptx())
    write('samples.xlsx', xlsx())
    write('bees.odt', odt())
    write('ice.odp', odp())
    write('rivers.ods', ods())
    write('walks.epub', epub())
    write('two-pages.pdf', pdf([['Tides', 'The moon pulls the sea.'], ['Spring tides come at full moon.']], 'About tides'))
    write('no-text.pdf', pdf([[]]))
    write('lamp.txt.gz', gz(note))
    write('lamp.txt.zst', zst(note))
    write('lamp.txt.xz', lzma.compress(note))
    write('lamp.txt.bz2', bz2.compress(note))
    write('tides.pdf.gz', gz(pdf([['Neap tides are weak.']])))
    write('files.zip', make_zip([('docs/lamp.txt', note), ('docs/readme.md', b'# Harbour\n\nBoats sleep here.\n'), ('x.png', b'\x89PNG\r\n')]))
    write('files.tar.gz', gz(tar([('a/lamp.txt', note), ('a/inner.docx', docx(docx_body()))])))

    # hostile ones
    write('hostile-bomb.gz', gz(b'\0' * (24 << 20)))
    write('hostile-bomb.docx', make_zip([('word/document.xml', b' ' * (24 << 20))]))
    write('hostile-garbage.docx', docx(docx_body() + '</w:nonsense>'))
    write('hostile-cut.docx', docx(docx_body())[:900])
    write('hostile-cut.pdf', pdf([['Tides']])[:200])
    write('hostile-names.zip', make_zip([('../../../../tmp/semsearch-escape.txt', b'This name climbs out of the folder.\n'), ('/etc/shadow.txt', b'Absolute names are only names.\n')]))
    deep = note
    for _ in range(12):
        deep = make_zip([('inner.zip', deep)])
    write('hostile-matryoshka.zip', deep)
    packed = note
    for _ in range(40):
        packed = gz(packed)
    write('hostile-packed-often.gz', packed)
    laughs = '<!DOCTYPE d [<!ENTITY a "ha ha ha ha ha ha ha ha ha ha">' + ''.join(
        f'<!ENTITY {chr(98 + i)} "{f"&{chr(97 + i)};" * 10}">' for i in range(12)) + ']>'
    body = f'<w:document {W}><w:body><w:p><w:r><w:t>funny &m;</w:t></w:r></w:p></w:body></w:document>'
    write('hostile-laughs.docx', make_zip([('word/document.xml', XML + laughs + body)]))
    outside = '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    body = f'<w:document {W}><w:body><w:p><w:r><w:t>before &x; after</w:t></w:r></w:p></w:body></w:document>'
    write('hostile-entity.docx', make_zip([('word/document.xml', XML + outside + body)]))
    write('locked.epub', epub('<encryption><CipherReference URI="OEBPS/two.xhtml"/></encryption>'))
    write('locked.odt', odf('text', '', manifest='<encryption-data/>'))
    # the container of an encrypted .xlsx: only its signature and the name of its stream
    write('locked.xlsx', bytes.fromhex('d0cf11e0a1b11ae1') + bytes(504) + 'EncryptedPackage'.encode('utf-16-le') + bytes(480))
    write('memo.msg', bytes.fromhex('d0cf11e0a1b11ae1') + bytes(504) + '__substg1.0_0037001F'.encode('utf-16-le') + bytes(480))
    write('noise.bin', bytes((i * 7919 >> 3) & 255 for i in range(3000)))
    write('wide.txt', 'Grüße aus Köln.\nÄpfel und Öl.\n'.encode('utf-16'))
    write('wide-bare.txt', 'Plain words in two bytes each, without a mark.\n'.encode('utf-16-le'))
    write('latin1.txt', ('Der Müller fährt über die Brücke. Schöne Grüße an die Käuferin, '
                         'die für größere Mühlen grüne Säcke näht.\n' * 4).encode('latin-1'))
    write('damaged-utf8.txt', ('Größe und Übermut, süße Früchte. ' * 20).encode() + b'\xff\xfe end\n')
    write('marked.txt', b'\xef\xbb\xbfThe mark has three bytes.\n')


# ---- fuzzing seeds: samples behind the byte that chooses the adapter (tests/fuzz/fuzz_extract_*.c) ------

def seeds():
    def part(sample, name):
        with zipfile.ZipFile(os.path.join(HERE, sample)) as z:
            return z.read(name)

    def sample(name):
        with open(os.path.join(HERE, name), 'rb') as f:
            return f.read()

    targets = {
        'text': [(1, sample('notes.md')), (2, sample('guide.rst')), (3, sample('manual.adoc')), (4, sample('todo.org')),
                 (5, sample('paper.tex')), (6, sample('stack.py')), (7, sample('table.csv')[:300]), (8, sample('records.jsonl')),
                 (9, sample('settings.json')), (10, sample('film.srt')), (0, sample('wide.txt')), (0, sample('latin1.txt'))],
        'markup': [(0, sample('page.html')), (0, sample('koi8.html')), (1, sample('letter.rtf')),
                   (2, part('walks.epub', 'OEBPS/two.xhtml'))],
        'mail': [(0, sample('letter.eml')), (1, sample('list.mbox')), (2, sample('study.ipynb'))],
        'archive': [(0, sample('kettle.docx')), (0, sample('files.zip')), (1, sample('lamp.txt.gz')), (1, sample('lamp.txt.zst')),
                    (1, sample('files.tar.gz')), (0, sample('locked.xlsx'))],
        'office': [(0, part('kettle.docx', 'word/document.xml')), (1, part('kettle.docx', 'word/styles.xml')),
                   (2, part('birds.pptx', 'ppt/slides/slide2.xml')), (3, part('samples.xlsx', 'xl/worksheets/sheet1.xml')),
                   (4, part('samples.xlsx', 'xl/sharedStrings.xml')), (5, part('bees.odt', 'content.xml')),
                   (6, part('walks.epub', 'OEBPS/book.opf')), (7, part('walks.epub', 'OEBPS/two.xhtml'))],
    }
    for target, items in targets.items():
        folder = os.path.join(HERE, '..', '..', 'fuzz', 'seeds', 'extract_' + target)
        os.makedirs(folder, exist_ok=True)
        for i, (choice, data) in enumerate(items):
            with open(os.path.join(folder, '%02d' % i), 'wb') as f:
                f.write(bytes([choice]) + data)


if __name__ == '__main__':
    main()
    seeds()
