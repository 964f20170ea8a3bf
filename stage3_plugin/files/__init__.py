"""How a file of ours gets on the disk: private, whole or not at all, its descriptor kept aside."""
