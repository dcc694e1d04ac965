"""The one console command. Exit codes: 0 ok, 1 a finding (a gap, a failed check), 2 usage or settings."""

import sys

import typer

from opinionwatch.pipeline import (
    cli_backfill,
    cli_backtest,
    cli_check,
    cli_daemons,
    cli_detect,
    cli_erase,
    cli_index,
    cli_kibana,
    cli_label,
    cli_model,
    cli_models,
    cli_notify,
    cli_run,
    cli_source,
    cli_store,
    cli_texts,
    cli_topics,
    cli_watchlist,
)
from opinionwatch.pipeline.console import complain, quiet_logs
from opinionwatch.pipeline.errors import OpinionwatchError, SettingsError
from opinionwatch.pipeline.watchdog import leaving

app = typer.Typer(
    name="opinionwatch",
    help="Know within minutes, and with proof, that public mood is turning. Start with: opinionwatch demo",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
COMMANDS = (
    cli_run,
    cli_daemons,
    cli_topics,
    cli_index,
    cli_kibana,
    cli_texts,
    cli_model,
    cli_models,
    cli_label,
    cli_detect,
    cli_backtest,
    cli_store,
    cli_check,
    cli_notify,
    cli_source,
    cli_watchlist,
    cli_erase,
    cli_backfill,
)
for module in COMMANDS:
    module.register(app)


def main() -> None:
    """Run the command line. No traceback reaches a user for anything this program raises on purpose."""
    quiet_logs()
    code = 1
    try:
        app()
    except SettingsError as error:
        complain(str(error))
        code = 2
    except OpinionwatchError as error:
        complain(str(error))
    except SystemExit as ended:
        code = int(ended.code or 0)
    finally:
        leaving(code)
    sys.exit(code)
