"""The proof of a training: the run folder, its report, the model card, and who is watching."""
