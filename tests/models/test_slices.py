import pytest

from opinionwatch.models.slices import slices_of
from opinionwatch.pipeline.fold import fold


@pytest.mark.parametrize(
    ("text", "lang", "wanted"),
    [
        ("It isn't bad", "en", {"short", "negation"}),
        ("don’t buy it", "en", {"short", "negation"}),
        ("Nothing notable; a note about knots", "en", {"short", "negation"}),
        ("a note about knots", "en", {"short"}),
        ("屏幕不好", "zh", {"short", "negation"}),
        ("非常好,别人都说好", "zh", {"short"}),
        ("无论如何未来可期", "zh", {"short"}),
        ("电池 is great 屏幕好", "zh", {"short", "mixed-language"}),
        ("好 ok", "zh", {"short"}),
        ("good 😡", "en", {"short", "emoji"}),
        ("tеrrible phone", "en", {"short", "obfuscated"}),
        ("a" * 201, "en", {"long"}),
        ("好" * 40, "zh", {"medium"}),
        ("", "und", {"short"}),
    ],
)
def test_a_text_has_the_traits_that_can_be_read_off_it(text: str, lang: str, wanted: set[str]) -> None:
    assert set(slices_of(fold(text), lang)) == wanted
