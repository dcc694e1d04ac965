"""Commands on the broker: make the topics, compare them with the settings."""

import typer
from rich.table import Table

from opinionwatch.pipeline.console import ConfigOption, WaitOption, out, patient, plain, settings

topics = typer.Typer(help="The topics on Kafka: make them, compare them with the settings.", no_args_is_help=True)


@topics.command("create")
def create_topics(wait: WaitOption = 0, config: ConfigOption = None) -> None:
    """Make the topics that are not there yet. What is there stays as it is, so it may be run at every start.

    Example: opinionwatch topics create -c opinionwatch.yaml
    """
    from opinionwatch.pipeline import kafka_admin  # its schemas take a while to load

    chosen = settings(config).kafka
    made = patient(lambda: kafka_admin.create(chosen), wait)
    for name in made:
        out.print(f"{name} made")
    if not made:
        out.print("all topics are there")


@topics.command("check")
def check_topics(config: ConfigOption = None) -> None:
    """Compare every topic with the settings. Exits 1 when one is missing or different.

    Example: opinionwatch topics check -c opinionwatch.yaml
    """
    from opinionwatch.pipeline import kafka_admin  # its schemas take a while to load

    table = Table("topic", "partitions", "copies", "is")
    states = kafka_admin.check(settings(config).kafka)
    for state in states:
        wanted = state.wanted
        words = plain("; ".join(state.differences)) or "as the settings say"
        table.add_row(wanted.name, str(wanted.partitions), str(wanted.replication), words)
    out.print(table)
    if not all(state.right for state in states):
        raise typer.Exit(1)


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(topics, name="topics")
