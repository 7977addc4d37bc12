/**
 * WebAssembly in an Android app: on the device, on an edge server, or wherever it is possible, behind one call.
 *
 * <p>Generated classes call {@link dev.lawow.Lawow}. Who wants a module of his own, with state, limits and functions of
 * the app, takes {@link dev.lawow.WasmModule}. What holds for all of it:
 *
 * <ul>
 *   <li>Sizes are in bytes, times in the unit that the name ends in, addresses are those of the guest's memory.
 *   <li>Every method may be called from any thread, and none belongs on the main thread unless it says that it returns at
 *       once: modules are compiled, guests run and sockets wait in the thread of the caller.
 *   <li>No parameter may be null and no result is null, unless the method says so.
 *   <li>Exceptions: {@link dev.lawow.Trap} is the guest's doing, {@link dev.lawow.RemoteException} the network's or the
 *       edge's, {@link java.lang.IllegalArgumentException} the caller's, {@link java.lang.IllegalStateException} says what
 *       this app lacks or what is closed.
 * </ul>
 */
package dev.lawow;
