"""One run of the embedded engine in a fresh process: `python growth.py LAKE`, from `raw.documents` to a Delta table.

Prints one line of JSON: seconds to learn the schema of all documents and to flatten them, processor seconds, the peak
of the memory, rows written.
"""

import json
import sys
import time

from worker import peak_megabytes

import thresher as th


def main() -> None:
    begun, used = time.perf_counter(), time.process_time()
    lake = th.Lake(sys.argv[1], engine="duckdb")
    schema = th.xml.discover_column(lake.read("raw.documents"), "document")
    discovered, used_to_discover = time.perf_counter(), time.process_time()
    lake.write("curated.documents", th.xml.flatten(lake.read("raw.documents"), "document", schema))
    figures = {
        "discover": discovered - begun,
        "discover_cpu": used_to_discover - used,
        "flatten": time.perf_counter() - discovered,
        "flatten_cpu": time.process_time() - used_to_discover,
        "peak": peak_megabytes(None),
        "rows": lake.describe("curated.documents").rows,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
