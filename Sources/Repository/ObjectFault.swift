import Glibc
public import Platform

extension Explained {
    /// Whether it says of one object that it isn't there, can't be read or can't be understood: others may be whole. It doesn't
    /// when the repository itself is away, or this process lacks memory, descriptors or room.
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
