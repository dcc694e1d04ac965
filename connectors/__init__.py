"""Connectors: where documents come from. One file a source, one line in `registry.CONNECTORS`."""
