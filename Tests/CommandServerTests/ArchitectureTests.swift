import Platform
import Support
import Testing

/// docs/architecture.md, Package.swift and the imports of the sources agree.
struct ArchitectureTests {
    private static let root = DocumentationTests.root
    /// Modules and their imports, in order.
    private struct House: Equatable {
        var names: [String] = []
        var imports: [String: Set<String>] = [:]
    }

    /// The declarations in Package.swift, in order, including tests.
    private func declared() throws -> House {
        var house = House()
        let text = try Files.readText(Self.root + "/Package.swift")
        let targets = text.split(separator: "targets: [\n").last ?? ""
        let declaration =
            /(?:module|tests|\.target|\.executableTarget|\.systemLibrary)\(\s*(?:name: )?"([\w-]+)"([^\n]*(?:\n(?! *(?:module|tests|\.target|\.executableTarget|\.systemLibrary|\/\/)\b)[^\n]*)*)/
        for match in targets.matches(of: declaration) {
            let name = String(match.1)
            house.names.append(name)
            let list = match.2.firstMatch(of: /(?:dependencies: |, |,\s+)\[([^\]]*)\]/)?.1 ?? ""
            house.imports[name] = Set(list.matches(of: /"([\w-]+)"/).map { String($0.1) })
            if name.hasSuffix("Tests") { house.imports[name]?.insert("Support") }
        }
        return house
    }

    /// What the sources of a module import, of the modules in `house`.
    private func imported(_ name: String, of house: House) throws -> Set<String> {
        let folders = ["\(Self.root)/Sources/\(name)", "\(Self.root)/Tests/\(name)"]
        let folder = try #require(folders.first { (try? Files.exists($0)) == true }, "\(name)")
        let lines = try run("/bin/grep", ["-rhE", "--include=*.swift", "^(@[a-z_]+ )?([a-z]+ )?import ", folder])
            .output
        // The module is the last word.
        return Set(lines.split(separator: "\n").compactMap { $0.split(separator: " ").last.map(String.init) })
            .intersection(house.names)
    }

