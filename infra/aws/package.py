"""Lays out what `sam deploy` needs: the template and a folder with `bootstrap` for each function.

For AWS, `sam build` does this with cargo-lambda, which compiles every dependency once more for Amazon Linux (about five minutes on two cores).
A test need not pay for that: the release binaries of the workspace are the same programs, and `unfit_for_lambda` shows that they would start on
Amazon Linux 2023 too, as long as they ask for no newer glibc and no library that its image lacks.
"""

import platform
import re
import shutil
import subprocess
from pathlib import Path

# provided.al2023 has glibc 2.34 and little else.
NEWEST_GLIBC = (2, 34)
LIBRARIES = {"libc.so.6", "libm.so.6", "libgcc_s.so.1", "libpthread.so.0", "libdl.so.2", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}

FUNCTIONS = {"functions/api": "api-function", "functions/finetune": "finetune-function"}


def architecture():
    """This machine's processor, as Lambda calls it."""
    return {"x86_64": "x86_64", "aarch64": "arm64"}[platform.machine()]


def assemble(root, folder):
    """Writes the deployable folder; returns the template's path."""
    for code_uri, binary in FUNCTIONS.items():
        target = folder / code_uri
        target.mkdir(parents=True)
        shutil.copy(root / "target/release" / binary, target / "bootstrap")
    template = (root / "template.yaml").read_text(encoding="utf-8")
    # The emulator keeps a number that comes by a parameter as text, and then cannot compare it (ministack 1.5.33).
    (folder / "template.yaml").write_text(template.replace("!Ref MaximumConcurrency", "2"), encoding="utf-8")
    return folder / "template.yaml"


def unfit_for_lambda(binary):
    """What `binary` needs and provided.al2023 lacks."""
    versions = {tuple(map(int, found)) for found in re.findall(rb"GLIBC_(\d+)\.(\d+)", Path(binary).read_bytes())}
    dynamic = subprocess.run(["readelf", "--dynamic", "--wide", binary], check=True, capture_output=True, text=True).stdout
    libraries = set(re.findall(r"\(NEEDED\).*\[(.+)\]", dynamic))
    newer = {f"glibc {major}.{minor}" for major, minor in versions if (major, minor) > NEWEST_GLIBC}
    return sorted(newer | (libraries - LIBRARIES))
