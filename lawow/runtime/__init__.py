"""The only place that knows WebAssembly engines.

`base` is the seam, `wasmtime_engine` the engine over the thin binding `libwasmtime`, `profiles` its
configurations, `cache` the compiled code on disk, `compile_worker` the child process that compiles.
Import from the modules: this package imports none of them, because start-up time matters.
"""
