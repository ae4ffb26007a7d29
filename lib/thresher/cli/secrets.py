"""`thresher secrets`: keep secrets in the user's own file. No command shows a value."""

import os
import re
import sys

import click

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


class _Name(click.ParamType[str]):
    name = "name"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not _NAME.fullmatch(value):
            self.fail(f"found {value!r}, expected letters, digits and _, at most 64, no digit first", param, ctx)
        return value


_name = click.argument("name", metavar="NAME", type=_Name())


@click.group()
def secrets() -> None:
    """Keep secrets for ${secret:NAME} in a file that only you can read."""


@secrets.command("set")
@_name
def set_(name: str) -> None:
    """Keep a secret; its value is asked for, or read from standard input."""
    from thresher.secrets import store as kept

    is_terminal = sys.stdin.isatty()
    value = click.prompt(f"Value of {name}", hide_input=True, err=True) if is_terminal else sys.stdin.read()
    value = kept.checked(name, value if is_terminal else value.removesuffix("\n"))
    file = kept.store(lambda found: found.update({name: value}))
    click.echo(f"{name} is kept in {file}")


@secrets.command("list")
def list_() -> None:
    """The names of the secrets that are kept, and where; the keyring does not list its own."""
    from thresher.parameters.references import SECRET_VARIABLE
    from thresher.secrets import store as kept

    places = {name: str(kept.secrets_file()) for name in kept.stored()}
    # The environment is looked at first.
    variables = [name for name, value in os.environ.items() if name.startswith(SECRET_VARIABLE) and value]
    places |= {name.removeprefix(SECRET_VARIABLE): f"environment ({name})" for name in variables}
    for name in sorted(places):
        click.echo(f"{name}  {places[name]}")
    if not places:
        click.echo(f"no secrets in {kept.secrets_file()}, none in the environment ({SECRET_VARIABLE}…)")


@secrets.command()
@_name
def delete(name: str) -> None:
    """Forget a secret that is kept in the file."""
    from thresher.errors import SecretError
    from thresher.pipeline_file import did_you_mean
    from thresher.secrets import store as kept

    def drop(found: dict[str, str]) -> None:
        if name not in found:
            raise SecretError(f"no secret {name} in {kept.secrets_file()}. {did_you_mean(name, found)}")
        del found[name]

    click.echo(f"{name} is deleted from {kept.store(drop)}")
