import Archiving
import Configuration
import Operations
import Repository

/// `tidemark segments put-aside NAME`.
enum PutAsideAction {
    static let options: [Grammar.Option] = [
        .init("following", "with put-aside and a segment: all later segments of its timeline as well"),
        .init("reason", value: "TEXT", "with put-aside: why, for the record"),
        .init("certain", "with put-aside: put it aside although no primary here can confirm that it is not needed"),
        .init("yes", letter: "y", "with put-aside and put-back: do not ask"),
        .init("dry-run", "with put-aside and put-back: say what would move, and move nothing"),
    ]

    private struct Document: Encodable {
        let name: String
        /// Where the objects are now; null in a dry run.
        let folder: String?
        let objects: [String]
    }

    static func subject(_ name: String) throws -> PutAside.Subject {
        guard let subject = PutAside.Subject(name) else {
            throw UsageError(
                "\"\(name)\" is no segment, .partial, .backup or timeline",
                hint: "Name it as \"tidemark segments\" shows it; a timeline by its history file or number.")
        }
        return subject
    }

    static func run(_ invocation: Invocation, _ name: String) throws -> ExitStatus {
        let subject = try subject(name)
        let arguments = invocation.arguments
        let job = try PutAsideJob(
            subject, following: arguments.has("following"), isCertain: arguments.has("certain"),
            of: invocation.cluster())
        let aside = job.found
        let names = aside.keys.map(\.name)
        var folder: String?
        if !arguments.has("dry-run") {
            let question =
                "\(objects(names)) will be put aside. "
                + "Recovery then does without them, unless it is told to go to their timeline. Continue?"
            guard try invocation.confirm(question) else { return .interrupted }
            folder = try job.run(reason: arguments.value("reason") ?? "").description
        }
        if invocation.json {
            try invocation.print(
                json: Document(name: subject.name, folder: folder, objects: aside.keys.map(\.description)))
        } else if let folder {
            invocation.print("Put aside: \(objects(names)), now in \(folder).")
            invocation.print("\"tidemark segments put-back \(subject.name)\" brings them back.")
        } else {
            for key in aside.keys { invocation.print("would be put aside: \(key)") }
        }
        return .success
    }

    /// `3 objects (FIRST to LAST)`.
    static func objects(_ names: [String]) -> String {
        "\(names.count) \(names.count == 1 ? "object" : "objects")"
            + (names.isEmpty ? "" : " (\(names[0])" + (names.count > 1 ? " to \(names[names.count - 1])" : "") + ")")
    }
}

/// `tidemark segments put-back NAME`.
enum PutBackAction {
    private struct Document: Encodable {
        let name: String
        let folder: String
        let objects: [String]
        /// What stays where it is, because the same has been archived again.
        let staying: [String]
    }

    static func run(_ invocation: Invocation, _ name: String) throws -> ExitStatus {
        let subject = try PutAsideAction.subject(name)
        let job = try PutBackJob(subject, of: invocation.cluster())
        let back = job.found
        let names = back.objects.map(\.place.name)
        let isDryRun = invocation.arguments.has("dry-run")
        if !isDryRun {
            let question = "\(PutAsideAction.objects(names)) will be put back into the cluster's history. Continue?"
            guard try invocation.confirm(question) else { return .interrupted }
            try job.run()
        }
        if invocation.json {
            try invocation.print(
                json: Document(
                    name: subject.name, folder: back.folder.description,
                    objects: back.objects.map(\.place.description), staying: back.staying.map(\.key.description)))
            return .success
        }
        if isDryRun {
            for object in back.objects { invocation.print("would be put back: \(object.place)") }
        } else {
            invocation.print("Put back: \(PutAsideAction.objects(names)), from \(back.folder).")
        }
        for object in back.staying {
            invocation.print("stays put aside, as its place is taken: \(object.key)")
        }
        return .success
    }
}
