#!/usr/bin/env python3
"""Makes the documents of this directory: one of each format, with an invented word in every place where text can stand.

    pip install openpyxl python-pptx python-docx odfpy EbookLib reportlab xlwt pypdf
    python make.py

`words.json` says which word stands in which file. They are committed, so that a test needs none of these packages.
"""

import io
import json
import pathlib
import tarfile
import zipfile
from email.message import EmailMessage

import docx
import openpyxl
import pptx
import pypdf
import xlwt
from ebooklib import epub
from odf import draw, office, style, table, text as odf_text
from odf.opendocument import OpenDocumentPresentation, OpenDocumentSpreadsheet, OpenDocumentText
from openpyxl.comments import Comment
from pypdf.annotations import FreeText
from pptx.util import Inches
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.pdfgen import canvas
from reportlab.platypus import Paragraph, SimpleDocTemplate, Table

HERE = pathlib.Path(__file__).parent
WORDS: dict[str, dict[str, str]] = {}
SYLLABLES = ["zor", "bla", "quix", "vem", "tro", "plu", "grim", "sna", "wolf", "dre", "kip", "mox"]


def word(file: str, place: str) -> str:
    """A word that no other place has."""
    number = sum(len(places) for places in WORDS.values())
    made = SYLLABLES[number % 12] + SYLLABLES[number // 12 % 12] + SYLLABLES[(number * 5 + 3) % 12] + "ax"
    WORDS.setdefault(file, {})[place] = made
    return made


def save(name: str, content: bytes | str) -> None:
    (HERE / name).write_bytes(content.encode() if isinstance(content, str) else content)


def make_docx() -> None:
    file = "letter.docx"
    made = docx.Document()
    made.add_heading(f"The {word(file, 'heading')}", 1)
    made.add_paragraph(f"It stands by the {word(file, 'paragraph')}.")
    grid = made.add_table(2, 2)
    grid.cell(0, 0).text, grid.cell(1, 1).text = "sack", word(file, "table cell")
    made.sections[0].header.paragraphs[0].text = word(file, "page header")
    made.sections[0].footer.paragraphs[0].text = word(file, "page footer")
    made.save(HERE / file)


def make_pptx() -> None:
    file = "talk.pptx"
    made = pptx.Presentation()
    for number in (1, 2):
        slide = made.slides.add_slide(made.slide_layouts[1])
        slide.shapes.title.text = word(file, f"title of slide {number}")
        slide.placeholders[1].text = word(file, f"text of slide {number}")
        slide.notes_slide.notes_text_frame.text = word(file, f"notes of slide {number}")
    grid = slide.shapes.add_table(2, 2, Inches(1), Inches(4), Inches(4), Inches(1)).table
    grid.cell(0, 0).text, grid.cell(1, 1).text = "head", word(file, "table cell")
    made.save(HERE / file)


def make_sheets() -> None:
    file = "stock.xlsx"
    made = openpyxl.Workbook()
    made.active.title = word(file, "name of the first sheet")
    made.active.append(["grain", "sacks"])
    made.active.append([word(file, "cell of the first sheet"), 7])
    second = made.create_sheet("Second")
    second["C5"] = word(file, "cell of the second sheet")
    second["A1"].comment = Comment(word(file, "comment"), "miller")
    made.save(HERE / file)
    file = "old.xls"
    made = xlwt.Workbook()
    for number in (1, 2):
        sheet = made.add_sheet(f"Sheet {number}")
        sheet.write(1, 1, word(file, f"cell of sheet {number}"))
    made.save(str(HERE / file))
    file = "open.ods"
    made = OpenDocumentSpreadsheet()
    for number in (1, 2):
        sheet = table.Table(name=f"Sheet {number}")
        row = table.TableRow()
        cell = table.TableCell(valuetype="string")
        cell.addElement(odf_text.P(text=word(file, f"cell of sheet {number}")))
        row.addElement(cell)
        sheet.addElement(row)
        made.spreadsheet.addElement(sheet)
    made.save(str(HERE / file))


def make_open_documents() -> None:
    file = "report.odt"
    made = OpenDocumentText()
    made.text.addElement(odf_text.H(outlinelevel=1, text=word(file, "heading")))
    made.text.addElement(odf_text.P(text=word(file, "paragraph")))
    grid, row = table.Table(name="T"), table.TableRow()
    cell = table.TableCell()
    cell.addElement(odf_text.P(text=word(file, "table cell")))
    row.addElement(cell)
    grid.addElement(row)
    made.text.addElement(grid)
    note = odf_text.Note(noteclass="footnote", id="n1")
    note.addElement(odf_text.NoteCitation(text="1"))
    body = odf_text.NoteBody()
    body.addElement(odf_text.P(text=word(file, "footnote")))
    note.addElement(body)
    paragraph = odf_text.P(text="with a note")
    paragraph.addElement(note)
    made.text.addElement(paragraph)
    made.save(str(HERE / file))
    file = "slides.odp"
    made = OpenDocumentPresentation()
    layout = style.PageLayout(name="L")
    made.automaticstyles.addElement(layout)
    master = style.MasterPage(name="M", pagelayoutname=layout)
    made.masterstyles.addElement(master)
    for number in (1, 2):
        page = draw.Page(masterpagename=master, name=f"p{number}")
        frame = draw.Frame(width="10cm", height="3cm", x="1cm", y="1cm")
        box = draw.TextBox()
        box.addElement(odf_text.P(text=word(file, f"text of slide {number}")))
        frame.addElement(box)
        page.addElement(frame)
        made.presentation.addElement(page)
    made.save(str(HERE / file))


def make_pdf() -> None:
    file = "flyer.pdf"
    plain = io.BytesIO()
    styles = getSampleStyleSheet()
    grid = Table([["sort", "price"], [word(file, "table cell"), "7"]])
    SimpleDocTemplate(plain, pagesize=A4).build(
        [Paragraph(word(file, "heading"), styles["Heading1"]), Paragraph(word(file, "paragraph"), styles["Normal"]), grid]
    )
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(plain.getvalue()))
    note = FreeText(text=word(file, "annotation"), rect=(50, 550, 200, 650))
    writer.add_annotation(page_number=0, annotation=note)
    writer.write(HERE / file)
    file = "form.pdf"
    made = io.BytesIO()
    page = canvas.Canvas(made, pagesize=A4)
    page.drawString(72, 760, word(file, "text beside the form"))
    page.acroForm.textfield(name="miller", value=word(file, "form field"), x=72, y=700, width=200, height=20)
    page.showPage()
    page.drawString(72, 760, word(file, "second page"))
    page.save()
    save(file, made.getvalue())


