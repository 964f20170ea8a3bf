"""How anything is put into words for a person: figures, escapes, secrets left out."""
