"""Parquet files of images in Hugging Face's layout: a column of encoded files, one of labels.

pyarrow reads them; it comes with Streamlit.
"""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from gan.data.archives import LARGEST_FILE, MOST_ENTRIES, Member
from gan.data.names import class_names

SUFFIX = ".parquet"
LARGEST_GROUP = 2**30  # bytes of a row group, which is read at once
IMAGES, LABELS = ("image", "img", "images", "jpg", "png"), ("label", "labels", "fine_label", "class", "target")


class Table:
    """A Parquet file of encoded images.

    Attributes:
        members: one member per image, in the file's order.
        classes: names of the classes; empty if there are none.
        numbers: the class of each image; zeros if there are none.
    """

    def __init__(self, path: Path) -> None:
        """
        Raises:
            ValueError: it cannot be read, or has no images; the message names the file.
        """
        try:
            from pyarrow import ArrowException, parquet
        except ImportError:
            raise ValueError(f"{path} is a Parquet file, and reading it needs pyarrow (pip install pyarrow)") from None
        try:
            self._file = parquet.ParquetFile(path)
            self._open(path)
        except (ArrowException, OSError) as error:
            raise ValueError(f"{path} is not a Parquet file, or is cut short or damaged ({str(error).splitlines()[0][:200]})") from None

    def _open(self, path: Path) -> None:
        schema, meta = self._file.schema_arrow, self._file.metadata
        self._column = next((name for name in IMAGES if name in schema.names), None)
        if self._column is None or not _holds_files(schema.field(self._column).type):
            raise ValueError(
                f"{path} holds no column of image files (its columns: {', '.join(schema.names[:10])}): save them as files in a folder"
            )
        if meta.num_rows > MOST_ENTRIES:
            raise ValueError(f"{path} holds {meta.num_rows:,} images; the limit is {MOST_ENTRIES:,}: split it")
        largest = max((meta.row_group(i).total_byte_size for i in range(meta.num_row_groups)), default=0)
        if largest > LARGEST_GROUP:
            raise ValueError(
                f"{path} has row groups of {largest / 2**30:.1f} GiB; the limit is {LARGEST_GROUP / 2**30:.0f} GiB: write smaller ones"
            )
        self.members = [
            Member((f"row {group}-{row}",), 0, 0, (group, row))
            for group in range(meta.num_row_groups)
            for row in range(meta.row_group(group).num_rows)
        ]
        self.classes, self.numbers = self._labels()
        self._group = lru_cache(1)(self._read_group)

    def _labels(self) -> tuple[list[str], list[int]]:
        import pyarrow

        schema, none = self._file.schema_arrow, [0] * len(self.members)
        column = next((name for name in LABELS if name in schema.names), None)
        if column is None or not (
            pyarrow.types.is_integer(schema.field(column).type) or pyarrow.types.is_string(schema.field(column).type)
        ):
            return [], none
        values = self._file.read([column]).column(column).to_pylist()
        if None in values or len(set(values)) > 1000:
            return [], none
        names = _written_names(schema.metadata or {}, column)
        if names and all(isinstance(value, int) and 0 <= value < len(names) for value in values):
            return class_names(names), values
        names_found = sorted(set(values))
        place = {value: i for i, value in enumerate(names_found)}
        return class_names([str(value) for value in names_found]), [place[value] for value in values]

    def _read_group(self, group: int) -> Any:
        return self._file.read_row_group(group, [self._column]).column(self._column)

    def read(self, member: Member) -> bytes | str:
        """An image file's content, or a sentence that says why there is none."""
        group, row = member.source
        value = self._group(group)[row].as_py()
        content = value.get("bytes") if isinstance(value, dict) else value
        if not isinstance(content, bytes):
            return "holds a path instead of an image" if isinstance(value, dict) else "is empty"
        return content if len(content) <= LARGEST_FILE else f"has {len(content) / 2**20:,.0f} MiB; the limit is {LARGEST_FILE // 2**20} MiB"


def _holds_files(kind: Any) -> bool:
    """Whether a column's type is bytes or Hugging Face's {bytes, path}."""
    from pyarrow import types

    if types.is_struct(kind):
        return any(kind.field(i).name == "bytes" for i in range(kind.num_fields))
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _written_names(metadata: dict[bytes, bytes], column: str) -> list[str]:
    """The class names that Hugging Face writes into a file; empty if there are none."""
    try:
        names = json.loads(metadata[b"huggingface"])["info"]["features"][column]["names"]
    except (KeyError, TypeError, ValueError):
        return []
    distinct = isinstance(names, list) and all(isinstance(name, str) for name in names) and len(set(names)) == len(names) <= 1000
    return names if distinct else []
