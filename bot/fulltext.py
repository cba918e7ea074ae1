"""Full-text search over checks, incidents and notes, kept in the transaction of what it indexes.

`texts` holds the words; `texts_index` is an FTS5 index over it. Where SQLite has no FTS5, each word is looked for in
`texts` itself: slower, and the answer says so. An index that missed something meanwhile is rebuilt when it is back.
"""

from __future__ import annotations

import re
import sqlite3
from functools import cached_property
from typing import Any, Literal, TypeAlias

from bot.ledger import Ledger
from bot.rows import like

Kind: TypeAlias = Literal["check", "incident"]
_TOKEN = re.compile(r"[^\W_]+")
_INDEX = (
    "create virtual table if not exists texts_index using fts5"
    "(body, content='texts', content_rowid='id', tokenize='unicode61 remove_diacritics 2')"
)


class FullText(Ledger):
    """What the memory can be asked for by words."""

    @property
    def has_index(self) -> bool:
        """Whether words are found by an index, by their beginnings; otherwise anywhere in the text."""
        return self._is_indexed

    @cached_property
    def _is_indexed(self) -> bool:
        try:
            self._db.execute(_INDEX)
        except sqlite3.OperationalError:  # no such module: fts5
            return False
        return True

    def _prepare(self) -> None:
        if self._is_indexed:
            counts = "select (select count(*) from texts), (select count(*) from texts_index_docsize)"
            texts, indexed = self._db.execute(counts).fetchone()
            if texts != indexed:
                self._db.execute("insert into texts_index (texts_index) values ('rebuild')")

    def _index(self, kind: Kind, ref: int, part: int, body: str) -> None:
        """*body* is what *part* (0, or a note's number) of the thing says now."""
        self._unindex(kind, ref, part)
        cursor = self._db.execute(
            "insert into texts (kind, ref, part, body) values (?, ?, ?, ?)", (kind, ref, part, body)
        )
        if self._is_indexed:
            self._db.execute("insert into texts_index (rowid, body) values (?, ?)", (cursor.lastrowid, body))

    def _unindex(self, kind: Kind, ref: int, part: int) -> None:
        rows = self._rows("select id, body from texts where kind = ? and ref = ? and part = ?", kind, ref, part)
        for row in rows:
            if self._is_indexed:
                self._db.execute(
                    "insert into texts_index (texts_index, rowid, body) values ('delete', ?, ?)",
                    (row["id"], row["body"]),
                )
            self._db.execute("delete from texts where id = ?", (row["id"],))

    def _matching(self, kind: Kind, asked: str) -> tuple[str, tuple[Any, ...]]:
        """A subquery for the numbers of the things of *kind* whose texts hold all words *asked*, and its values."""
        if not asked.strip():
            return "select ref from texts where kind = ?", (kind,)
        phrases = [tokens for chunk in asked.split() if (tokens := _TOKEN.findall(chunk))]
        if self._is_indexed and phrases:
            # A host name is a phrase of its labels; each phrase may go on, as typing does.
            query = " ".join(f'"{" ".join(tokens)}"*' for tokens in phrases)
            matched = "select rowid from texts_index where texts_index match ?"
            return f"select ref from texts where kind = ? and id in ({matched})", (kind, query)  # noqa: S608 - ours
        chunks = asked.split()
        tests = " and body like ? escape '\\'" * len(chunks)
        return f"select ref from texts where kind = ?{tests}", (kind, *(like(chunk) for chunk in chunks))  # noqa: S608
