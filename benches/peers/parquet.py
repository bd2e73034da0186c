"""Reads what `lookalike export --format parquet` wrote with pyarrow, and compares it with `--format npy`.

    lookalike export --format parquet tables
    lookalike export --format npy arrays
    python benches/peers/parquet.py tables arrays

Needs pyarrow and numpy.
"""

import json
import pathlib
import sys

import numpy
import pyarrow
import pyarrow.parquet

tables, arrays = map(pathlib.Path, sys.argv[1:])
lines = [json.loads(line) for line in open(arrays / "images.jsonl")]
spaces = {line["number"]: line["space"] for line in lines if line["kind"] == "space"}
images = [line for line in lines if line["kind"] == "image"]
assert spaces, "nothing was exported"
for number, space in spaces.items():
    kind = "images" if space["name"] == "content" else "objects"
    path = tables / f"{kind}-{number}.parquet"
    file = pyarrow.parquet.ParquetFile(path)
    table = file.read()
    table.validate(full=True)
    expected = numpy.load(arrays / f"embeddings-{number}.npy").astype(numpy.float32)
    embedding = table.schema.field("embedding").type
    assert pyarrow.types.is_fixed_size_list(embedding), embedding
    assert (embedding.list_size, embedding.value_type) == (space["dimension"], pyarrow.float32())
    flat = table["embedding"].combine_chunks().flatten().to_numpy()
    assert numpy.array_equal(flat.reshape(-1, space["dimension"]), expected)
    assert file.metadata.metadata[b"model"].decode() == space["model"]
    if kind == "images":
        own = [line for line in images if any(e["space"] == number for e in line["embeddings"])]
        assert table["hash"].to_pylist() == [line["image"]["hash"] for line in own]
        assert table["label"].to_pylist() == [line["label"] for line in own]
        assert table["width_px"].to_pylist() == [line["image"]["width_px"] for line in own]
        assert all(path is None or isinstance(path, str) for path in table["path"].to_pylist())
    else:
        found = [
            thing for line in images for objects in line.get("objects", [])
            if objects["space"] == number for thing in objects["found"]
        ]
        assert table["class"].to_pylist() == [thing["class"] for thing in found]
        scores = numpy.float32([thing["score"] for thing in found])
        assert numpy.array_equal(table["score"].to_numpy(), scores)
    print(f"{path.name}: {table.num_rows} rows, {table.num_columns} columns, {embedding}")
