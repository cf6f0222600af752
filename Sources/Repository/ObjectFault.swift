import Glibc
public import Platform

extension Explained {
    /// Whether the error says of one object that it is absent, unreadable or malformed, so that others may be whole.
    /// False when the repository itself is away, or this process lacks memory, descriptors or disk space.
    public var concernsOneObject: Bool {
        switch self {
        case is ObjectAbsent, is ObjectDamaged, is UnreachableObject, is NotAnObject, is UnsupportedFormat: true
        case let error as SystemError:
            [.open, .read, .stat, .openDirectory, .readLink].contains(error.call)
                && ![EMFILE, ENFILE, ENOMEM].contains(error.code) && !error.preventsWriting
        default: false
        }
    }

    /// What is wrong with the object, as sentences.
    public var objectFault: String { ["\(message).", detail].compactMap { $0 }.joined(separator: " ") }
}
