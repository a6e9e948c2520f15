"""One story as models get it, as HTML: how each tokenizer cuts it, the tensors of a framing, who looks at whom."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from itertools import groupby

from storylab.inspection.cells import Cell, Framed, Grid, Look
from storylab.inspection.vocabularies import Piece, visible
from storylab.ui import panels
from storylab.ui.texts import Say

FRAMINGS = {
    "next-token": "stories_next_token",
    "prompt-target": "stories_prompt_target",
    "autoregressive": "stories_autoregressive",
    "packed": "stories_packed",
    "prompt-misaligned": "stories_misaligned",
}
"""The framings by the names that recipes use, with the texts that name them."""
ROLES = {
    "prompt": "stories_prompt",
    "target": "stories_target",
    "special": "stories_special",
    "padding": "stories_padding",
    "learnt": "stories_learnt",
    "ignored": "stories_ignored",
    "seen": "stories_seen",
    "unseen": "stories_unseen",
    "position": "stories_position",
    "begins": "stories_begins",
}
"""What a cell can be, with the texts that name it."""
TENSORS = {
    "input_ids": "stories_input_ids",
    "attention_mask": "stories_attention_mask",
    "decoder_input_ids": "stories_decoder_input_ids",
    "position_ids": "stories_position_ids",
    "labels": "stories_labels",
}
"""The tensors by the names that models take them under, with the texts that explain them."""
LOOKS = {
    "self": "stories_look_self",
    "encoder": "stories_look_encoder",
    "decoder": "stories_look_decoder",
    "cross": "stories_look_cross",
}
EXAMPLES = {"prefix": "stories_prefix", "story": "stories_story", "pack": "stories_pack"}

DETAIL = '<p class="cell-detail quiet" aria-live="polite">{}</p>'
"""Where the script says what the cell under the pointer or the keyboard's focus is."""


def cuts(cut: Iterable[tuple[str, Sequence[Piece]]], say: Say) -> str:
    """A story's pieces, by tokenizer."""
    rows = "".join(_pieces(name, pieces, say) for name, pieces in cut)
    return f"<h3>{escape(say('stories_cuts'))}</h3>{DETAIL.format(escape(say('stories_detail')))}{rows}"


def _pieces(name: str, pieces: Sequence[Piece], say: Say) -> str:
    shown = "".join(_piece(piece, number, say) for number, piece in enumerate(pieces))
    count = say("stories_count" if pieces[0].id is not None else "stories_count_words", count=len(pieces))
    return (
        f'<section class="cut-up" data-roving><h4>{escape(name)} <span>{escape(count)}</span></h4>'
        f'<p lang="en">{shown}</p></section>'
    )


def _piece(piece: Piece, number: int, say: Say) -> str:
    about = say("stories_word_id") if piece.id is None else say("stories_id", id=piece.id)
    focus = "" if number else ' tabindex="0"'
    return f'<span data-cell title="{escape(about)}"{focus}>{escape(visible(piece.text))}</span>'


def framed(batch: Framed, say: Say) -> str:
    """The tensors of a batch, what their colours mean, and the pictures of who looks at whom."""
    key = FRAMINGS[batch.name]
    share = batch.padding / batch.read
    facts = say("stories_facts", labels=batch.labels, positions=batch.read, padding=batch.padding, share=share)
    groups = "".join(_group(list(some), batch, say) for _, some in groupby(batch.tensors, key=lambda grid: grid.axes))
    looks = "".join(_look(look, say) for look in batch.looks)
    wrong = ' class="mistake" role="note"' if batch.name == "prompt-misaligned" else ""
    return (
        f"<p{wrong}>{escape(say(f'{key}_about'))}</p><p><b>{escape(facts)}</b></p>{_legend(batch, say)}"
        f"{DETAIL.format(escape(say('stories_detail')))}{groups}"
        f'<h3>{escape(say("stories_looks"))}</h3><p class="quiet">{escape(say("stories_looks_about"))}</p>'
        f'<div class="looks">{looks}</div>'
    )


