"""What the user wants: the config file, overrides, secrets, and a plugin's own table."""
