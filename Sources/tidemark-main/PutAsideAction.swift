import Archiving
import Configuration
import DataDirectory
import Platform
import Repository
import WAL

/// `tidemark segments put-aside NAME`.
enum PutAsideAction {
    static let options: [Grammar.Option] = [
        .init("following", "with put-aside and a segment: all later segments of its timeline as well"),
        .init("reason", value: "TEXT", "with put-aside: why, for the record"),
        .init("yes", letter: "y", "with put-aside: do not ask"),
        .init("dry-run", "with put-aside: say what would move, and move nothing"),
    ]

    private struct Document: Encodable {
        let name: String
        /// Where the objects are now; null in a dry run.
        let folder: String?
        let objects: [String]
    }

    static func run(_ invocation: Invocation, _ name: String) throws -> ExitStatus {
        guard let subject = PutAside.Subject(name) else {
            throw UsageError(
                "\"\(name)\" is no segment, .partial or timeline",
                hint: "Name it as \"tidemark segments\" shows it; a timeline by its history file or number.")
        }
        let cluster = try invocation.cluster()
        let store = DirectoryStore(cluster.repository)
        let incarnation = try currentIncarnation(of: cluster, in: store)
        try PutAsideCheck(dataDirectory: cluster.dataDirectory, incarnation, store).refuse(subject)
        let aside = try PutAside(
            subject, following: invocation.arguments.has("following"), of: incarnation, in: store)
        let names = aside.keys.map(\.name)
        var folder: String?
        if !invocation.arguments.has("dry-run") {
            let question =
                "\(names.count) \(names.count == 1 ? "object" : "objects") (\(names[0])"
                + (names.count > 1 ? " to \(names[names.count - 1])" : "") + ") will be put aside. "
                + "Recovery then does without them, unless it is told to go to their timeline. Continue?"
            guard try invocation.confirm(question) else { return .interrupted }
            folder = try aside.carryOut(
                now: Moment(microseconds: Clock.now), reason: invocation.arguments.value("reason") ?? ""
            ).description
        }
        if invocation.json {
            try invocation.print(
                json: Document(name: subject.name, folder: folder, objects: aside.keys.map(\.description)))
        } else if let folder {
            invocation.print("Put aside: \(names.count) \(names.count == 1 ? "object" : "objects"), now in \(folder).")
        } else {
            for key in aside.keys { invocation.print("would be put aside: \(key)") }
        }
        return .success
    }
}
