"""What alerts say in English."""

from opinionwatch.alerts.phrases import Words

EN = Words(
    titles={
        "crisis": {
            "opened": "{name}: public mood has turned negative",
            "escalated": "{name}: the crisis is growing",
            "updated": "{name}: the crisis goes on",
            "resolved": "{name}: the crisis is over",
            "accepted": "{name}: the negative mood is now taken as normal",
        },
        "tone shift": {
            "opened": "{name}: the tone has turned negative",
            "escalated": "{name}: the tone is getting worse",
            "updated": "{name}: the tone is still negative",
            "resolved": "{name}: the tone is back to normal",
            "accepted": "{name}: the negative tone is now taken as normal",
        },
        "volume surge": {
            "opened": "{name}: far more posts than usual",
            "escalated": "{name}: the surge of posts is growing",
            "updated": "{name}: the surge of posts goes on",
            "resolved": "{name}: the surge of posts is over",
            "accepted": "{name}: the surge of posts is lasting",
        },
        "source mix": {
            "opened": "{name}: posts come from other places than usual",
            "escalated": "{name}: posts come from yet other places",
            "updated": "{name}: posts still come from other places than usual",
            "resolved": "{name}: posts come from the usual places again",
            "accepted": "{name}: the change of places is lasting",
        },
        "no data": {
            "opened": "{name}: posts have stopped coming in",
            "escalated": "{name}: more sources have gone silent",
            "updated": "{name}: still no posts",
            "resolved": "{name}: posts are coming in again",
            "accepted": "{name}: silent sources count as gone",
        },
    },
    summaries={
        "crisis": {
            "opened": "Mood about {name} has turned negative: {now} of voices are negative (usual {before})"
            "{about}{places}.",
            "escalated": "The crisis about {name} is growing: {now} of voices are negative (usual {before})"
            "{about}{places}.",
            "updated": "The crisis about {name} goes on: {now} of voices are negative (usual {before}){about}{places}.",
            "resolved": "The crisis about {name} is over after {duration}: {posts} posts by {voices} voices, "
            "{negative} of the posts negative{about}.",
            "accepted": "The crisis about {name} has lasted {duration} and goes on; this mood is taken as the normal "
            "from now on. So far {posts} posts by {voices} voices, {negative} of the posts negative{about}.",
        },
        "tone shift": {
            "opened": "People talk about {name} as much as usual, but more negatively: {now} of voices are negative "
            "(usual {before}){about}{places}.",
            "escalated": "The tone about {name} is getting worse: {now} of voices are negative (usual {before})"
            "{about}{places}.",
            "updated": "The tone about {name} is still negative: {now} of voices are negative (usual {before})"
            "{about}{places}.",
            "resolved": "The tone about {name} is back to normal after {duration}: {posts} posts by {voices} voices, "
            "{negative} of the posts negative{about}.",
            "accepted": "The tone about {name} has been negative for {duration} and still is; it is taken as the "
            "normal from now on. So far {posts} posts by {voices} voices, {negative} of the posts negative{about}.",
        },
        "volume surge": {
            "opened": "{name} is talked about {volume} times as much as usual{places}, and no more negatively: "
            "{now} of voices are negative (usual {before}).",
            "escalated": "{name} is now talked about {volume} times as much as usual{places}; {now} of voices are "
            "negative (usual {before}).",
            "updated": "{name} is still talked about {volume} times as much as usual{places}; {now} of voices are "
            "negative (usual {before}).",
            "resolved": "The surge of posts about {name} is over after {duration}: {posts} posts by {voices} voices.",
            "accepted": "The surge of posts about {name} has lasted {duration} and goes on: {posts} posts by {voices} "
            "voices so far. This story closes here; if the surge does not end, a new one begins.",
        },
        "source mix": {
            "opened": "More posts about {name} than usual come from places with a different mood{places}: {now} of all "
            "voices are negative (usual {before}), but no one source has turned.",
            "escalated": "The places that posts about {name} come from have changed further{places}: {now} of all "
            "voices are negative (usual {before}).",
            "updated": "Posts about {name} still come from other places than usual{places}: {now} of all voices are "
            "negative (usual {before}).",
            "resolved": "After {duration}, posts about {name} come from the usual places again.",
            "accepted": "Posts about {name} have come from other places than usual for {duration} and still do. This "
            "story closes here; if that does not end, a new one begins.",
        },
        "no data": {
            "opened": "There are no new posts about {name}{where}: whether the mood has changed cannot be said.",
            "escalated": "More sources have gone silent: there are no new posts about {name}{where}.",
            "updated": "There are still no posts about {name}{where}: whether the mood has changed cannot be said.",
            "resolved": "Posts about {name} are coming in again after {duration}.",
            "accepted": "There have been no posts about {name}{where} for {duration}: what is silent counts as gone "
            "and is not waited for any more. Check its settings, or take it out of them.",
        },
    },
    labels={
        "since": "Since",
        "lasted": "Lasted",
        "strong": "How strong",
        "much": "How much",
        "sure": "How sure",
        "severity": "Severity",
        "note": "Note",
        "aspects": "Aspects",
        "sources": "Sources",
        "terms": "Words",
        "reposts": "Reposts",
        "examples": "What people say",
        "link": "See it on the page",
        "dashboard": "Explore it in Kibana",
        "id": "Alert",
        "chart": "Share of negative voices and number of posts over time",
        "acknowledge": "I take care of it",
        "not_crisis": "Not a crisis",
        "real": "It is real",
        "silence": "Silence for 4 hours",
        "more": "More stories",
        "tag": "opinionwatch",
    },
    severities={"info": "information", "warning": "warning", "critical": "critical"},
    about=", mostly about {aspects}",
    places=", in {sources}",
    where=" in {sources}",
    both=" and ",
    comma=", ",
    semicolon="; ",
    percent="{value} %",
    percents="{low}–{high} %",
    since="{began} ({zone})",
    noticed="{began}, noticed {noticed} ({zone})",
    months=(
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ),
    day="{day} {month} {year}, {time}",
    strong="negative voices {before} ({before_range}) → {now} ({now_range})",
    times_expected="{times} times as many negative voices as expected",
    much="{posts} posts by {voices} voices, {negative} of them negative ({expected} expected)",
    volume="{volume} times the usual number of posts",
    sure="by chance alone, about once in {weeks} weeks",
    surest="by chance alone, less than once in {weeks} weeks",
    unsure="by chance alone, about once a week or more often",
    contribution="{name}: {negative} negative voices, {expected} expected (odds × {odds}, {low}–{high})",
    term="{term} ({count})",
    reposts="{share} of the negative posts repeat another one",
    repeat="sent again, since the first attempt may have reached you; it is the same alert",
    purposes={
        "escalation": "you are told because nobody has acknowledged it",
        "fallback": "you are told because another channel did not take it",
    },
    spell=("{n} d", "{n} h", "{n} min"),
    quoted="“{text}”",
    test=(
        "Test: opinionwatch can reach you here",
        "This is a test message that somebody asked for. Nothing has happened.",
    ),
)
