"""Tests of the judges and of what else can be tested without a node. Run by .ci/run: python3 -m unittest."""
