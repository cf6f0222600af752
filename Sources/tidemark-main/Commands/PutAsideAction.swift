import Archiving
import Configuration
import Messages
import Operations
import Platform
import Presentation
import Repository

/// `tidemark segments put-aside NAME`.
enum PutAsideAction {
    static let options: [Grammar.Option] = [
        .init("following", "with put-aside and a segment: all later segments of its timeline as well"),
        .init("reason", value: "TEXT", "with put-aside: why, for the record"),
        .init(
            "certain",
            "with put-aside: put it aside although no primary here can confirm that it is not needed; with put-back: "
                + "put it back although other WAL around it contradicts it"),
        .init("yes", letter: "y", "with put-aside and put-back: do not ask"),
        .init("dry-run", "with put-aside and put-back: say what would be moved, and move nothing"),
    ]

    static func subject(_ name: String) throws -> PutAside.Subject {
        guard let subject = PutAside.Subject(name) else {
            throw UsageError(
                "\"\(name)\" is not a segment, .partial, .backup or timeline",
                hint: "Name it as "
                    + "\"\(runnable("tidemark segments"))\" shows it; a timeline by its history file or number.")
        }
        return subject
    }

    static func run(_ invocation: Invocation, _ name: String) throws -> ExitStatus {
        let arguments = invocation.arguments
        let reason = try arguments.remark("reason") ?? ""
        let job = try PutAsideJob(
            subject(name), following: arguments.has("following"), isCertain: arguments.has("certain"),
            of: invocation.becomeOwner())
        var folder: RepositoryKey?
        if !arguments.has("dry-run") {
            guard try invocation.confirm(putAsideQuestion(job.found)) else { return .interrupted }
            folder = try job.run(reason: reason)
        }
        if invocation.json {
            try invocation.print(json: PutAsideDocument(job.found, in: folder))
        } else {
            invocation.print(putAsideText(job.found, in: folder))
        }
        return .success
    }
}

/// `tidemark segments put-back NAME`.
enum PutBackAction {
    static func run(_ invocation: Invocation, _ name: String) throws -> ExitStatus {
        let job = try PutBackJob(
            PutAsideAction.subject(name), isCertain: invocation.arguments.has("certain"), of: invocation.becomeOwner())
        let dryRun = invocation.arguments.has("dry-run")
        if !dryRun {
            guard try invocation.confirm(putBackQuestion(job.found)) else { return .interrupted }
            try job.run()
        }
        if invocation.json {
            try invocation.print(json: PutBackDocument(job.found))
        } else {
            invocation.print(putBackText(job.found, dryRun: dryRun))
        }
        if !dryRun, let remark = job.remark() {
            invocation.log(.warning, remark.message, detail: remark.detail, hint: remark.hint)
        }
        return .success
    }
}
