"""Money at run time: what may be bought, what is held and settled, what earlier runs left."""
