"""Everything that Thresher raises on purpose.

ThresherError
├── UsageError                what was asked cannot be done; nothing was written (exit code 2)
│   ├── PipelineError         the pipeline file is wrong
│   ├── ParameterError        a parameter is unknown, missing or of the wrong type
│   ├── SecretError           a secret is missing, or kept where others can read it
│   ├── InvalidName           a dataset, column or file name is not allowed
│   ├── DatasetNotFound       no such dataset in the lake
│   ├── LandingNotFound       no such landing folder or file
│   ├── TableNotFound         no such table in a database that is a source
│   ├── LakeError             the lake cannot be read or written
│   ├── EngineUnavailable     the engine that was asked for cannot start here
│   ├── SqlError              the SQL text cannot be parsed, or names what is not there
│   ├── NotPortable           the SQL is valid Spark SQL, but not proven equal on the embedded engine
│   └── RunLocked             another run of the same pipeline is at work
└── DataError                 the data breaks a promise; the target is as it was before (exit code 1)
    ├── SchemaMismatch        rows do not fit the dataset, or would lose something
    ├── MissingColumns        a column that the step needs is not there
    ├── DuplicateKeys         a key that must be unique is not
    ├── WriteConflict         other writers kept changing the dataset
    ├── DiskFull              a disk is full; what was written before is whole
    ├── TransientError        something outside did not answer; trying again may help
    ├── ChecksFailed          rows break rules of severity fail; readers keep what was there
    ├── CountsDoNotAddUp      rows in differ from rows out, refused and duplicate
    ├── LockLost              another run may have taken over what this one was at
    └── StepFailed            a step of a pipeline failed

A message says what failed, what was found, what was expected, and what to do next.
"""


class ThresherError(Exception):
    """The root: catch it to catch everything that Thresher raises on purpose."""


class UsageError(ThresherError, ValueError):
    """What was asked cannot be done; nothing was written."""


class PipelineError(UsageError):
    """The pipeline file is wrong; the message begins with file and line."""


class ParameterError(UsageError):
    """A parameter is unknown, missing or of the wrong type."""


class SecretError(UsageError):
    """A secret is missing, too short, or kept where others can read it; the message never shows a value."""


class InvalidName(UsageError):
    """A dataset, column or file name is not allowed."""


class DatasetNotFound(UsageError, LookupError):
    """No such dataset in the lake."""


class LandingNotFound(UsageError, LookupError):
    """No such landing folder or file."""


class TableNotFound(UsageError, LookupError):
    """No such table in a database that is a source."""


class LakeError(UsageError, OSError):
    """The lake cannot be read or written."""


class EngineUnavailable(UsageError, RuntimeError):
    """The engine that was asked for cannot start here; the message names the remedy."""


class SqlError(UsageError):
    """The SQL text cannot be parsed, or names what is not there."""


class NotPortable(UsageError):
    """The SQL is valid Spark SQL, but not proven to give the same rows on the embedded engine."""


class RunLocked(UsageError):
    """Another run of the same pipeline is at work."""


class DataError(ThresherError, ValueError):
    """The data breaks a promise; the target is as it was before."""


class SchemaMismatch(DataError, TypeError):
    """Rows do not fit the dataset, or would lose something on the way in."""


class MissingColumns(DataError, LookupError):
    """A column that the step needs is not there."""


class DuplicateKeys(DataError):
    """A key that must be unique is not."""


class WriteConflict(DataError, RuntimeError):
    """Other writers kept changing the dataset; nothing of this write was kept."""


class DiskFull(DataError, OSError):
    """A disk is full: what was written before is whole, and nothing is left of what could not be."""


class TransientError(DataError):
    """Something outside did not answer: a step that raises it is tried again as often as its `retries` say."""


class ChecksFailed(DataError):
    """Rows break rules of severity `fail`: nothing of them is written, readers keep what was there."""


class CountsDoNotAddUp(DataError):
    """Rows in differ from rows out, refused and duplicate together."""


class LockLost(DataError):
    """Another run of the pipeline may have taken over the lock of this one, which stopped."""


class StepFailed(DataError, RuntimeError):
    """A step of a pipeline failed."""
