"""Run the notebooks and keep what they show: `python tools/accept_notebooks.py [notebooks/01_ingest.ipynb …]`.

They run in a copy of the project in which both pipelines have run, as the tests do it. Look at the difference before
you commit it. Without Java 17, name the notebooks to run: those in notebooks/explore need Spark.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent.parent


def main(names: list[str]) -> None:
    """Run the notebooks of these paths, else all, and write their outputs into them."""
    notebooks = [Path(name).resolve() for name in names] or sorted((ROOT / "notebooks").rglob("[!.]*.ipynb"))
    with tempfile.TemporaryDirectory(prefix="thresher-accept-") as folder:
        project = Path(folder)
        for part in ("notebooks", "pipelines", "data/sample"):
            shutil.copytree(ROOT / part, project / part, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
        for pipeline in ("courses", "invoices"):
            subprocess.run([sys.executable, "-m", "thresher", "run", pipeline], cwd=project, check=True)
        for path in notebooks:
            notebook = nbformat.read(path, as_version=4)
            place = {"metadata": {"path": str((project / path.relative_to(ROOT)).parent)}}
            NotebookClient(notebook, timeout=600, resources=place, record_timing=False).execute()
            nbformat.write(notebook, path)
            print(path.relative_to(ROOT))


if __name__ == "__main__":
    main(sys.argv[1:])
