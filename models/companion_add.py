"""`opinionwatch companion`: give an artefact that is already trained its linear companion, or another one."""

from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer

from opinionwatch.models.artefact import built, read
from opinionwatch.models.batches import encode, epoch
from opinionwatch.models.companion_fit import accompany
from opinionwatch.models.data import Rows, read_rows
from opinionwatch.models.device import pick_device, pick_dtype
from opinionwatch.models.examples import Example
from opinionwatch.models.network import Network
from opinionwatch.models.recipe import Recipe, load_recipe
from opinionwatch.models.tokens import TextTokens
from opinionwatch.models.train import Made, Trained, publish
from opinionwatch.pipeline.errors import SettingsError


def add_companion(
    artefact: Path, recipe_path: Path, out: Path, *, data: Path, backbone: str, steps: int, minutes: float
) -> Trained:
    """Leave the artefact with a companion in `out/artefact`, calibrated and measured anew; the encoder's weights are
    untouched, and it reads texts up to the recipe's `max_tokens`.

    `steps` and `minutes` are those of the encoder's run. The rows that decide the companion's weight are those that the
    run never saw: what the recipe holds back (`validation`), or else the rest of a first epoch that `steps` did not
    finish. Raises SettingsError when there are none.
    """
    recipe = load_recipe(recipe_path)
    # Processes that share a core are slower with two threads than with one.
    torch.set_num_threads(recipe.schedule.threads or 1)
    if recipe.companion is None:
        raise SettingsError(f"recipe {recipe_path} has no `companion`; `companion: {{}}` takes the defaults")
    stored = read(artefact)
    body = stored.config.body.model_copy(update={"max_tokens": recipe.body.max_tokens})
    stored = stored._replace(config=stored.config.model_copy(update={"body": body}))
    model = built(stored).model
    rows = read_rows(recipe, data)
    spare = rows.validation or unreached(recipe, rows, stored.tokens.tokenizer, steps)
    tokens = TextTokens(stored.tokens.tokenizer, body.max_tokens)
    device = pick_device()
    network = Network(model, tokens, device, pick_dtype(device), decoding=stored.config.decoding)
    given = accompany(network, recipe.companion, recipe, data, spare)
    made = Made(recipe, stored.config, tokens.tokenizer, built(stored).model, rows, steps, minutes)
    return publish(made, network, given, out, backbone)


def unreached(recipe: Recipe, rows: Rows, tokenizer: Tokenizer, steps: int) -> Sequence[Example]:
    """The labelled rows of the first epoch's batches after the first `steps`, unless seen in an earlier one."""
    schedule = recipe.schedule
    encoded = encode(rows.train, TextTokens(tokenizer, schedule.train_tokens))
    told = {id(row): example for row, example in zip(encoded, rows.train, strict=True)}
    batches = epoch(encoded, schedule.tokens_per_batch, schedule.rows_per_batch, schedule.seed)
    seen = {told[id(row)].text for batch in batches[:steps] for row in batch}
    rest = (told[id(row)] for batch in batches[steps:] for row in batch)
    return [*dict.fromkeys(row for row in rest if row.label is not None and row.text not in seen)]
