"""`thresher run PIPELINE --help`: what a pipeline does, and which parameters it takes."""

from typing import Any

import click


class PipelineCommand(click.Command):
    """A command on a pipeline, whose --help tells that pipeline's parameters where one is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep the arguments as they are given: --help is answered before they are looked at."""
        ctx.meta[__name__] = list(args)
        return super().parse_args(ctx, args)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The command's own help, then the pipeline's."""
        super().format_help(ctx, formatter)
        given, _, _ = self.make_parser(ctx).parse_args(list(ctx.meta.get(__name__, ())))
        pipeline = given.get("pipeline")
        if isinstance(pipeline, str):
            _write(pipeline, formatter)


def _write(pipeline: str, formatter: click.HelpFormatter) -> None:
    from thresher.parameters.description import describe

    described = describe(pipeline)
    formatter.write_paragraph()
    formatter.write_text(f"Pipeline {described.name}: {described.description}".removesuffix(": "))
    rows = [(each.name, _explained(each.type, each.default, each.help)) for each in described.params]
    with formatter.section("Parameters (-p NAME=VALUE)"):
        if rows:
            formatter.write_dl(rows)
        else:
            formatter.write_text("It takes none.")


def _explained(kind: str, default: Any, text: str) -> str:
    shown = "must be given" if default is None and "None" not in kind else f"default: {default}"
    return f"{f'{text}  ' if text else ''}[{kind}; {shown}]"
