"""From texts to predictions with a saved model: one path for evaluate, predict and the Python API."""
