import CLinux
import Glibc

/// Opens what lies below a directory, and nothing else: no name on the way may be a symbolic link, whoever put it there and
/// however late (`openat2` with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS, man 2 openat2).
enum Beneath {
    /// -1, and `errno`: ELOOP for a link, EXDEV for a way that leads out.
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

    /// ENOSYS of an old kernel, EPERM of a container's filter of system calls: then one call for each name does the same.
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
    /// Makes a call about a name in a directory. In a confined one the directory that holds the name is opened first, without
    /// following any link; the last name is for the call itself not to follow.
    func anchored<Count: SignedInteger>(_ body: (_ directory: Int32, _ name: String) -> Count) -> Count {
        guard isConfined, let slash = name.lastIndex(of: "/") else { return body(raw, name) }
        let above = Beneath.open(raw, String(name[..<slash]), clinux_path_flag() | O_DIRECTORY, 0)
        guard above >= 0 else { return -1 }
        let result = body(above, String(name[name.index(after: slash)...]))
        let code = errno
        close(above)
        errno = code
        return result
    }

    /// open(2); in a confined directory without following any link.
    func opened(_ flags: Int32, _ mode: mode_t) -> Int32 {
        isConfined ? Beneath.open(raw, name, flags, mode) : openat(raw, name, flags | O_CLOEXEC, mode)
    }
}
