import DataDirectory
import Platform
import Repository
import SQLite
import Support
import Testing

@testable import BackupTaking
@testable import Backups
@testable import Restoring

/// Data kept for every file is on disk, and works as in memory.
@Suite struct FilesOnDiskTests {
    private static func files(_ count: Int) -> [ManifestFile] {
        var random = SeededGenerator(seed: 5)
        var files: [ManifestFile] = [
            ManifestFile(path: "", kind: .directory, mode: 0o750, modified: 0, size: 0, target: nil),
            ManifestFile(path: "pg_tblspc/7", kind: .tablespace, mode: 0o700, modified: 1, size: 0, target: "/mnt/ä b"),
            ManifestFile(path: "PG_VERSION", kind: .regular, mode: 0o600, modified: -1, size: 3, target: nil),
        ]
        for number in files.count..<count {
            let folder = ["base/\(Int.random(in: 1...9, using: &random))", "global", "ordner/é/tief"].randomElement(
                using: &random)!
            let large = Int.random(in: 0..<40, using: &random) == 0
            files.append(
                ManifestFile(
                    path: "\(folder)/\(number)",
                    kind: Int.random(in: 0..<50, using: &random) == 0 ? .directory : .regular,
                    mode: UInt32.random(in: 0...0o7777, using: &random),
                    modified: Int64.random(in: 0...(1 << 60), using: &random),
                    size: Int64.random(in: 0...(large ? 30 << 20 : 90_000), using: &random), target: nil))
        }
        return files
    }

    @Test func `every byte is dealt out once, large files first, and frames are not overfilled`() throws {
        let files = Self.files(30_000)
        let manifest = try ManifestWriter()
        for (index, file) in files.enumerated() { #expect(try manifest.add(file) == index) }
        var plan = try CopyPlan(manifest)
        var dealt = [Int64](repeating: 0, count: files.count)
        var bundled: Set<Int> = []
        while let item = try plan.next() {
            switch item {
            case .stretch(let file, let offset, let length):
                #expect(file.path == files[file.index].path && file.size == files[file.index].size)
                #expect(bundled.isEmpty && offset == dealt[file.index] && length > 0)
                dealt[file.index] += length
            case .bundle(let bundle):
                #expect(bundle.reduce(0) { $0 + $1.size } <= Manifest.frameSize && bundle.count <= CopyItem.bundleCount)
                #expect(bundle.allSatisfy { $0.path == files[$0.index].path })
                #expect(bundled.isDisjoint(with: bundle.map(\.index)))
                bundled.formUnion(bundle.map(\.index))
                for file in bundle { dealt[file.index] += file.size }
            }
        }
        #expect(try plan.next() == nil)
        #expect(files.indices.allSatisfy { dealt[$0] == (files[$0].kind == .regular ? files[$0].size : 0) })
        let small = files.indices.filter { files[$0].kind == .regular && files[$0].size < CopyItem.bundleLimit }
        #expect(bundled == Set(small))
    }

    @Test func `a file that has changed has the size that was copied, or is left out`() throws {
        let manifest = try ManifestWriter()
        for name in ["same", "shorter", "cut and grown again", "vanished", "vanished between", "grown"] {
            try manifest.add(
                ManifestFile(path: name, kind: .regular, mode: 0o600, modified: 0, size: 100, target: nil))
        }
        func run(_ file: Int, _ offset: Int64, _ length: Int64) -> (frame: Int64, run: ManifestRun) {
            (Int64(file + 1) << 24, ManifestRun(file: file, offset: offset, length: length, frameOffset: offset))
        }
        var batch = CopyBatch()
        for file in 0..<6 {
            batch.frames.append(
                .init(
                    id: Int64(file + 1) << 24, pack: file + 1,
                    frame: PackFrame(offset: 24, length: 50, size: 100, digest: Digest(high: 1, low: UInt64(file)))))
        }
        batch.digests = [(0, Digest(high: 7, low: 7)), (5, nil)]
        batch.runs = [run(0, 0, 100), run(1, 0, 40), run(2, 0, 30), run(2, 60, 40), run(4, 50, 50), run(5, 0, 130)]
        batch.resized = [1, 2, 4, 5]
        batch.vanished = [3, 4]
        try manifest.add(batch)
        var late = CopyBatch()
        late.resized = [4]
        try manifest.add(late)
        let total = try manifest.finishFiles()
        #expect(total.count == 4 && total.size == 100 + 40 + 100 + 130)
        let rows = try manifest.database.prepare(
            "SELECT path, size, list FROM file JOIN runs ON runs.file = file.id ORDER BY file.id")
        var found: [String] = []
        while try rows.step() {
            var decoder = try RunList.Decoder(rows.blob(2))
            while let run = try decoder.next() {
                found.append("\(rows.text(0)) \(rows.integer(1)): \(run.frame) \(run.offset)+\(run.length)")
            }
        }
        // Rows without a file are not in the manifest; the rest is counted.
        #expect(
            found == [
                "same 100: 1 0+100", "shorter 40: 2 0+40", "cut and grown again 100: 3 0+30",
                "cut and grown again 100: 0 30+30", "cut and grown again 100: 3 60+40", "grown 130: 4 0+130",
            ])
        #expect(try manifest.database.integer("SELECT count(*) FROM runs WHERE file IN (3, 4)") == 0)
        #expect(try manifest.referredPacks() == [1, 2, 3, 6])
        let frames = "SELECT group_concat(id || ' in ' || pack) FROM (SELECT * FROM frame ORDER BY id)"
        #expect(try manifest.database.text(frames) == "1 in 1,2 in 2,3 in 3,4 in 6")
        let digest = "SELECT hex(digest) FROM file WHERE path = ?"
        #expect(try manifest.database.text(digest, "same") == "00000000000000070000000000000007")
        #expect(try manifest.database.text(digest, "grown") == "")
    }

