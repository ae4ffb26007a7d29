"""What the local Spark server starts for each session that runs Python: Spark's daemon, which forks its workers.

Spark puts a zip of PySpark first in Python's path, and what comes from a zip is compiled anew in each process: this
takes PySpark as pip installed it. It is not among the engines: these load pyarrow, whose threads a fork would lose.
"""

import importlib
import sys


def serve() -> None:
    """Fork workers until Spark closes the input of this process."""
    sys.path[:] = [folder for folder in sys.path if not folder.endswith("pyspark.zip")]
    importlib.import_module("pyspark.daemon").manager()


if __name__ == "__main__":
    serve()
