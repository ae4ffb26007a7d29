"""landing → raw: files and databases into datasets, each row exactly once.

`loading` is one load; it asks `arrivals` what is new by the `file_ledger`, has `reading` read the files in one of the
`formats`, joins their columns with the dataset's (`columns`, `drifting`) and applies the rows (`applying`).
"""

from thresher.ingest.applying import MODES as MODES
from thresher.ingest.loading import Loaded as Loaded
from thresher.ingest.loading import files as files
