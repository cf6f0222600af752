import Glibc
public import Platform

extension Explained {
    /// Whether the error says of one object that it is absent, unreadable or malformed, so that others may be whole.
    /// False when the repository itself is away, or this process lacks something.
    public var concernsOneObject: Bool {
        guard !isOwnShortage else { return false }
        return switch self {
        case is ObjectAbsent, is ObjectDamaged, is UnreachableObject, is NotAnObject, is UnsupportedFormat: true
        case let error as SystemError:
            [.open, .read, .stat, .openDirectory, .readLink].contains(error.call)
        default: false
        }
    }

    /// Whether this process lacks memory, descriptors, threads or a place to write, so that the error says nothing
    /// about what was to be read.
    public var isOwnShortage: Bool {
        if preventsWriting { return true }
        switch self {
        case let error as SystemError:
            return [EMFILE, ENFILE, ENOMEM].contains(error.code) || [.thread, .spawn, .pipe].contains(error.call)
        case let error as CodecError: return error.isOutOfMemory
        default: return false
        }
    }

    /// What is wrong with the object, as sentences.
    public var objectFault: String { ["\(message).", detail].compactMap { $0 }.joined(separator: " ") }
}
