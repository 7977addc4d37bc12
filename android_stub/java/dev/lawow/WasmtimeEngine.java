package dev.lawow;

import java.util.List;

/** Wasmtime, or another engine behind the same native functions: the app's libraries. */
final class WasmtimeEngine extends Engine {
    @Override
    void prepare(Configuration configuration) {
        LocalEngine.of(
            LocalEngine.flags(configuration.fuel(), configuration.localTimeoutNanos(), configuration), configuration);
    }

    @Override
    ModuleCode load(
            ModuleName name, byte[] data, long fuel, long deadlineNanos, List<HostCalls.Import> imports,
            Configuration configuration) {
        return new LocalCode(name, data, LocalEngine.flags(fuel, deadlineNanos, configuration), imports, configuration);
    }
}
