"""The first use of XML in a process: `python first_use.py DOCUMENTS`, a JSON file with a list of texts.

Prints one line of JSON: the seconds of the import, the first discovery, the first parse.
"""

import json
import sys
import time
from pathlib import Path


def main() -> None:
    documents = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    moments = [time.perf_counter()]
    from thresher import xml  # what is measured

    moments.append(time.perf_counter())
    schema = xml.discover(documents)
    moments.append(time.perf_counter())
    xml.parse(documents, schema)
    moments.append(time.perf_counter())
    steps = [after - before for before, after in zip(moments, moments[1:], strict=False)]
    print(json.dumps(dict(zip(("import", "discover", "parse"), steps, strict=True))))


if __name__ == "__main__":
    main()
