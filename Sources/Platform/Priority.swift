import CLinux
import Glibc

/// The process's share of CPU and disk.
public enum Priority {
    /// Sets nice 19 and the idle I/O class for all present threads; later ones inherit both.
    public static func lower() {
        let threads = (try? Files.list("/proc/self/task")) ?? []
        for thread in [0] + threads.compactMap({ Int32($0) }) {
            setpriority(__priority_which_t(PRIO_PROCESS.rawValue), id_t(thread), 19)
            _ = clinux_idle_io(thread)
        }
    }
}
