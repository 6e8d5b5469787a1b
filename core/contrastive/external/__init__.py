"""Encoders that Ravel did not train: a module of the HEAR common API, or a table of embeddings.

`make` writes a checkpoint's folder for one; `load` gives back a `core.contrastive.embed.Encoder`,
which Map, Find and `evaluate` use like a trained one.
"""
