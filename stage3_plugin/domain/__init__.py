"""The words the rooms speak to one another: plain values and the rules that are part of them."""
