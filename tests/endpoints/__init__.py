"""Labelled endpoints on real, independent servers, and the score of the product on them.

Labels come from the catalogue and from TLS facts; nothing here looks at how the product
decides. `python -m tests.endpoints.score` prints the table, the tests hold each label.
"""
