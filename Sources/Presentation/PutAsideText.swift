public import Archiving
import Platform
public import Repository

/// `3 objects (FIRST to LAST)`.
private func objects(_ names: [String]) -> String {
    counted(names.count, "object")
        + (names.isEmpty ? "" : " (\(names[0])" + (names.count > 1 ? " to \(names[names.count - 1])" : "") + ")")
}

extension PutAside {
    fileprivate var objectWords: String { Presentation.objects(keys.map(\.name)) }
}

extension PutBack {
    fileprivate var objectWords: String { Presentation.objects(objects.map(\.place.name)) }
}

/// The question before putting aside.
public func putAsideQuestion(_ aside: PutAside) -> String {
    "\(aside.objectWords) will be put aside. "
        + "Recovery then doesn't use them, unless you ask for their timeline. Continue?"
}

/// The result of putting aside.
///
/// - Parameter folder: where the objects are now; nil in a dry run.
public func putAsideText(_ aside: PutAside, in folder: RepositoryKey?) -> String {
    guard let folder else { return joined(aside.keys.map { "would be put aside: \($0)" }) }
    return "Put aside: \(aside.objectWords), now in \(folder).\n"
        + "\"\(runnable("tidemark segments put-back \(aside.subject.name)"))\" brings them back."
}

/// The same as JSON.
public struct PutAsideDocument: Encodable {
    let name: String
    /// Where the objects are now; null in a dry run.
    let folder: String?
    let objects: [String]

    public init(_ aside: PutAside, in folder: RepositoryKey?) {
        (name, objects) = (aside.subject.name, aside.keys.map(\.description))
        self.folder = folder?.description
    }
}

/// The question before putting back.
public func putBackQuestion(_ back: PutBack) -> String {
    "\(back.objectWords) will be put back into the cluster's history. Continue?"
}

/// The objects that were put back, and those that stay.
public func putBackText(_ back: PutBack, dryRun: Bool) -> String {
    let moved =
        dryRun
        ? back.objects.map { "would be put back: \($0.place)" }
        : ["Put back: \(back.objectWords), from \(back.folder)."]
    let staying = back.staying.map { "stays put aside, as its place is taken: \($0.key)" }
    return joined(moved + staying)
}

/// The same as JSON.
public struct PutBackDocument: Encodable {
    let name: String
    let folder: String
    let objects: [String]
    /// Objects that stay, because others have been archived in their places.
    let staying: [String]

    public init(_ back: PutBack) {
        (name, folder) = (back.subject.name, back.folder.description)
        (objects, staying) = (back.objects.map(\.place.description), back.staying.map(\.key.description))
    }
}
