import Synchronization

/// A tidemark command that a message offers, as it is to be typed: with the options without which it would fail, or act
/// on another cluster. Every command in a message is made by this, and none in what is written into a file that others
/// are called from (`ServerCommands`).
///
/// - Parameter command: begins with `tidemark`; its words are quoted for a shell where they need it.
public func runnable(_ command: String) -> String { command + commonOptions.withLock { $0 } }

/// Says which options commands are offered with. A process works for one cluster, as it was called.
///
/// - Parameter options: each an option's name with its dashes, and its value.
public func offerCommands(with options: [(name: String, value: String)]) {
    let words = options.map { " \($0.name) \(shellQuoted($0.value))" }.joined()
    commonOptions.withLock { $0 = words }
}

private let commonOptions = Mutex("")
