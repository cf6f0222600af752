public import Glibc

/// The kinds of system calls, in PostgreSQL's wording of failures ("could not open file …").
public enum SystemCall: String, Sendable, CaseIterable {
    case open = "open file"
    case read = "read file"
    case write = "write file"
    case fsync = "fsync file"
    case close = "close file"
    case stat = "stat file"
    case rename = "rename file"
    case link = "link file"
    case unlink = "remove file"
    case truncate = "truncate file"
    case lock = "lock file"
    case changeMode = "change the mode of file"
    case changeOwner = "change the owner of file"
    case makeDirectory = "create directory"
    case openDirectory = "open directory"
    case removeDirectory = "remove directory"
    case readLink = "read symbolic link"
    case makeLink = "create symbolic link"
    case spawn = "run"
    case wait = "wait for"
    case pipe = "open a pipe for"
    case thread = "start thread"
    case statFileSystem = "read the free space of"
    case signal = "signal process"
    case kernel = "set up"
}

/// A failed system call: which one, on what, and why.
public struct SystemError: Explained, Equatable {
    public let call: SystemCall
    /// The path, or another subject of the call.
    public let subject: String
    /// The value of `errno`.
    public let code: Int32

    public init(_ call: SystemCall, _ subject: String, code: Int32) {
        self.call = call
        self.subject = subject
        self.code = code
    }

    /// Whether a file system that is temporarily away would answer so: unmounted it lacks every file, on a network
    /// there are more errors. A failed fsync doesn't pass: the kernel reports it once, and the next one succeeds
    /// although what was written is lost.
    public var isTransient: Bool {
        call != .fsync && SystemError.transientCodes.contains(code)
    }

    private static let transientCodes = [
        ENOENT, EIO, ESTALE, ENODEV, ENXIO, ENOTCONN, ETIMEDOUT, EHOSTDOWN, EHOSTUNREACH, ENETDOWN, ENETUNREACH,
        ECONNRESET, ECONNREFUSED, EREMOTEIO, EAGAIN, EBUSY,
    ]

    public var isOutOfReach: Bool { true }
    public var preventsWriting: Bool { [ENOSPC, EDQUOT, EROFS].contains(code) }

    public var message: String { "could not \(call.rawValue) \"\(subject)\": \(String(cString: strerror(code)))" }
    public var hint: String? {
        switch code {
        case ENOSPC, EDQUOT: "Free space on the file system that holds it, then try again."
        case ELOOP:
            "There is a symbolic link in place of a directory or a file. It is not followed; find out who put it there."
        case EXDEV where call == .rename || call == .link:
            "It cannot be renamed where it is: a directory that comes from the image of a container (overlayfs) can't, and "
                + "neither can one on another file system than its new name. Copy it there, and put the copy in its place."
        case EXDEV: "Something is mounted there, and may be somebody else's: unmount it, then try again."
        case EILSEQ: "Its name isn't UTF-8. Rename it, and what refers to it."
        case EACCES, EPERM: "The file and the directories above it must be accessible to the user who runs tidemark."
        default: nil
        }
    }
}

/// Calls `body` again while it fails with EINTR, and throws on any other failure.
///
/// Every system call whose failure matters is made through this function or one of the two below, which alone read
/// `errno`. A test can make the call fail here (`Fault`).
@inlinable
public func retrying<Count: SignedInteger>(
    _ call: SystemCall, _ subject: @autoclosure () -> String, _ body: () -> Count
) throws(SystemError) -> Count {
    while true {
        if Fault.isArmed, let code = Fault.strike(call, subject()), code != EINTR {
            throw SystemError(call, subject(), code: code)
        }
        let result = body()
        if result >= 0 { return result }
        let code = errno
        if code != EINTR { throw SystemError(call, subject(), code: code) }
    }
}

/// As `retrying`, for a call that returns 0 or its error, and doesn't set `errno`.
func checking(_ call: SystemCall, _ subject: String, _ body: () -> Int32) throws(SystemError) {
    if Fault.isArmed, let code = Fault.strike(call, subject), code != EINTR {
        throw SystemError(call, subject, code: code)
    }
    let code = body()
    guard code == 0 else { throw SystemError(call, subject, code: code) }
}

/// close(2), once: after EINTR Linux has closed the descriptor all the same.
func closing(_ descriptor: Int32, _ subject: String) throws(SystemError) {
    if close(descriptor) != 0 { throw SystemError(.close, subject, code: errno) }
    if Fault.isArmed, let code = Fault.strike(.close, subject) { throw SystemError(.close, subject, code: code) }
}
