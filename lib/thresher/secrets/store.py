"""Secrets: referred to as `${secret:NAME}`, kept outside of the project, opened only where they are used.

A secret is looked for in the environment (`THRESHER_SECRET_<NAME>`), in a file that only its owner can read
(`THRESHER_SECRETS`, else `~/.config/thresher/secrets.yml`: `NAME: value`), and in the system's keyring (service
`thresher`, where the extra `keyring` is installed). In a run, a step is handed the secrets that its parameters name,
and finds no others.
"""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import NewType

from thresher.errors import SecretError
from thresher.parameters.references import SECRET_VARIABLE, replace_secrets, secret_names
from thresher.secrets.opened import keep_in

Secret = NewType("Secret", str)
"""The type of a notebook parameter that refers to a secret: `"${secret:NAME}"`, to be opened by `th.secret`."""

SHORTEST = 4
"""Characters that a secret must have: what is shorter stands in every page by chance, and cannot be kept out."""

_KEYRING_SERVICE = "thresher"


def secret(reference: str) -> str:
    """The value of a parameter of type `Secret`: its text, with each `${secret:NAME}` replaced by that secret.

    Raises SecretError for a text that refers to no secret, and for a secret that is nowhere; no message shows a value.

    >>> os.environ["THRESHER_SECRET_WAREHOUSE"] = "hunter2"
    >>> secret("postgresql://etl:${secret:WAREHOUSE}@db/sales")
    'postgresql://etl:hunter2@db/sales'
    >>> del os.environ["THRESHER_SECRET_WAREHOUSE"]
    """
    names = secret_names(reference) if isinstance(reference, str) else []
    if not names:
        raise SecretError(
            "th.secret: found a value that refers to no secret, expected text with ${secret:NAME} "
            "(the value is not shown, as it may be one)"
        )
    values = {name: find(name) for name in names}
    if _is_step():
        keep_in(values)
    return replace_secrets(reference, values)


def find(name: str) -> str:
    """The value of a secret. Raises SecretError that tells where it was looked for."""
    looked_at = []
    for look in (_in_environment,) if _is_step() else (_in_environment, _in_file, _in_keyring):
        value, place = look(name)
        if value:
            return checked(name, value)
        looked_at.append(place)
    if _is_step():
        raise SecretError(
            f"secret {name} was not handed to this step; a step has the secrets that its parameters name: "
            f"add a parameter of type Secret, and give it ${{secret:{name}}} in the pipeline"
        )
    raise SecretError(f"secret {name} is missing; looked at {', '.join(looked_at)}. Run: thresher secrets set {name}")


def checked(name: str, value: str) -> str:
    """A secret's value, if it can be one. Raises SecretError."""
    if "\0" in value:
        raise SecretError(f"secret {name} holds the character NUL, which no environment can hand to a notebook")
    if len(value) < SHORTEST:
        raise SecretError(
            f"secret {name} has {len(value)} characters, expected at least {SHORTEST}: "
            f"a shorter one stands in every page by chance, and cannot be kept out"
        )
    return value


def secrets_file() -> Path:
    """The file of this user's secrets, whether it is there or not."""
    config = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config") / "thresher" / "secrets.yml"
    return Path(os.environ.get("THRESHER_SECRETS") or config).expanduser()


def stored(file: Path | None = None) -> dict[str, str]:
    """The secrets in a file, by name; none where there is no file. Raises SecretError where others may read it."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    file = file or secrets_file()
    try:
        mode, content = stat.S_IMODE(file.stat().st_mode), file.read_bytes()
        found = YAML(typ="safe", pure=True).load(content) or {}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, YAMLError) as error:
        # Without the parser's text, which quotes the line.
        line = getattr(getattr(error, "problem_mark", None), "line", None)
        where = "" if line is None else f", line {line + 1}"
        raise SecretError(f"{file}{where} cannot be read as YAML, expected lines NAME: value") from None
    if mode & 0o077:
        raise SecretError(f"{file} can be read by others (mode {mode:04o}, expected 0600). Run: chmod 600 {file}")
    odd = [str(name) for name, value in found.items() if not isinstance(value, str)] if isinstance(found, dict) else []
    if odd or not isinstance(found, dict):
        what = f"the value of {', '.join(odd)} is no text; put it in quotes" if odd else "expected lines NAME: value"
        raise SecretError(f"{file}: {what}")
    return {str(name): value for name, value in found.items()}


def store(change: Callable[[dict[str, str]], None]) -> Path:
    """Change the secrets in the user's file, one process at a time; replaced whole, readable by its owner alone.

    Comments stay. Returns the file. Raises SecretError where it cannot be read or written.
    """
    from io import BytesIO

    from filelock import FileLock
    from ruamel.yaml import YAML

    from thresher import files

    file = secrets_file().resolve()
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(file.with_name(f".{file.name}.lock"), timeout=30):
            document = YAML().load(file.read_bytes()) if stored(file) else {}
            change(document)
            text = BytesIO()
            YAML().dump(document, text)
            files.replace(file, text.getvalue(), mode=0o600)
    except OSError as error:
        raise SecretError(f"{file} cannot be written: {error.strerror or error}") from error
    return file


def _is_step() -> bool:
    return bool(os.environ.get("THRESHER_STEP"))


def _in_environment(name: str) -> tuple[str | None, str]:
    variable = SECRET_VARIABLE + name
    return os.environ.get(variable), f"the environment ({variable})"


def _in_file(name: str) -> tuple[str | None, str]:
    file = secrets_file()
    return stored(file).get(name), f"{file}{'' if file.exists() else ' (not there)'}"


def _in_keyring(name: str) -> tuple[str | None, str]:
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        return None, "the system's keyring (not installed: thresher[keyring])"
    try:
        return keyring.get_password(_KEYRING_SERVICE, name), "the system's keyring"
    except KeyringError as error:
        return None, f"the system's keyring ({type(error).__name__})"
