"""English has another word for one of a thing, Chinese has not: what the page says where a count is 1."""

ONE: dict[str, str] = {
    "doubt_gap": "{n} document is unaccounted for",
    "posts_n": "{n} post",
    "voices_n": "{n} voice",
    "alarm_rate": "{n} alarm in {weeks} watchlist-weeks: {rate} a week each",
    "attempts_n": "{n} attempt",
    "engaged likes": "{n} like",
    "engaged reposts": "{n} share",
    "engaged replies": "{n} reply",
}
"""By the key of `WORDS`, for a count (`n`) of 1."""
