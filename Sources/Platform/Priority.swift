import CLinux
import Glibc

/// The process's share of CPU and disk.
public enum Priority {
    /// Only what nobody else wants: nice 19 and the idle I/O class. Threads started afterwards inherit both.
    public static func lower() {
        _ = nice(19)
        _ = clinux_idle_io()
    }
}
