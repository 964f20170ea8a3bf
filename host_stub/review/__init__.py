"""Ways to look at a story: the page to choose on, and the contact sheet."""
