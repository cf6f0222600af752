import Support
import Testing

@testable import BaseBackup

@Suite struct FileListTests {
    private static func files(_ count: Int) -> [ManifestFile?] {
        var random = SeededGenerator(seed: 5)
        var files: [ManifestFile?] = [
            ManifestFile(path: "", kind: .directory, mode: 0o750, modified: 0, size: 0, target: nil),
            ManifestFile(path: "pg_tblspc/7", kind: .tablespace, mode: 0o700, modified: 1, size: 0, target: "/mnt/ä b"),
            ManifestFile(path: "PG_VERSION", kind: .regular, mode: 0o600, modified: -1, size: 3, target: nil),
        ]
        for number in files.count..<count {
            if Int.random(in: 0..<50, using: &random) == 0 {
                files.append(nil)
                continue
            }
            let folder = ["base/\(Int.random(in: 1...9, using: &random))", "global", "ordner/é/tief"].randomElement(
                using: &random)!
            let large = Int.random(in: 0..<40, using: &random) == 0
            files.append(
                ManifestFile(
                    path: "\(folder)/\(number)", kind: .regular, mode: UInt32.random(in: 0...0o7777, using: &random),
                    modified: Int64.random(in: 0...(1 << 60), using: &random),
                    size: Int64.random(in: 0...(large ? 30 << 20 : 90_000), using: &random), target: nil))
        }
        return files
    }

    @Test func `a list of files gives back what it was given`() {
        var expected = Self.files(40_000)
        var list = FileList()
        for file in expected { list.append(file) }
        #expect(list.elementsEqual(expected))
        #expect(list.totalSize == expected.reduce(0) { $0 + ($1?.size ?? 0) })
        for index in stride(from: 2, to: 40_000, by: 977) {
            list.remove(index)
            expected[index] = nil
            list.setSize(index + 1, 5)
            expected[index + 1]?.size = 5
        }
        #expect(list.count == 40_000 && list.enumerated().allSatisfy { $1 == expected[$0] })
        #expect(expected.indices.allSatisfy { list.isAbsent($0) == (expected[$0] == nil) })
        #expect(expected.indices.allSatisfy { list.isRegular($0) == (expected[$0]?.kind == .regular) })
        #expect(list.path(1) == "pg_tblspc/7" && list.path(2) == "")
    }

    @Test func `every byte is dealt out once, large files first, and frames are not overfilled`() {
        let files = Self.files(30_000)
        var list = FileList()
        for file in files { list.append(file) }
        var plan = CopyPlan(list)
        var dealt = [Int64](repeating: 0, count: files.count)
        var bundled: Set<Int> = []
        while let item = plan.next() {
            switch item {
            case .stretch(let file, let offset, let length):
                #expect(bundled.isEmpty && offset == dealt[file] && length > 0)
                dealt[file] += length
            case .bundle(let bundle):
                #expect(bundle.reduce(0) { $0 + list.size($1) } <= CopyItem.frameSize && bundle.count <= 4096)
                #expect(bundled.isDisjoint(with: bundle))
                bundled.formUnion(bundle)
                for file in bundle { dealt[file] += list.size(file) }
            }
        }
        #expect(files.indices.allSatisfy { dealt[$0] == (list.isRegular($0) ? list.size($0) : 0) })
        let small = files.indices.filter { list.isRegular($0) && list.size($0) < CopyItem.bundleLimit }
        #expect(bundled == Set(small))
    }
}
