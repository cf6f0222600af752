// swift-tools-version: 6.2
import PackageDescription

// A package of its own: a fuzz target has no main, which would break a plain "swift build".
let package = Package(
    name: "fuzz",
    products: [.executable(name: "fuzz-wal", targets: ["fuzz-wal"])],
    dependencies: [.package(name: "tidemark", path: "..")],
    targets: [
        .executableTarget(
            name: "fuzz-wal", dependencies: [.product(name: "TidemarkModules", package: "tidemark")],
            swiftSettings: [.unsafeFlags(["-parse-as-library"])])
    ],
    swiftLanguageModes: [.v6]
)
