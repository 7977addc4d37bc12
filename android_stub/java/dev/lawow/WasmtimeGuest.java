package dev.lawow;

/** An instance behind the native functions. */
final class WasmtimeGuest implements Guest {
    private final String file;
    private final LocalCode.Code code;
    private final long fuel;
    private final HostCalls host;
    private final long handle;

    WasmtimeGuest(String file, LocalCode.Code code, long memoryBytes, long fuel, HostCalls host) {
        byte[][] failure = new byte[1][];
        this.file = file;
        this.code = code;
        this.fuel = fuel;
        this.host = host;
        this.handle = Native.instanceNew(code.engine.handle, memoryBytes, failure);
        Native.require(failure, file);
    }

    @Override
    public void start() {
        byte[][] failure = new byte[1][];
        Native.instanceStart(handle, code.linker, code.module, fuel, host, failure);
        require(failure, file);
    }

    @Override
    public long[] call(String export, String signature, long[] bits) {
        byte[][] failure = new byte[1][];
        long[] results =
            Native.instanceCall(handle, Native.utf8(export), Native.utf8(signature), bits, fuel, host, failure);
        require(failure, file + ": " + export);
        return results;
    }

    private void require(byte[][] failure, String subject) {
        if (host != null) {
            host.rethrow();
        }
        Native.require(failure, subject);
    }

    @Override
    public boolean has(String export) {
        return Native.instanceHas(handle, Native.utf8(export));
    }

    @Override
    public long memoryBytes() {
        return Native.instanceMemoryBytes(handle);
    }

    @Override
    public byte[] read(String subject, long address, int bytes) {
        byte[][] failure = new byte[1][];
        byte[] data = Native.instanceRead(handle, address, bytes, failure);
        Native.require(failure, subject);
        return data;
    }

    @Override
    public void write(String subject, long address, byte[] data) {
        byte[][] failure = new byte[1][];
        Native.instanceWrite(handle, address, data, failure);
        Native.require(failure, subject);
    }

    @Override
    public byte[] output() {
        return Native.instanceOutput(handle);
    }

    @Override
    public void arm() {
        Native.instanceArm(handle);
    }

    @Override
    public void expire() {
        Native.instanceExpire(handle);
        Native.engineTick(code.engine.handle);
    }

    @Override
    public void free() {
        Native.instanceFree(handle);
    }
}
