"""Draw storyboard frames on this machine, without a model and without cost.

A prompt's words are read, in English and Chinese, and become a frame: place, time, weather, shot,
people and things, with a slate over it. The same words give the same picture, byte for byte, on
one platform and version. Importing this package imports nothing that draws.
"""
