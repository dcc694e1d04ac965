"""Models change while documents flow and the daemon is killed: every opinion is one model's, and says whose."""

import sqlite3
from pathlib import Path

from tests.faults.swaps import SwapCampaign


def test_nothing_is_lost_and_every_opinion_bears_the_model_in_force_when_models_are_swapped_under_kills(
    tmp_path: Path,
) -> None:
    campaign = SwapCampaign(tmp_path, documents=3_000, seed=7, per_s=600)
    verdict = campaign.run(kills=1, swaps=2)
    assert verdict.faults == dict.fromkeys(verdict.faults, 0)
    assert verdict.replays > 0, "a kill test that saw no replay proves nothing"
    assert verdict.swaps > 0, "nor does a swap test without a swap"
    assert verdict.taken_up > 0, "nor one in which no running daemon swapped"
    # The oracle is no rubber stamp: one opinion under a stranger's name, and one under another model's.
    stranger = next(name for name in campaign.names if not name.startswith("positive"))
    with sqlite3.connect(tmp_path / "data" / "opinionwatch.db") as store:
        for number, name in ((1, "nobody-000000000000"), (2, stranger)):
            store.execute(
                "UPDATE documents SET body = CAST(json_set(CAST(body AS TEXT), '$.scorer', ?) AS BLOB) "
                "WHERE json_extract(CAST(body AS TEXT), '$.document.native_id') = ?",
                (name, f"d{number}"),
            )
    found = campaign.judge()
    assert found["read by neither model"] == 1
    assert found["read by another model than it says"] == 2
    assert found["read by an earlier model than the one before"] == 1
