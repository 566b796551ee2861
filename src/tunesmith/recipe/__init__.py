"""The recipe: all settings of a run in one place, every value with its origin."""
