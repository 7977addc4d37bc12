package dev.lawow;

import java.util.ArrayList;
import java.util.List;
import run.endive.runtime.HostFunction;
import run.endive.runtime.ImportFunction;
import run.endive.runtime.ImportValues;
import run.endive.runtime.Instance;
import run.endive.runtime.WasmFunctionHandle;
import run.endive.wasm.WasmModule;
import run.endive.wasm.types.FunctionImport;
import run.endive.wasm.types.FunctionType;
import run.endive.wasm.types.Import;
import run.endive.wasm.types.ValType;

/** What a module imports, out of the app's functions and WASI; the app's win. */
final class EndiveImports {
    private final String file;
    private final WasmModule module;
    private final EndiveWasi wasi;
    private final HostCalls host;

    EndiveImports(String file, WasmModule module, EndiveWasi wasi, HostCalls host) {
        this.file = file;
        this.module = module;
        this.wasi = wasi;
        this.host = host;
    }

    /** Returns a function for each import. Throws {@link IllegalStateException} for one that nobody offers so. */
    ImportValues of(List<HostCalls.Import> offered) {
        List<ImportFunction> found = new ArrayList<ImportFunction>();
        for (int at = 0; at < module.importSection().importCount(); at++) {
            Import wanted = module.importSection().getImport(at);
            if (!(wanted instanceof FunctionImport)) {
                throw new IllegalStateException(place(wanted) + ": imports something that is no function");
            }
            FunctionType type = module.typeSection().getType(((FunctionImport) wanted).typeIndex());
            WasmFunctionHandle function = function(wanted, letters(type), offered);
            found.add(new HostFunction(wanted.module(), wanted.name(), type, function));
        }
        return ImportValues.builder().withFunctions(found).build();
    }

    private String place(Import wanted) {
        return file + ": " + wanted.module() + "." + wanted.name();
    }

    private WasmFunctionHandle function(Import wanted, String signature, List<HostCalls.Import> offered) {
        String has = null;
        for (int at = offered.size() - 1; at >= 0; at--) { // of two with the same name, the later one
            HostCalls.Import item = offered.get(at);
            if (has == null && item.module.equals(wanted.module()) && item.name.equals(wanted.name())) {
                has = item.signature.core();
                if (has.equals(signature)) {
                    return hosted(at);
                }
            }
        }
        if (has == null && wanted.module().equals(EndiveWasi.MODULE)) {
            has = EndiveWasi.signature(wanted.name());
            if (signature.equals(has)) {
                return wasi.function(wanted.name());
            }
        }
        String why = has == null ? "nobody offers it" : "the signature offered is " + has;
        throw new IllegalStateException(place(wanted) + ": imported as " + signature + ", but " + why);
    }

    private WasmFunctionHandle hosted(final int index) {
        return new WasmFunctionHandle() {
            @Override
            public long[] apply(Instance caller, long... bits) {
                long[] results = host.call(index, bits);
                if (results == null) {
                    throw new HostCalls.Thrown();
                }
                return results;
            }
        };
    }

    /** Returns a type in the letters of {@link Signature}; what has none there is {@code ?}. */
    static String letters(FunctionType type) {
        StringBuilder text = new StringBuilder();
        append(text, type.params());
        text.append('>');
        append(text, type.returns());
        return text.toString();
    }

    private static void append(StringBuilder text, List<ValType> types) {
        for (ValType type : types) {
            text.append(
                type.equals(ValType.I32) ? 'i' : type.equals(ValType.I64) ? 'I'
                    : type.equals(ValType.F32) ? 'f' : type.equals(ValType.F64) ? 'F' : '?');
        }
    }
}
