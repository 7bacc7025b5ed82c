"""Hostile servers against our own parsers and the whole client: docs/design/0021-fuzzing.md"""
