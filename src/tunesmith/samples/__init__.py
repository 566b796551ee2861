"""Samples that come with tunesmith, written for it."""
