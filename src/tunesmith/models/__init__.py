"""Pre-trained weights: found, read, given the task's head."""
