"""Turning benchmarks that researchers have on disk into tables of learning curves."""

from __future__ import annotations

from pathlib import Path

from graphbo.errors import InputError
from graphbo.importers.nasbench101 import read_nasbench101
from graphbo.importers.natsbench import read_natsbench
from graphbo.importers.stream import Progress, no_progress

__all__ = ["import_tables", "read_nasbench101", "read_natsbench"]


def import_tables(
    source: str | Path, output: str | Path, progress: Progress = no_progress
) -> list[Path]:
    """Import a benchmark and write its tables.

    Args:
        source: Of NATS-Bench (topology): the folder ``NATS-tss-...-simple``, the file
            ``NATS-tss-*.pickle.pbz2`` or the older ``NAS-Bench-201-*.pth``. Of NAS-Bench-101: the
            file ``nasbench_only108.tfrecord`` or ``nasbench_full.tfrecord``.
        output: The folder to write to, one file ``<name of the problem>.npz`` for each table. Each
            appears only when it is complete.
        progress: Called with how much has been read, and of how much.

    Returns:
        The files written.

    Raises:
        InputError: If the source is none of these or is damaged, or the output is no folder.
    """
    source, output = Path(source), Path(output)
    if output.suffix == ".npz" or output.is_file():
        raise InputError(f"the tables are written to a folder; {output} is a file")
    if not source.exists():
        raise InputError(f"there is no file or folder {source}")
    if source.is_dir() or source.suffix in (".pbz2", ".pth"):
        tables = read_natsbench(source, progress)
    elif source.suffix == ".tfrecord":
        tables = [read_nasbench101(source, progress)]
    else:
        raise InputError(
            f"{source} is no benchmark that can be imported: a folder NATS-tss-...-simple, or a "
            "file *.pickle.pbz2, *.pth or *.tfrecord"
        )
    files = []
    for table in tables:
        files.append(output / f"{table.name}.npz")
        table.write(files[-1])
    return files
