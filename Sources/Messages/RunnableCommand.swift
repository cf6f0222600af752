import Synchronization

/// A tidemark command that a message offers, as it is to be typed: with the options without which it would fail, or act
/// on another cluster. Every command in a message is made by this, and none in what is written into a file that others
/// are called from (`ServerCommands`).
///
/// - Parameters:
///   - command: begins with `tidemark`; its words are quoted for a shell where they need it.
///   - isForAnotherHost: whether it is to be typed on another host, whose paths are its own: the cluster has the same
///     name there, and the configuration its usual place, as far as anybody here knows.
public func runnable(
    _ command: String, onAnotherHost isForAnotherHost: Bool = false, file: StaticString = #fileID, line: Int = #line,
    column: Int = #column
) -> String {
    let options = commonOptions.withLock { $0 }.filter { !isForAnotherHost || $0.name == "--cluster" }
    let whole = command + options.map { " \($0.name) \(shellQuoted($0.value))" }.joined()
    observer.withLock { $0 }?(whole, "\(file):\(line):\(column)")
    return whole
}

/// Lets tests see every command that is made, and the place in the sources that makes it: they compare what is printed
/// with what they execute.
public func observeOffers(_ observe: @escaping @Sendable (_ command: String, _ place: String) -> Void) {
    observer.withLock { $0 = observe }
}

private let observer = Mutex<(@Sendable (String, String) -> Void)?>(nil)

/// Says which options commands are offered with. A process works for one cluster, as it was called.
///
/// - Parameter options: each an option's name with its dashes, and its value.
public func offerCommands(with options: [(name: String, value: String)]) {
    commonOptions.withLock { $0 = options }
}

private let commonOptions = Mutex<[(name: String, value: String)]>([])

/// A command of one of the server's programs that a message offers, as it is to be typed: these don't run as root, and
/// find files and sockets only as the user to whom the server's files belong.
///
/// - Parameter command: with the program's full path where that is known, since it is rarely on PATH.
public func runnableAsOwner(_ command: String) -> String { ownersShell.withLock { $0 } + command }

/// Says that whoever types the offered commands is not the owner of the server's files.
///
/// - Parameters:
///   - owner: the operating system's name of the owner.
///   - hasSudo: whether this process was called through sudo; otherwise root types them.
public func offerCommands(asOwner owner: String, hasSudo: Bool) {
    ownersShell.withLock {
        $0 = hasSudo ? "sudo -u \(shellQuoted(owner)) " : "runuser -u \(shellQuoted(owner)) -- "
    }
}

private let ownersShell = Mutex("")
