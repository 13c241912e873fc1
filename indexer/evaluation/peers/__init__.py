"""Recommenders that a user might run instead: fitted on rows, they score the whole catalogue."""
