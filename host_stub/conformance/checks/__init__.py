"""The checks, a module for each group of requirements; each module registers its own."""