    @Test func `Package.swift declares what is imported, no more and no less, and no import points upwards`() throws {
        let house = try declared()
        try #require(house.names.count > 40, "\(house.names)")
        for (place, name) in house.names.enumerated()
        where !name.hasPrefix("C") || house.imports[name]?.isEmpty == false {
            let declared = house.imports[name] ?? []
            for below in declared {
                #expect(
                    try #require(house.names.firstIndex(of: below), "\(name) needs \(below)") < place,
                    "\(name) imports \(below), which stands below it")
            }
            // C targets include headers instead.
            guard try imported(name, of: house) != [] || !name.hasPrefix("C") else { continue }
            // Every suite may use Support.
            #expect(try imported(name, of: house).union(["Support"]) == declared.union(["Support"]), "\(name)")
        }
    }

    @Test func `the page has a paragraph for each module, in the order and with the imports of Package.swift`() throws {
        let house = try declared()
        let isC = { (name: String) in name.wholeMatch(of: /C[A-Z]\w+/) != nil && !["Catalog"].contains(name) }
        let modules = house.names.filter { !isC($0) && !$0.hasSuffix("Tests") && $0 != "Support" }
        let page = try Files.readText(Self.root + "/docs/architecture.md")
        var told = House()
        for match in page.matches(of: /\n\*\*([\w-]+)\*\* — (?:[^\n]+\n)+?Imports ([^\n.]+(?:\n[^\n.]+)*)\.\n/) {
            let name = String(match.1)
            told.names.append(name)
            let all = "everything but "
            let list = match.2.replacing("\n", with: " ")
            switch list {
            case "nothing": told.imports[name] = []
            case let most where most.hasPrefix(all):
                let others = most.dropFirst(all.count).split(separator: ", ").map(String.init)
                told.imports[name] = Set(modules).subtracting(others + [name])
            default: told.imports[name] = Set(list.split(separator: ", ").map(String.init))
            }
        }
        #expect(told.names == modules)
        for name in modules {
            #expect(told.imports[name] == house.imports[name]?.filter { !isC($0) }, "\(name)")
        }
    }

    /// The caller of a job, a command or a server, has its own.
    @Test func `jobs know no command line, no process and no terminal`() throws {
        let words =
            "Invocation|Arguments|Grammar|UsageError|ExitStatus|CommandLine|exit\\(|abort\\(|getcwd|chdir|umask"
            + "|set[ug]id|sigaction|signal\\(|isatty|readLine|print\\(|getenv|setenv"
        let folder = "\(Self.root)/Sources/Operations"
        let found = try run("/bin/grep", ["-rnE", "--include=*.swift", "(^|[^A-Za-z.])(\(words))", folder])
        try #require(try Files.list(folder).count > 5)
        #expect(found.output == "")
    }

    /// The sources in which an expression of grep is found.
    private func files(_ words: String) throws -> Set<String> {
        let sources = "\(Self.root)/Sources"
        let found = try run("/bin/grep", ["-rlE", "--include=*.swift", words, sources])
        return Set(found.output.split(separator: "\n").map { String($0.dropFirst(sources.utf8.count + 1)) })
    }

    @Test(arguments: [
        // What `errno` says is soon overwritten.
        ("(^|[^`])\\berrno\\b", "Platform/SystemError.swift"),
        ("posix_spawnp?\\(", "Platform/Spawn.swift"),
        ("\\bkill\\([^,]*, 0\\)", "Platform/ProcessIdentity.swift"),
        ("pthread_create\\(", "Platform/Worker.swift"),
    ])
    func `each of these is done in one place`(_ words: String, _ place: String) throws {
        #expect(try files(words) == [place])
    }

    /// Objects need not be files of this host.
    @Test func `who knows where the repository is`() throws {
        let opening = "Archiving/ClusterState.swift"
        #expect(
            try files("repositoryLocations|RepositoryLocation") == [
                opening, "Configuration/ClusterConfiguration.swift", "Configuration/RepositoryLocation.swift",
                "Configuration/Setting.swift",
            ],
            "whoever is given a repository can open any kind")
        let inside = try Set(Files.list("\(Self.root)/Sources/Repository").map { "Repository/\($0)" })
        #expect(try files("DirectoryStore").subtracting(inside) == [opening])
        let directory = try files("localDirectory|LocalDirectory")
        #expect(
            directory.subtracting(inside) == [
                // Who owns it, and so whom the process becomes.
                "ArchiveCommandLine/ArchiveCommands.swift", "tidemark-main/Ownership.swift",
                // Whether it lies in another place; who may write there.
                opening, "Monitoring/Observe.swift",
                // Made, and cleared of files that nobody writes any more.
                "Operations/InitJob.swift", "Operations/CleanJob.swift",
            ], "\(directory)")
        // A location is for messages.
        let call = #"(Files\.[a-zA-Z]+|FileStatus|Descriptor|HeldDirectory|Place|Subprocess|run)\("#
        let asked = try files(call + #"[^)]*(repository|store|archive|contents)\.location"#)
        #expect(asked == [])
    }

    /// What a store can do, it does for whoever has it; nobody asks which one it is.
    @Test func `no store is cast`() throws {
        let kinds = "[A-Za-z.]*(Store|Removal|ObjectWriter|StoredObject)"
        #expect(try files("\\b(as[?!]|is) (any )?\(kinds)\\b") == [])
    }

    /// What belongs to a process or a command line, in the modules that do the work.
    @Test func `only the executables know their arguments, their user and their end`() throws {
        let words = "CommandLine\\.|_?exit\\(|getcwd|chdir|umask\\(|set[ug]id\\(|sigaction\\(|sigwait"
        let found = try files("(^|[^A-Za-z.])(\(words))").filter { !$0.hasPrefix("tidemark") }
        // What both executables do as PostgreSQL's archive_command.
        #expect(found == ["ArchiveCommandLine/ArchiveCommands.swift"])
    }

    /// What a command prints is made of its job's report, elsewhere.
    @Test func `commands make no tables and no documents`() throws {
        let folder = "\(Self.root)/Sources/tidemark-main"
        let words = "TextTable|: Encodable|Quantity\\.pretty|durationText|iso8601"
        let found = try run("/bin/grep", ["-rnE", "--include=*.swift", words, folder])
        try #require(try Files.list(folder + "/Commands").count > 20)
        #expect(found.output == "")
    }

    @Test func `no command calls another`() throws {
        let folder = "\(Self.root)/Sources/tidemark-main/Commands"
        let names = try Files.list(folder).filter { $0.hasSuffix("Command.swift") && $0 != "Command.swift" }
            .map { String($0.dropLast(".swift".utf8.count)) }
        try #require(names.count > 20)
        for name in names {
            let text = try Files.readText("\(folder)/\(name).swift")
            let called = Set(text.matches(of: /\b[A-Z]\w+Command\b/).map { String($0.0) }).intersection(names)
            #expect(called.subtracting([name]) == [], "\(name)")
        }
    }

    /// They are made from their arguments only.
    @Test func `texts are made without a file, a server, a clock or a terminal`() throws {
        let words =
            "Files\\.|FileStatus|Descriptor|Clock\\.|Subprocess|Connection\\(|getenv|isatty|print\\(|Terminal|Invocation"
        let folder = "\(Self.root)/Sources/Presentation"
        let found = try run("/bin/grep", ["-rnE", "--include=*.swift", "(^|[^A-Za-z.])(\(words))", folder])
        try #require(try Files.list(folder).count > 20)
        #expect(found.output == "")
    }

    /// Their decisions depend on their arguments only.
    @Test(arguments: ["Messages", "WAL", "Planning", "Retention"])
    func `rules ask no file, no clock and no environment`(_ module: String) throws {
        let words =
            "Files\\.|FileStatus|Descriptor|HeldDirectory|Clock\\.|Subprocess|getenv|retrying|Log\\("
            + "|import (Platform|Repository|Postgres|SQLite|Catalog\(module == "WAL" ? "" : "|Glibc"))"
        let folder = "\(Self.root)/Sources/\(module)"
        let found = try run("/bin/grep", ["-rnE", "--include=*.swift", "(^|[^A-Za-z.])(\(words))", folder])
        try #require(try Files.list(folder).count > 2)
        #expect(found.output == "")
    }

    /// As the pages and the code are.
    @Test func `comments are wrapped at 120 columns`() throws {
        let kinds = [
            "*.swift", "*.c", "*.h", "*.py", "*.sample", "*.service", "*.timer", "Makefile", "run", "bare",
            "bare-steps", "prepare", "quietly", "stress", "build-deb", "README.md",
        ]
        let ignored = [".build", ".git", "docs"].flatMap { ["-name", $0, "-prune", "-o"] }
        let names = kinds.flatMap { ["-o", "-name", $0] }.dropFirst()
        let files = try run(
            "/usr/bin/find", [Self.root] + ignored + ["-type", "f", "("] + names + [")", "-print"]
        ).output.split(separator: "\n").map(String.init)
        try #require(files.count > 500)
        var comments = 0
        for file in files {
            let isProse = file.hasSuffix(".md")
            for (index, line) in try Files.readText(file).split(separator: "\n", omittingEmptySubsequences: false)
                .enumerated()
            {
                let text = line.drop { $0 == " " }
                guard isProse ? !text.hasPrefix("|") : text.hasPrefix("//") || text.hasPrefix("# ") else { continue }
                comments += 1
                #expect(line.count <= 120, "\(file):\(index + 1) has \(line.count)")
            }
        }
        #expect(comments > 5000)
    }

    /// A page isn't compiled, so a renamed type could stay in it.
    @Test func `the page names types that exist`() throws {
        let page = try Files.readText(Self.root + "/docs/architecture.md")
        let names = Set(page.matches(of: /`([A-Z]\w+)`/).map { String($0.1) })
        try #require(names.count > 20)
        let declarations = try run(
            "/bin/grep",
            ["-rhoE", "--include=*.swift", "(struct|class|enum|protocol) [A-Z][A-Za-z]+", "\(Self.root)/Sources"])
        let types = declarations.output.split(separator: "\n").compactMap {
            $0.split(separator: " ").last.map(String.init)
        }
        #expect(names.subtracting(types) == [])
    }
}
