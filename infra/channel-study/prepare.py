"""Writes the study's corpora as plain text: e2e (a description a line) and shakespeare (a speech a paragraph).

    python3 prepare.py E2E_FOLDER TINYSHAKESPEARE.TXT OUT_FOLDER

E2E_FOLDER holds trainset.csv.gz, devset.csv.gz and testset_w_refs.csv.gz of the E2E NLG challenge. The plays are parted
80:10:10 in their order, so that no scene lies on both sides.
"""

import csv
import gzip
import pathlib
import sys

e2e, plays, out = map(pathlib.Path, sys.argv[1:])
out.mkdir(parents=True, exist_ok=True)
for source, part in [("trainset", "train"), ("devset", "validation"), ("testset_w_refs", "test")]:
    with gzip.open(e2e / f"{source}.csv.gz", "rt", encoding="utf-8") as file:
        refs = [" ".join(row["ref"].split()) for row in csv.DictReader(file)]
    (out / f"e2e-{part}.txt").write_text("\n".join(dict.fromkeys(refs)) + "\n", encoding="utf-8")
speeches = [s.strip() for s in plays.read_text(encoding="utf-8").split("\n\n") if s.strip()]
cuts = [0, len(speeches) * 8 // 10, len(speeches) * 9 // 10, len(speeches)]
for part, start, end in zip(["train", "validation", "test"], cuts, cuts[1:]):
    (out / f"shakespeare-{part}.txt").write_text("\n\n".join(speeches[start:end]) + "\n", encoding="utf-8")
