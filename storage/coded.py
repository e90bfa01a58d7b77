"""Text columns as codes into a dictionary, on their way into a file.

Most text repeats. A writer may hand over a column, or the keys and values of a map, as an Arrow
DictionaryArray: Parquet's writer then takes dictionary and codes as they are and hashes nothing.
Only the way into the file is different; what a reader sees is the same. A dictionary holds no value
twice and no NULL.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def plain_type(type_: pa.DataType) -> pa.DataType:
    """The type without codes, at any depth."""
    if pa.types.is_dictionary(type_):
        return type_.value_type
    if pa.types.is_map(type_):
        return pa.map_(
            type_.key_field.with_type(plain_type(type_.key_type)),
            type_.item_field.with_type(plain_type(type_.item_type)),
        )
    return type_


def plain(values: pa.Array) -> pa.Array:
    """The array without codes: text for columns, and for keys and values of maps."""
    if pa.types.is_dictionary(values.type):
        return values.dictionary.take(values.indices)
    if pa.types.is_map(values.type) and plain_type(values.type) != values.type:
        if values.offset:
            values = pa.concat_arrays([values])
        return map_of(values, plain(values.keys), plain(values.items))
    return values


def is_valid(values: pa.Array) -> npt.NDArray[np.bool_]:
    """Which values are not NULL: the bits of the array, not a pass of Arrow over each of them."""
    rows = len(values)
    if not values.null_count:
        return np.ones(rows, dtype=np.bool_)
    bits = values.buffers()[0]
    if bits is None:  # of the type that has no values
        return np.zeros(rows, dtype=np.bool_)
    end = values.offset + rows
    known = np.unpackbits(np.frombuffer(bits, dtype=np.uint8), count=end, bitorder="little")
    return known[values.offset :].view(np.bool_)


def plain_batch(batch: pa.RecordBatch) -> pa.RecordBatch:
    return _batch(batch.schema, [plain(column) for column in batch.columns])


def map_of(like: pa.Array, keys: pa.Array, items: pa.Array) -> pa.Array:
    """The maps of `like`, which is no slice, with other keys and items, entry for entry."""
    type_ = like.type
    key, item = type_.key_field.with_type(keys.type), type_.item_field.with_type(items.type)
    entries = pa.StructArray.from_arrays([keys, items], fields=[key, item])
    buffers = like.buffers()[:2]
    return pa.Array.from_buffers(
        pa.map_(key, item), len(like), buffers, like.null_count, like.offset, [entries]
    )


def set_column(batch: pa.RecordBatch, name: str, values: pa.Array) -> pa.RecordBatch:
    """The batch with another column under the name, coded or not."""
    index = batch.schema.get_field_index(name)
    return batch.set_column(index, batch.schema.field(index).with_type(values.type), values)


def concat_coded(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """Rows of all batches, which differ at most in which of their columns are coded."""
    if len(batches) == 1:
        return batches[0]
    columns = [_concat(parts) for parts in zip(*(b.columns for b in batches), strict=True)]
    return _batch(batches[0].schema, columns)


def concat_tables(tables: Sequence[pa.Table]) -> pa.Table:
    """The same for tables; nothing but codes is copied."""
    if any(table.schema != tables[0].schema for table in tables):
        columns = []
        for parts in zip(*(table.columns for table in tables), strict=True):
            chunks = [chunk for part in parts for chunk in part.chunks]
            if len({part.type for part in parts}) > 1:
                chunks = [plain(chunk) for chunk in chunks]
            columns.append(pa.chunked_array(chunks, chunks[0].type))
        return pa.Table.from_arrays(columns, schema=schema_of(tables[0].schema, columns))
    # One dictionary for all of a column: Parquet's writer gives up on codes where it changes.
    return pa.concat_tables(tables).unify_dictionaries()


def schema_of(schema: pa.Schema, columns: Sequence[pa.Array | pa.ChunkedArray]) -> pa.Schema:
    """The schema with the types that the columns have."""
    fields = zip(schema, columns, strict=True)
    return pa.schema([field.with_type(column.type) for field, column in fields])


def _batch(schema: pa.Schema, columns: Sequence[pa.Array]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(columns, schema=schema_of(schema, columns))


def _concat(parts: Sequence[pa.Array]) -> pa.Array:
    if len({part.type for part in parts}) > 1:
        parts = [plain(part) for part in parts]
    return pa.concat_arrays(parts)
