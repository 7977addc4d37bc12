"""Every default limit of LAWOW: its unit, its reason, its precedent.

Nothing untrusted is ever unlimited by omission. Commands and the edge take other values by option;
a limit that is hit raises `LimitExceeded` with the field's name, so that the name here is what a user reads.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "ARCHIVE",
    "CALL",
    "CHANNEL",
    "COMPILE",
    "DALVIK",
    "EDGE",
    "MODULE",
    "NN",
    "NOTIFIER",
    "PROVING",
    "STATE",
    "TRACE",
    "ArchiveLimits",
    "CallLimits",
    "ChannelLimits",
    "CompileLimits",
    "DalvikLimits",
    "EdgeLimits",
    "ModuleLimits",
    "NnLimits",
    "NotifierLimits",
    "ProvingLimits",
    "StateLimits",
    "TraceLimits",
]

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class ModuleLimits:
    """What a WebAssembly module may hold before anybody compiles it.

    Compile bombs are cheap: 21.5 KiB that declare 100 million locals cost 14 s of CPU, a million empty
    functions 5.3 GiB. The counts below are one to two orders above real modules (SQLite: 1,900 functions).
    """

    module_bytes: int = 64 * MIB
    functions: int = 100_000
    locals_per_function: int = 5_000
    locals_in_all: int = 4_000_000
    function_body_bytes: int = 7_654_321  # the web's embedding limit
    exports: int = 100_000  # the web's embedding limit
    imports: int = 10_000
    name_bytes: int = 10_000
    local_bytes: int = 200_000_000  # locals x bytes of one body: 346 million cost 8 s, SQLite has 2 million


@dataclass(frozen=True, slots=True)
class CallLimits:
    """What one call of an export may use."""

    deadline_seconds: float = 60.0
    memory_bytes: int = 1 * GIB  # `lawow exec`; the edge gives a tenant EdgeLimits.memory_bytes
    table_elements: int = 100_000
    instances: int = 1
    tables: int = 4
    memories: int = 1
    wasm_stack_bytes: int = 512 * KIB  # wasmtime's own default; below every thread's native stack
    native_stack_bytes: int = 64 * MIB  # WasmEdge's library: the sum of its frames, estimated from above
    output_bytes: int = 16 * MIB
    arguments: int = 1_000  # the web's limit for parameters


@dataclass(frozen=True, slots=True)
class CompileLimits:
    """What compiling one module may cost in the child process that does it."""

    cpu_seconds: int = 60
    address_space_bytes: int = 4 * GIB
    in_process_bytes: int = 256 * KIB  # larger modules are compiled in a child: memory stays below 50 MB


@dataclass(frozen=True, slots=True)
class DalvikLimits:
    """What a method may have to be translated to WebAssembly. Java's own limit is 64 KiB of bytecode."""

    instructions: int = 30_000  # of a method, which Java's limit lets be 65,536 at most
    live_values: int = 400_000  # registers that are live, over all blocks of a method: a second of work
    registers: int = 1_000  # a 30 KiB method of a real codec has 90
    methods: int = 20_000  # of one module
    table_bytes: int = 4 * MIB  # of all constant tables of one module
    initializer_steps: int = 400_000  # of one static initialiser, seconds; tables of AES take 40,000
    initializer_steps_in_all: int = 2_000_000  # of all that one translation looks at


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """What an APK, a JAR or a ZIP may be."""

    archive_bytes: int = 1 * GIB
    entries: int = 65_535  # the format's own maximum without zip64
    entry_bytes: int = 512 * MIB  # uncompressed, counted while inflating
    dex_bytes: int = 256 * MIB
    manifest_bytes: int = 16 * MIB
    loaded_bytes: int = 512 * MIB  # what is in memory together: all dex files of a set, a bundle's modules
    inflated_bytes: int = (
        4 * GIB
    )  # of all entries, where all are read in turn: v1; at 1,000:1 DEFLATE is slow
    bundle_modules: int = 256


@dataclass(frozen=True, slots=True)
class NnLimits:
    """What a guest that was granted ``nn`` may use for inference, beside its time (`CallLimits`)."""

    model_bytes: int = 512 * MIB  # one model; and all that one instance brings along by itself, together
    nodes: int = 100_000  # of a model, functions expanded: 18 functions of two calls each are 262,144
    graphs: int = 16  # the interface has no call that gives one back
    contexts: int = 64  # nor for these
    dimensions: int = 16  # of one tensor; a video batch has 5
    tensor_bytes: int = 128 * MIB  # that goes in; a 4K picture of three float channels is 95 MiB
    held_bytes: int = 1 * GIB  # inputs and outputs that all contexts of an instance keep
    memory_bytes: int = 2 * GIB  # weights and intermediate tensors of all models, on each device
    threads: int = 4  # of one model; never more than the machine has processors
    name_bytes: int = 256  # of a model