def _legend(batch: Framed, say: Say) -> str:
    """What the colours in a batch mean, those alone that are in it."""
    cells = [cell for grid in batch.tensors for row in grid.rows for cell in row]
    there = {cell.role for cell in cells} | {"learnt"}
    there |= {"begins"} if any(cell.begins for cell in cells) else set()
    items = (
        f'<li><i class="{role}" aria-hidden="true"></i>{_term(say(key), say(f"{key}_about"))}</li>'
        for role, key in ROLES.items()
        if role in there
    )
    return f'<ul class="roles" aria-label="{escape(say("stories_legend"))}">{"".join(items)}</ul>'


def _term(words: str, about: str) -> str:
    return f'<span class="term" tabindex="0" title="{escape(about)}">{escape(words)}</span>'


def _group(grids: Sequence[Grid], batch: Framed, say: Say) -> str:
    """Tensors that stand under each other, position by position, example by example."""
    shapes = ", ".join(f"{grid.name} ({' × '.join(map(str, grid.shape))})" for grid in grids)
    grids = [grid for grid in grids if grid.rows]
    if not grids:
        return f'<p class="shape"><code>{escape(shapes)}</code> {escape(say("stories_as_picture"))}</p>'
    width = grids[0].shape[-1]
    head = "".join(f"<th>{number}</th>" for number in range(width)) if width > 1 else "<td></td>"
    body = "".join(_example(number, grids, batch, say) for number in range(len(grids[0].rows)))
    table = (
        f'<table class="tensor" data-roving><thead><tr><th scope="row">{escape(say("stories_positions"))}</th>'
        f"{head}</tr></thead>{body}</table>"
    )
    return f'<p class="shape"><code>{escape(shapes)}</code></p>{panels.region(shapes, table)}'


def _example(number: int, grids: Sequence[Grid], batch: Framed, say: Say) -> str:
    """One example of a batch: its row of each tensor."""
    name = f"{say(EXAMPLES[batch.example])} {number + 1}"
    rows = "".join(
        f'<tr><th scope="row">{escape(name) if not place else ""} {_term(grid.name, say(TENSORS[grid.name]))}</th>'
        f"{_cells(grid, number, not number and not place, say)}</tr>"
        for place, grid in enumerate(grids)
    )
    return f"<tbody>{rows}</tbody>"


def _cells(grid: Grid, number: int, first: bool, say: Say) -> str:
    cells = (_cell(cell, grid.name == "labels", say) for cell in grid.rows[number])
    row = "".join(cells)
    return row.replace("<td ", '<td tabindex="0" ', 1) if first else row


def _cell(cell: Cell, label: bool, say: Say) -> str:
    learnt = label and cell.role != "ignored"
    classes = cell.role + (" learnt" if learnt else "") + (" begins" if cell.begins else "")
    about = say(ROLES[cell.role]) + (f", {say(ROLES['learnt'])}" if learnt else "")
    about += f", {say(ROLES['begins'])}" if cell.begins else ""
    return (
        f'<td data-cell class="{classes}" title="{escape(say("stories_id", id=cell.id))} · {escape(about)}">'
        f"{escape(visible(cell.text))}</td>"
    )


def _look(look: Look, say: Say) -> str:
    """A picture with a square for each pair of positions, filled where the one of the row may look."""
    rows, columns = len(look.allowed), len(look.allowed[0])
    path = "".join(_runs(number, row) for number, row in enumerate(look.allowed))
    name = say(LOOKS[look.name])
    about = say("stories_look_size", rows=rows, columns=columns)
    return (
        f'<figure><svg role="img" aria-label="{escape(name)}" viewBox="0 0 {columns} {rows}" '
        f'style="aspect-ratio:{columns}/{rows}"><rect width="{columns}" height="{rows}"/><path d="{path}"/></svg>'
        f"<figcaption>{escape(name)} <span>{escape(about)}</span></figcaption></figure>"
    )


def _runs(number: int, row: Sequence[bool]) -> str:
    """The filled squares of a row as a path, neighbours together."""
    path, column = "", 0
    for filled, some in groupby(row):
        width = len(list(some))
        if filled:
            path += f"M{column} {number}h{width}v1h-{width}z"
        column += width
    return path
