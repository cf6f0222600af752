// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "wal-bench",
    dependencies: [.package(name: "tidemark", path: "../../..")],
    targets: [
        .executableTarget(
            name: "wal-bench",
            dependencies: [
                .product(name: "TidemarkModules", package: "tidemark"),
                .product(name: "TidemarkPlanning", package: "tidemark"),
            ])
    ],
    swiftLanguageModes: [.v6]
)