@dataclass(frozen=True, slots=True)
class ProvingLimits:
    """What comparing a translated method with the original may cost (`lawow refactor --auto`)."""

    fuel: int = 5_000_000  # of one call in WebAssembly, about 5 ms; random arguments may make endless loops
    memory_bytes: int = 64 * MIB  # of one call; a random length may be any number
    heap_bytes: int = 256 * MIB  # of the JVM, which holds a call's arrays several times
    call_seconds: int = 10  # one call on the JVM, which ended within `fuel` in WebAssembly
    tool_seconds: int = 600  # one run of enjarify or of the JVM
    cases: int = 100_000  # of one method


@dataclass(frozen=True, slots=True)
class TraceLimits:
    """What a method trace of Android may be (`lawow profile`)."""

    trace_bytes: int = (
        512 * MIB
    )  # 37 million records; the tracer's own buffer has 8 MiB unless told otherwise
    methods: int = 1_000_000  # with a name; Android's own classes have about 300,000
    open_calls: int = 1_000_000  # that have begun and not ended, of all threads


@dataclass(frozen=True, slots=True)
class StateLimits:
    """What the state of an instance may be, from wherever it comes."""

    encoded_bytes: int = 1 * GIB + 64 * MIB  # of a file: a memory in which nothing can be compressed
    unpacked_bytes: int = 1 * GIB + 64 * MIB  # `CallLimits.memory_bytes`, beside it tables and numbers


@dataclass(frozen=True, slots=True)
class EdgeLimits:
    """What the edge gives one tenant and one request, unless the operator says otherwise."""

    deadline_seconds: float = 10.0  # a call may ask for less, and for no more than this
    grace_seconds: float = 0.5  # between the deadline and the worker's end
    memory_bytes: int = 256 * MIB  # of one instance
    module_bytes: int = 16 * MIB
    model_bytes: int = 64 * MIB  # of ONNX; detectors for small devices have 5 to 30
    models_per_tenant: int = 32  # each is a descriptor of the tenant's worker
    nn_threads_per_tenant: int = 1  # that run a model; with one a worker still uses one processor
    bundle_bytes: int = 64 * MIB
    call_bytes: int = 1 * MIB  # body of one call; NATS has the same payload limit
    modules_per_tenant: int = 256
    bytes_per_tenant: int = 1 * GIB
    calls_waiting_per_tenant: int = 64
    cpu_seconds_per_day: int = 86_400  # one processor all day, which is what a worker can use
    calls_per_day: int = 10_000_000  # 115 in each second
    requests_per_second: int = 5_000  # of a tenant; more than one edge answers
    connections_per_tenant: int = 512  # half of all, so that one tenant cannot keep the others out
    usage_flush_seconds: float = 5.0  # what a crash may lose of the counts of calls and processor time
    audit_records: int = 100_000  # then the oldest go, a tenth at a time
    ready_free_bytes: int = 64 * MIB  # with less on the disk the edge is not ready: no upload fits any more
    worker_idle_seconds: float = 300.0
    sessions_per_tenant: int = 16  # live instances; together with a running call they share `memory_bytes`
    session_idle_seconds: float = 300.0
    state_bytes: int = 64 * MIB  # of a session, compressed, on its way in or out
    session_unseen_memory_bytes: int = 8 * MIB  # for a memory that is not exported, whose size nobody sees
    header_bytes: int = 16 * KIB
    connections: int = 1_000
    connections_per_address: int = 256  # many phones share one address behind a carrier's NAT
    handshake_seconds: float = 5.0  # TLS; NATS gives 2
    head_seconds: float = 10.0  # from a connection's or a request's first byte to the end of its header
    body_seconds: float = 10.0  # a body may take this long, plus its size at `body_bytes_per_second`
    body_bytes_per_second: int = 8 * KIB
    keep_alive_seconds: float = 60.0
    failed_authentications_per_minute: int = 5  # per address; then one more each `60 / 5` seconds
    uploads_running_per_tenant: int = 2
    waiting_seconds: float = 30.0  # a call that could not start by then is refused as busy
    workers: int = 32  # processes at one time; each may use `memory_bytes` and about 40 MiB of its own
    compiled_bytes_per_tenant: int = 2 * GIB  # cache of compiled modules; the oldest go
    worker_losses: int = 3  # a module that ends its worker so often within `worker_loss_seconds` ...
    worker_loss_seconds: float = 10.0  # ... rests for `quarantine_seconds`
    quarantine_seconds: float = 60.0
    document_bytes: int = 64 * KIB  # a JSON document of the control plane
    requests_per_tenant: int = 64  # offload requests that are open, each with its offers
    offer_seconds: float = 60.0  # an offer that nobody takes ends by then
    lease_seconds: float = 600.0  # without use; each use and each PUT begins it anew
    leases: int = 512  # in force, of all tenants together
    leases_per_tenant: int = 64  # in force; instances are fewer, `sessions_per_tenant`
    shared_modules_per_tenant: int = 64
    tenants_per_shared_module: int = 64
    remembered_seconds: float = 3600.0  # ended leases, and answers that an Idempotency-Key repeats
    kept_calls: int = 8_192  # of a tenant, over HTTP and with an Idempotency-Key; none of them runs again
    kept_call_bytes: int = 1 * MIB  # results of these, together
    kept_call_seconds: float = 600.0
    hosts: int = 256  # in a hosts file
    data_connections: int = 512  # of a tenant's data plane, sessions that wait for their client among them
    data_strangers: int = 128  # connections beside these that have not shown a token yet, for 5 s at most
    data_strangers_per_network: int = 32  # of an IPv4 address or an IPv6 /64; beyond, the oldest is closed
    data_channels: int = 512  # of a tenant's worker; each may hold two windows: `ChannelLimits.window_bytes`
    websocket_seconds: float = 10.0  # for the other end to answer the end of a WebSocket
    websocket_controls_per_second: int = 64  # pings, pongs, empty messages; keepalive is one in many seconds
    view_pixels: int = 2_048  # a side of a view: 16 MiB once a browser has unpacked it
    overview_listeners: int = 32  # streams of the overview, each with a document a second
    overview_listeners_per_tenant: int = 4
    overview_stream_seconds: float = 300.0  # then its reader asks again, with a token that is still in force


