"""The link from an alert to the dashboard that explains it."""

import re
from datetime import datetime
from urllib.parse import unquote, urlsplit

import pytest

from opinionwatch.alerts.escape import safe_url
from opinionwatch.pipeline.contracts_trend import Alert
from opinionwatch.pipeline.kibana_link import episode_link
from opinionwatch.pipeline.kibana_objects import saved_objects
from opinionwatch.pipeline.settings_kibana import Kibana
from tests.alerts.sample import crisis
from tests.pipeline.kibana_boards import boards

KIBANA = Kibana(url="https://kibana.internal:5601/base/", public_url="https://kibana.example/", space="mood")


def link(alert: Alert, kibana: Kibana = KIBANA) -> str:
    """The link, which is there."""
    found = episode_link(kibana, "opinionwatch", alert)
    assert found is not None
    return found


def test_it_leads_to_the_episode_dashboard_in_the_space_at_the_public_address() -> None:
    fragment = urlsplit(link(crisis())).fragment
    assert link(crisis()).startswith("https://kibana.example/s/mood/app/dashboards#/view/opinionwatch-episode?_g=")
    name = fragment.removeprefix("/view/").partition("?")[0]
    assert name in {each["id"] for each in saved_objects(boards(), "opinionwatch", "en") if each["type"] == "dashboard"}


def test_its_time_holds_the_whole_story_and_its_query_the_watchlist_alone() -> None:
    alert = crisis()
    plain = unquote(link(alert))
    since, until = (datetime.fromisoformat(each) for each in re.findall(r"(?:from|to):'([^']+)'", plain))
    assert since < alert.episode.began_at < alert.at < until
    assert f"""query:'watchlist.id : "{alert.episode.watchlist}"'""" in plain


@pytest.mark.parametrize("name", ["it's", 'x" or *', "a!b", "流墨", "a&_g=(x)", "a)#b"])
def test_a_name_stays_within_its_quotes(name: str) -> None:
    alert = crisis()
    told = alert.model_copy(update={"episode": alert.episode.model_copy(update={"watchlist": name})})
    found = link(told)
    assert safe_url(found) == found, "it can go into mail and chat as it is"
    assert found.count("&_a=") == 1
    inside = unquote(found.partition("&_a=")[2]).removeprefix("(query:(language:kuery,query:'").removesuffix("'))")
    kql = re.sub(r"!(.)", r"\1", inside)
    quoted = kql.removeprefix('watchlist.id : "').removesuffix('"')
    assert re.sub(r"\\(.)", r"\1", quoted) == name


def test_without_a_kibana_there_is_no_link() -> None:
    assert episode_link(Kibana(), "opinionwatch", crisis()) is None
