import Glibc
public import Platform

/// The built executables, copied once to a place the server's user can reach.
public enum Executables {
    /// Holds `tidemark` and `tidemark-main`. Taken from `$TIDEMARK_BIN` (`make test` names the release build), else
    /// from this checkout's release or debug build, whichever is newer.
    public static let directory: Result<String, any Error> = Result {
        let directory = try TestPlace.make("bin", in: TestPlace.onDisk)
        chmod(directory, 0o755)
        atexit {
            if case .success(let path) = Executables.directory { try? Files.removeTree(path) }
        }
        let root = Files.parent(Files.parent(Files.parent(#filePath)))
        let candidates =
            (getenv("TIDEMARK_BIN").map { [String(cString: $0)] } ?? [])
            + ["\(root)/.build/release", "\(root)/.build/debug"]
        let built = candidates.filter { access($0 + "/tidemark-main", X_OK) == 0 }
        guard let source = try getenv("TIDEMARK_BIN") == nil ? newest(of: built) : built.first else {
            throw Problem("tidemark is not built", hint: "Run \"make build\".")
        }
        for program in ["tidemark", "tidemark-main"] {
            let copied = try run("/bin/cp", [source + "/" + program, directory + "/" + program])
            guard copied.ending == .exited(0) else { throw Problem(copied.errors) }
            chmod(directory + "/" + program, 0o755)
        }
        return directory
    }

    private static func newest(of directories: [String]) throws -> String? {
        try directories.map { ($0, try FileStatus(of: $0 + "/tidemark-main").modified) }.max { $0.1 < $1.1 }?.0
    }

    public static func tidemark() throws -> String { try directory.get() + "/tidemark" }
}

/// Both executables have the commands that PostgreSQL runs.
public enum Program: String, CaseIterable, Sendable, CustomStringConvertible {
    case lean = "tidemark"
    case whole = "tidemark-main"
    public var description: String { rawValue }
}

/// Runs the built `tidemark` as the server's user.
@discardableResult
public func tidemark(
    _ arguments: [String], by program: Program = .lean, environment: [String: String] = [:], expectSuccess: Bool = false
) throws -> Finished {
    try runAsServerUser(
        Executables.directory.get() + "/" + program.rawValue, arguments, environment: environment,
        expectSuccess: expectSuccess)
}