@dataclass(frozen=True, slots=True)
class ChannelLimits:
    """What one end of the data plane's protocol takes from the other, for one connection and its session.

    A server holds at most `call_bytes` of arguments, `kept_bytes` of results and 2 x `channels` x
    `window_bytes` of messages; a client `result_bytes` for each call that it makes, and the same of messages.
    """

    frame_bytes: int = 1 * MIB  # payload of one frame; NATS has the same. What is larger travels in parts
    control_bytes: int = 16 * KIB  # payload of a frame without values; HELLO with 1,024 calls has 5 KiB
    calls: int = 256  # without an outcome; gRPC servers commonly give 100 or 128
    call_bytes: int = 8 * MIB  # arguments of all calls without an outcome together, so of one call as well
    result_bytes: int = 8 * MIB  # of one call; the caller states it
    bindings: int = 256  # functions that a session has bound
    channels: int = 64
    window_bytes: int = 256 * KIB  # messages that a receiver has not taken yet, each with 16 bytes on top
    kept_results: int = 1_024  # outcomes that the caller has not acknowledged, for a caller that comes back
    kept_bytes: int = 1 * MIB  # of these, together
    kept_seconds: float = 600.0
    resume_seconds: float = 60.0  # a session without a connection; a phone changes networks in seconds
    handshake_seconds: float = 5.0  # from the connection's start to WELCOME; NATS gives 2
    frame_seconds: float = 10.0  # from a frame's first byte to its last; 1 MiB needs 100 KiB/s
    ping_seconds: float = 60.0  # of silence before a PING; shorter ones keep a phone's radio awake
    pings_missed: int = 2
    websocket_bytes: int = 64 * KIB  # of one WebSocket message, which waits in memory until it is whole


@dataclass(frozen=True, slots=True)
class NotifierLimits:
    """What the Notifier reads of a system and of a trace, and keeps for a subscriber."""

    file_bytes: int = 64 * KIB  # of one file; /proc/stat with 512 processors has 60 KiB
    devices: int = 128  # of one class in sysfs; phones have up to 100 thermal zones
    trace_bytes: int = 64 * MIB
    trace_line_bytes: int = 4 * KIB
    events: int = 1_024  # that an iterator has not taken; then the oldest go


MODULE = ModuleLimits()
CALL = CallLimits()
COMPILE = CompileLimits()
DALVIK = DalvikLimits()
ARCHIVE = ArchiveLimits()
NN = NnLimits()
PROVING = ProvingLimits()
STATE = StateLimits()
TRACE = TraceLimits()
EDGE = EdgeLimits()
CHANNEL = ChannelLimits()
NOTIFIER = NotifierLimits()
