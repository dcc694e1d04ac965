"""Watchlists from a table."""

import pytest

from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.watchlist_table import MAX_BYTES, read_table
from opinionwatch.pipeline.watchlists import Name


def test_a_row_is_a_watchlist_with_lists_in_its_cells() -> None:
    table = "id,name,names,must,any,exclude,lang\nacme,Acme,Acme|艾克美；ACM,fridge,loud;awful,Acme cartoon,en|zh\n"
    [one] = read_table(table.encode())
    assert (one.id, one.name, one.names) == ("acme", "Acme", ("Acme", "艾克美", "ACM"))
    assert (one.must, one.any, one.exclude, one.lang) == (
        ("fridge",),
        ("loud", "awful"),
        ("Acme cartoon",),
        ("en", "zh"),
    )


def test_rows_of_one_id_are_one_watchlist_and_context_belongs_to_the_names_of_its_row() -> None:
    table = "id,names,context\nseat,Seat León,\nseat,Seat|西雅特,car|汽车\nseat,Seat León,\n"
    [one] = read_table(table.encode())
    assert one.names == (
        "Seat León",
        Name(term="Seat", context=("car", "汽车")),
        Name(term="西雅特", context=("car", "汽车")),
    )


def test_without_an_id_the_name_makes_one_and_without_names_the_name_is_watched() -> None:
    found = read_table("Name\n Big Brand! \n小米\n".encode())
    assert [(one.id, one.name, one.names) for one in found] == [
        ("big-brand", "Big Brand!", ("Big Brand!",)),
        ("小米", "小米", ("小米",)),
    ]


@pytest.mark.parametrize(
    "body",
    [
        "\ufeffid,names\nacme,艾克美|Acme\n".encode(),
        "id,names\nacme,艾克美|Acme\n".encode("gb18030"),
        "id\tnames\nacme\t艾克美|Acme\n".encode("utf-16"),
        "id;names\r\nacme;艾克美|Acme\r\n".encode(),
        'id,names\n"acme","艾克美|Acme"\n\n,\n'.encode(),
    ],
)
def test_whatever_a_spreadsheet_writes_is_read(body: bytes) -> None:
    [one] = read_table(body)
    assert (one.id, one.names) == ("acme", ("艾克美", "Acme"))


@pytest.mark.parametrize(
    ("body", "mistake"),
    [
        (b"id,nmaes\nacme,Acme\n", "line 1: no such column 'nmaes'; did you mean 'name"),
        (b"names\nAcme\n", "line 1: a column `id` or `name` is needed"),
        (b"id,names\n", "the table holds no watchlist"),
        (b"", "line 1: a column"),
        (b"id,names\n,Acme\n", "line 2: neither `id` nor `name`"),
        (b"id,name\na,One\na,Two\n", "line 3: 'a' was called 'One' before and 'Two' here"),
        (b'id,names\nacme,"Acme\n', "line 1: unexpected end of data; export the table as CSV again"),
        (b"id,names\na b,Acme\n", r"watchlists\.0\.id: String should match"),
        (b"id,names\nacme,\xff\xff\n", "name it with --encoding"),
        (b"x" * (MAX_BYTES + 1), "no list of watchlists"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_cure(body: bytes, mistake: str) -> None:
    with pytest.raises(SettingsError, match=mistake):
        read_table(body)


def test_a_named_encoding_is_taken_at_its_word() -> None:
    assert read_table("id,names\na,café\n".encode("cp1252"), "cp1252")[0].names == ("café",)
    with pytest.raises(SettingsError, match="--encoding"):
        read_table(b"id\na\n", "klingon")
