"""The ready model class over diffusers' pipelines: what its settings may say, and what renders.

Only ``model`` imports torch and diffusers, late, and only a replica makes what is in it.
"""
