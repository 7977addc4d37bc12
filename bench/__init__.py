"""Ratios against named peers, taken in interleaved rounds on one machine: ``python -m bench``.

Absolute times of a shared machine drift; what is compared is therefore run in turns, and the result is the
median of the ratios of one round. Needs gcc; WasmEdge is measured where ``wasmedge`` is on the path.
"""