def make_book() -> None:
    file = "book.epub"
    made = epub.EpubBook()
    made.set_identifier("docmill-test")
    made.set_title(word(file, "title"))
    made.set_language("en")
    chapters = []
    for number in (1, 2):
        chapter = epub.EpubHtml(title=f"Chapter {number}", file_name=f"c{number}.xhtml", lang="en")
        chapter.content = f"<html><body><h1>Chapter {number}</h1><p>{word(file, f'chapter {number}')}</p></body></html>"
        made.add_item(chapter)
        chapters.append(chapter)
    made.toc, made.spine = chapters, chapters
    made.add_item(epub.EpubNcx())
    epub.write_epub(HERE / file, made)


def make_mail() -> None:
    file = "order.eml"
    made = EmailMessage()
    made["From"], made["To"], made["Date"] = "ada@example.org", "mill@example.org", "Mon, 02 Mar 2026 10:00:00 +0000"
    made["Subject"] = f"About the {word(file, 'subject')}"
    made.set_content(f"Please send the {word(file, 'body')}.\n")
    inside = "order.eml#member=note.txt"
    made.add_attachment(word(inside, "attachment").encode(), maintype="text", subtype="plain", filename="note.txt")
    inside = "order.eml#member=price.csv"
    made.add_attachment(f"a,b\n1,{word(inside, 'attachment')}\n".encode(), maintype="text", subtype="csv",
                        filename="price.csv")
    save(file, made.as_bytes())


def make_texts() -> None:
    for file, content in {
        "page.html": "<html><head><title>{title}</title></head><body><h1>{heading}</h1><p>{paragraph}</p>"
                     "<table><tr><td>{table cell}</td></tr></table></body></html>",
        "notes.md": "# {heading}\n\n{paragraph}\n\n| a | b |\n|---|---|\n| 1 | {table cell} |\n\n```\n{code block}\n```\n",
        "plain.txt": "{first line}\n\n{last line}\n",
        "rows.csv": "{head},b\n1,{cell}\n",
        "rows.tsv": "{head}\tb\n1\t{cell}\n",
        "data.json": '{{"{key}": ["{value}"]}}\n',
        "lines.jsonl": '{{"a": "{first line}"}}\nnot json {broken line}\n{{"a": "{last line}"}}\n',
        "data.xml": '<?xml version="1.0"?>\n<mill><sort name="{attribute}">{text}</sort></mill>\n',
        "settings.yaml": "mill:\n  {key}: {value}\n",
        "paper.rtf": r"{{\rtf1\ansi\deff0{{\fonttbl{{\f0 Times;}}}}{{\info{{\title {title}}}}}\pard {paragraph}\par"
                     r"\trowd\cellx2000\cellx4000 a\cell {table cell}\cell\row}}",
        "lesson.ipynb": '{{"nbformat": 4, "nbformat_minor": 5, "metadata": {{"kernelspec": {{"name": "python3", '
                        '"language": "python", "display_name": "x"}}}}, "cells": [{{"cell_type": "markdown", "id": "a", '
                        '"metadata": {{}}, "source": ["# {heading}"]}}, {{"cell_type": "code", "id": "b", "metadata": '
                        '{{}}, "execution_count": 1, "source": ["print({code})"], "outputs": [{{"output_type": '
                        '"stream", "name": "stdout", "text": ["{output}"]}}]}}]}}',
        "tool.py": '"""{doc}"""\n\n\ndef {function}():\n    return "{string}"\n',
        "tool.rs": "//! {doc}\n\nfn {function}() {{}}\n",
        "tool.go": "package tool\n\n// {comment}\nfunc {function}() {{}}\n",
        "Tool.java": "/** {doc} */\nclass Tool {{ void {method}() {{}} }}\n",
        "tool.ts": "/** {doc} */\nexport function {function}(): void {{}}\n",
        "tool.cpp": "// {comment}\nclass Tool {{ void {method}(); }};\n",
    }.items():
        import string
        places = [place for _, place, _, _ in string.Formatter().parse(content) if place]
        save(file, content.format(**{place: word(file, place) for place in places}))


def make_archives() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner/in.txt", word("bundle.zip#member=inner/in.txt", "member"))
        archive.writestr("page.html", f"<p>{word('bundle.zip#member=page.html', 'member')}</p>")
        archive.write(HERE / "stock.xlsx", "stock.xlsx")
    save("bundle.zip", packed.getvalue())
    with tarfile.open(HERE / "bundle.tar.gz", "w:gz") as archive:
        content = word("bundle.tar.gz#member=deep/er.txt", "member").encode()
        entry = tarfile.TarInfo("deep/er.txt")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))


if __name__ == "__main__":
    for make in (make_docx, make_pptx, make_sheets, make_open_documents, make_pdf, make_book, make_mail, make_texts,
                 make_archives):
        make()
    save("words.json", json.dumps(WORDS, indent=1) + "\n")
