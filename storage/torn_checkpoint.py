"""A checkpoint that a power cut left half written must not keep a table closed.

`deltalake` writes a checkpoint and then the hint that points to it, and syncs neither; `commit.py`
syncs both afterwards. A power cut in between may leave the hint without its checkpoint, or one
without its bytes. The commit files from the checkpoint before are all there then, since log
cleaning waits for a synced checkpoint: what is torn is only in the way. Delta protocol, section
"Last Checkpoint File".
"""

from __future__ import annotations

import orjson
import pyarrow.parquet as pq
import structlog

from storage.physical import UNREADABLE
from storage.store import Store

log = structlog.get_logger(__name__)

HINT = "_last_checkpoint"


def drop_torn_checkpoint(store: Store, prefix: str) -> bool:
    """Delete checkpoints that cannot be read where the commit files say the same, and let the hint
    point to the newest that can; False where nothing of that is to be done. `prefix`: the table's
    `<name>/_delta_log`."""
    names = {f.path.rsplit("/", 1)[-1] for f in store.list(f"{prefix}/")}
    checkpoints = sorted(n for n in names if n[:20].isdigit() and ".checkpoint" in n)
    torn = [n for n in checkpoints if not _readable(store, f"{prefix}/{n}")]
    whole = [int(n[:20]) for n in checkpoints if n not in torn]
    start = max(whole, default=-1)
    if torn:
        end = max(int(n[:20]) for n in torn)
        needed = {f"{version:020d}.json" for version in range(start + 1, end + 1)}
        if not needed <= names:
            return False  # damaged later: nothing else knows what it said
    elif HINT not in names:
        return False
    log.warning("torn_checkpoint_dropped", path=prefix, torn=torn)
    if start < 0:
        store.delete(f"{prefix}/{HINT}")
    else:  # never without a hint: it says that there is a table where the first commit is gone
        newest = [f"{prefix}/{n}" for n in checkpoints if int(n[:20]) == start]
        size = sum(_rows(store, path) for path in newest)
        store.replace(f"{prefix}/{HINT}", orjson.dumps({"version": start, "size": size}))
    for name in torn:
        store.delete(f"{prefix}/{name}")
    return True


def _rows(store: Store, path: str) -> int:
    with store.open(path) as source, pq.ParquetFile(source) as file:
        return int(file.metadata.num_rows)


def _readable(store: Store, path: str) -> bool:
    try:
        with store.open(path) as source, pq.ParquetFile(source) as file:
            for _batch in file.iter_batches(columns=["add.path"]):
                pass
    except UNREADABLE:
        return False
    return True
