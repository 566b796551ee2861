"""New training rows from old ones: edits of words that leave labels, entities and answers true."""
