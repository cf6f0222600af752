import CLinux
import Glibc

/// Opens files below a directory only: no name in the path may be a symbolic link, whoever put it there and however
/// late (`openat2` with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS, man 2 openat2).
enum Beneath {
    /// -1 and `errno` on failure: ELOOP for a link, EXDEV for a path that leads out of the directory.
    static func open(_ directory: Int32, _ name: String, _ flags: Int32, _ mode: mode_t) -> Int32 {
        let flags = flags | O_CLOEXEC
        return hasOneCall
            ? clinux_openat2(directory, name, flags, mode) : clinux_open_by_components(directory, name, flags, mode)
    }

    /// As above for a directory, unless something is mounted there: EXDEV.
    static func openOnSameMount(_ directory: Int32, _ name: String, hasOneCall: Bool) -> Int32 {
        hasOneCall
            ? clinux_open_on_same_mount(directory, name) : clinux_open_on_same_mount_by_components(directory, name)
    }

    /// False on old kernels (ENOSYS) and in containers that filter the call (EPERM): then each name is opened by a call
    /// of its own.
    static let hasOneCall: Bool = {
        let flags = clinux_path_flag() | O_CLOEXEC
        guard let raw = try? retrying(.kernel, "openat2", { clinux_openat2(AT_FDCWD, ".", flags, 0) }) else {
            return false
        }
        close(raw)
        return true
    }()
}

extension Place {
    /// Makes a call about a name in a directory. In a confined one the directory that contains the name is opened
    /// first, without following links; the call itself must not follow the last name.
    func anchored<Count: SignedInteger>(_ body: (_ directory: Int32, _ name: String) -> Count) -> Count {
        guard isConfined, let slash = name.lastIndex(of: "/") else { return body(raw, name) }
        let above = Beneath.open(raw, String(name[..<slash]), clinux_path_flag() | O_DIRECTORY, 0)
        guard above >= 0 else { return -1 }
        let result = body(above, String(name[name.index(after: slash)...]))
        clinux_close_quietly(above)
        return result
    }

    /// open(2); in a confined directory without following any link.
    func opened(_ flags: Int32, _ mode: mode_t) -> Int32 {
        isConfined ? Beneath.open(raw, name, flags, mode) : openat(raw, name, flags | O_CLOEXEC, mode)
    }
}
