"""What every other package may use: errors, the Spec base, the lazy table, ledger, atomic files, seeds, hardware."""
