"""One file per use of tunesmith; each wires the layers below and decides nothing clever itself."""
