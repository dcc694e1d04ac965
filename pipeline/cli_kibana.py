"""Commands for Kibana: kibana apply."""

from typing import Annotated

import typer

from opinionwatch.pipeline.console import ConfigOption, err, out, plain, settings
from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.kibana_check import mistakes
from opinionwatch.pipeline.kibana_client import apply as imported
from opinionwatch.pipeline.kibana_objects import ndjson, object_id, saved_objects
from opinionwatch.pipeline.kibana_spec import load

kibana_app = typer.Typer(help="The dashboards in Kibana.", no_args_is_help=True)


@kibana_app.command("apply")
def apply(
    dry_run: Annotated[bool, typer.Option(help="Print the saved objects (NDJSON) instead of sending them.")] = False,
    config: ConfigOption = None,
) -> None:
    """Check the dashboards of `kibana.folder` and bring them into Kibana, over what an earlier call brought.

    Example: opinionwatch kibana apply -c opinionwatch.yaml
    """
    chosen = settings(config)
    boards = load(chosen.kibana.folder)
    objects = saved_objects(boards, chosen.elasticsearch.prefix, chosen.language)
    if found := mistakes(boards, objects):
        raise SettingsError("\n".join(found))
    if dry_run:
        out.file.write(ndjson(objects).decode())
        return
    count = imported(chosen.kibana, objects)
    names = ", ".join(object_id(chosen.elasticsearch.prefix, board.id) for board in boards)
    out.print(plain(f"Kibana took {count} objects; dashboards: {names}"), markup=False)
    if chosen.kibana.shown_url:
        err.print(plain(f"Look at {chosen.kibana.shown_url}{chosen.kibana.path}/app/dashboards"), markup=False)


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(kibana_app, name="kibana")
