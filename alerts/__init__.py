"""Alerts: detection, explanation, the life of an episode, and the channels that tell people. One file a channel."""
