"""What reading XML costs: `python benchmarks/xml.py --help` tells what is measured; the program is in `xml_speed/`."""

import runpy
import sys
from importlib import import_module
from pathlib import Path

FOLDER = Path(__file__).resolve().parent

# Python looks into the folder of the program first: to every script here this file would be the standard library's xml.
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != FOLDER]

if __name__ == "xml":
    del sys.modules["xml"]
    import_module("xml")
elif __name__ == "__main__":
    runpy.run_path(str(FOLDER / "xml_speed"), run_name="__main__")