    @Test func `bytes and checksums of files are summed up in any order, near and far`() throws {
        var random = SeededGenerator(seed: 11)
        let tally = try FileTally()
        // More than are kept in memory at a time.
        let numbers = Array(0..<40) + (0..<3000).map { _ in Int.random(in: 0..<100_000, using: &random) } + [1 << 31]
        let contents = Dictionary(
            numbers.map { number in
                (
                    number,
                    (0..<Int.random(in: 1..<200, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
                )
            }
        ) { $1 }
        var parts: [FileTally.Part] = []
        for (number, bytes) in contents {
            let middle = Int.random(in: 0...bytes.count, using: &random)
            for range in [0..<middle, middle..<bytes.count] where !range.isEmpty {
                parts.append(
                    bytes.withUnsafeBytes {
                        FileTally.part(
                            number, UnsafeRawBufferPointer(rebasing: $0[range]),
                            following: Int64(bytes.count - range.upperBound)
                        )
                    })
            }
        }
        parts.shuffle(using: &random)
        for start in stride(from: 0, to: parts.count, by: 7) {
            try tally.add(Array(parts[start..<min(start + 7, parts.count)]))
        }
        for (number, bytes) in contents {
            let total = try tally.total(of: number)
            #expect(total.bytes == Int64(bytes.count) && total.checksum == FileTally.checksum(of: bytes))
        }
        #expect(try tally.total(of: 100_001).bytes == 0)
    }

    @Test func `a directory's names come sorted, a relation's together`() throws {
        let scratch = try Scratch()
        let relation = ["16384", "16384.1", "16384_fsm", "16384_init", "16384_vm"]
        let names = relation + ["163840", "9", "PG_VERSION", "t3_16384", "zz", "9_vm", "é"]
        for name in names { try createDurably(scratch.file(name), bytes: [], mode: 0o600) }
        let listing = try DirectoryListing()
        for _ in 0..<2 {
            try listing.read(scratch.path)
            var groups: [[String]] = []
            while let group = try listing.next() { groups.append(group) }
            #expect(groups.joined().sorted() == names.sorted())
            #expect(groups.prefix(3) == [["PG_VERSION"], ["zz"], ["é"]])
            #expect(groups.contains(["9", "9_vm"]) && groups.last == ["163840"])
            #expect(groups.contains { Set($0).isSuperset(of: relation) })
        }
        try listing.read(scratch.file("nothing"))
        #expect(try listing.next() == nil)
    }
}
