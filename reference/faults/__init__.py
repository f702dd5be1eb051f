"""Wrong implementations, each as small as its fault.

`catalogue` lists them all and imports no framework; `on_numpy`, `on_torch` and `on_jax` hold them as
classes, each the right implementation of that framework with one step overridden.
"""
