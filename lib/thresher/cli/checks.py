"""`thresher checks`: what the rules of datasets found, run by run, and the rows that broke them."""

import click

from thresher.cli.parts import json_flag, lake_option, print_json, print_table


@click.group(invoke_without_command=True)
@click.option("--dataset", metavar="DATASET", help="Only the rules of this dataset.")
@click.option(
    "--runs", type=click.IntRange(min=1), default=10, show_default=True, help="How many runs the trend shows."
)
@lake_option
@json_flag
@click.pass_context
def checks(ctx: click.Context, dataset: str | None, runs: int, lake: str | None, as_json: bool) -> None:
    """What became of each rule when it was last asked, and how many rows broke it in the runs before."""
    if ctx.invoked_subcommand:
        return
    from thresher.check_outcomes import trends
    from thresher.ledger import Ledger
    from thresher.places import lake_folder

    folder = lake_folder(lake)
    found = trends(Ledger.of_lake(folder).checked(folder, dataset, runs))
    if as_json:
        print_json(found)
    elif found:
        head = ("dataset", "rule", "severity", "broken by", "found", "in runs, oldest first", "last run")
        rows = [
            (each["dataset"], each["rule"], each["severity"], each["failing"][-1], each["found"])
            + (" ".join(map(str, each["failing"])), each["run"])
            for each in found
        ]
        print_table(head, rows)
    else:
        click.echo("no rules were asked yet: see checks in a pipeline file")


@checks.command()
@click.argument("dataset", metavar="DATASET")
@click.option("--rule", metavar="RULE", help="Only the rows that broke this rule.")
@click.option("--run", "run_id", metavar="RUN", help="Only of this run (default: the last that kept any).")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="At most so many rows.")
@lake_option
@json_flag
def show(dataset: str, rule: str | None, run_id: str | None, limit: int, lake: str | None, as_json: bool) -> None:
    """The rows that broke rules of a dataset, as they were, with rule and run."""
    from thresher.datasets import checks_of
    from thresher.lake import Lake
    from thresher.places import lake_folder

    opened = Lake(lake_folder(lake))
    name = checks_of(dataset)
    if not opened.exists(name):
        click.echo(f"no row of {dataset} has broken a rule")
        return
    kept = opened.sql(f"select run, rule, severity, number, row from {name} order by run desc, rule, row")
    found = [each for each in kept.to_arrow().to_pylist() if rule in (None, each["rule"])]
    wanted = run_id or (found[0]["run"] if found else "")
    rows = [each for each in found if each["run"] == wanted]
    if as_json:
        print_json(rows[:limit])
        return
    print_table(("run", "rule", "severity", "number", "row"), [tuple(each.values()) for each in rows[:limit]])
    if len(rows) > limit:
        click.echo(f"{len(rows) - limit:,} more: --limit {len(rows)}")
