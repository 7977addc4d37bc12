"""Elastic functions: a call looks the same whether it runs in this process or on an edge.

An `ElasticFunction` is made by `@elastic` from a Python function, which is the version that runs here, or
from a module or a bundle, whose WebAssembly then runs here as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Unpack

from lawow.device.elastic_function import ElasticFunction, Native
from lawow.device.elastic_module import ElasticModule
from lawow.device.elastic_options import ElasticOptions, informed
from lawow.device.resilience import Resilience
from lawow.formats.bundle import read_bundle

__all__ = ["ElasticFunction", "elastic", "functions_of_bundle"]


def elastic(
    module: ElasticModule | Path | bytes,
    *,
    export: str | None = None,
    signature: str | None = None,
    **options: Unpack[ElasticOptions],
) -> Callable[[Native], ElasticFunction]:
    """Make a Python function elastic: it runs here, the export of its name on an edge.

    `module` is the function's WebAssembly build, as an `ElasticModule`, a file or bytes.
    """
    if isinstance(module, Path):
        module = module.read_bytes()
    home = ElasticModule(module) if isinstance(module, bytes) else module

    def decorate(native: Native) -> ElasticFunction:
        return ElasticFunction(home, export or native.__name__, signature=signature, native=native, **options)

    return decorate


def functions_of_bundle(
    jar: bytes, *, keeps_state: bool = False, **options: Unpack[ElasticOptions]
) -> Mapping[str, ElasticFunction]:
    """Return the methods of an offload bundle as elastic functions, by ``Class.method``, their name.

    Methods of one module share an `ElasticModule`, all share the policy. Those that must not run twice have
    the breaker of `resilience` alone. Raises as `lawow.formats.bundle.read_bundle`.
    """
    resilience, idempotent = options.get("resilience") or Resilience(), options.get("idempotent")
    options["policy"] = informed(options.get("policy"), options.pop("notifier", None))
    bundle = read_bundle(jar)
    homes = {item.file: ElasticModule(item.data, keeps_state=keeps_state) for item in bundle.modules}
    names = {f"{bound.class_name}.{bound.method}": bound for bound in bundle.methods}
    functions = {}
    for name, bound in names.items():
        home = homes[bound.module]
        own = options.copy()
        own["resilience"] = resilience.fitting(
            is_idempotent=home.is_pure if idempotent is None else idempotent, keeps_state=keeps_state
        )
        functions[name] = ElasticFunction(home, bound.export, signature=bound.signature, name=name, **own)
    return functions
