import Glibc
import Support
import Testing

@testable import Platform

/// Removal stops at mount points, also of the same file system.
@Suite(.serialized) struct MountedTreeTests {
    struct Case: CustomStringConvertible, Sendable {
        let description: String
        /// Arguments of mount(8); `$foreign` is a directory with a file in it.
        let mount: [String]
        /// The place below the directory that is removed.
        let place: String
    }

    static let cases = [
        Case(description: "a bind mount", mount: ["--bind", "$foreign"], place: "a/b"),
        Case(description: "a bind mount at the top", mount: ["--bind", "$foreign"], place: ""),
        Case(
            description: "another file system", mount: ["-t", "tmpfs", "-o", "size=1m,mode=0777", "tidemark-test"],
            place: "a"),
        Case(description: "a bind mount of what is removed", mount: ["--bind", "$foreign/.."], place: "a/b"),
    ]

    @Test(arguments: cases)
    func `a mount within a tree survives the removal of the tree`(_ sample: Case) throws {
        try #require(geteuid() == 0, "mounting needs root")
        let scratch = try Scratch()
        let (tree, foreign) = (scratch.file("tree"), scratch.file("foreign"))
        try Files.makeDirectories(tree + "/a/b")
        try Files.makeDirectories(foreign)
        try createDurably(foreign + "/file", bytes: [1])
        let place = sample.place.isEmpty ? tree : tree + "/" + sample.place
        let words = sample.mount.map { $0.replacing("$foreign", with: foreign) }
        let mounted = try run("/bin/mount", words + [place])
        try #require(mounted.ending == .exited(0), "\(mounted.errors)")
        defer { _ = try? run("/bin/umount", ["-l", place]) }
        try createDurably(place + "/inside", bytes: [2])
        let refused = #expect(throws: SystemError.self) { try Files.removeTree(tree) }
        #expect(refused?.code == EXDEV, "\(refused.map { "\($0)" } ?? "")")
        // Where the kernel has no openat2(2), /proc is used.
        let above = try HeldDirectory(confining: Files.parent(place))
        for hasOneCall in [true, false] {
            let closed = #expect(throws: SystemError.self) {
                _ = try HeldDirectory(onMountOf: above, Files.name(place), hasOneCall: hasOneCall)
            }
            #expect(closed?.code == EXDEV, "\(hasOneCall): \(closed.map { "\($0)" } ?? "")")
        }
        #expect(try Files.exists(place + "/inside") && Files.exists(foreign + "/file"))
        let unmounted = try run("/bin/umount", [place])
        try #require(unmounted.ending == .exited(0), "\(unmounted.errors)")
        for hasOneCall in [true, false] {
            _ = try HeldDirectory(onMountOf: above, Files.name(place), hasOneCall: hasOneCall)
        }
        try Files.removeTree(tree)
        #expect(try !Files.exists(tree))
        #expect(try Files.exists(foreign + "/file"))
    }
}
