"""Taking files into the index, against b3sum: 10,000 small files, one 2 GB file, and a second look.

usage: hashing.py [SMALL_FILES] [BIG_MB] [RUNS]
"""

import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

from common import SULCUS, in_turns, report, seconds

WORKFLOW = "stages:\n  count:\n    uses: command\n    with: {{ run: 'echo {what} > {what}.txt', reads: [{what}], writes: {what}.txt }}\n"


def main():
    small = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    big = int(sys.argv[2]) if len(sys.argv) > 2 else 2048
    runs = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    draw = random.Random(7)
    with tempfile.TemporaryDirectory() as base:
        base = pathlib.Path(base)
        for what in ("small", "big"):
            folder = base / f"project-{what}" / what
            folder.mkdir(parents=True)
            (folder.parent / "sulcus.yaml").write_text(WORKFLOW.format(what=what))
        for i in range(small):
            (base / "project-small" / "small" / f"{i:06}").write_bytes(draw.randbytes(1024 + i % 1024))
        with open(base / "project-big" / "big" / "big.bin", "wb") as file:
            for _ in range(big):
                file.write(draw.randbytes(1 << 20))
        for what, shown in (("small", f"{small} small files"), ("big", f"one file of {big} MB")):
            project = base / f"project-{what}"
            peer = f"find {what} -type f -print0 | xargs -0 b3sum"
            sides = {"sulcus": ([SULCUS, "run", "-q"], project), "b3sum": (["sh", "-c", peer], project)}

            def forget(name):
                if name == "sulcus":
                    shutil.rmtree(project / ".sulcus", ignore_errors=True)
                    (project / ".sulcus").mkdir()

            subprocess.run(["sh", "-c", f"cat {what}/* > /dev/null"], cwd=project, check=True)
            taken = in_turns(sides, runs, forget)
            report(shown, taken["sulcus"], taken["b3sum"], "b3sum")
            again = seconds(*sides["sulcus"])
            report("the same, a second look", again, taken["b3sum"], "b3sum")


main()
