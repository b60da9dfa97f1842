// swift-tools-version: 6.2
import PackageDescription

/// One rule set for every Swift target: the language modes that find mistakes early, and no warning let through.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .treatAllWarnings(as: .error),
]

/// For tests that wait for the program and the disk, and compute little: to optimise them takes minutes and saves seconds.
let unoptimized = strict + [.unsafeFlags(["-Onone"])]

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let systemPackage = Target.Dependency.product(name: "SystemPackage", package: "swift-system")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")

// The fuzzer is built by Scripts/fuzz.sh alone, which knows where libFuzzer lies; see the end of this file.
let fuzzer = Context.environment["CONSILIUM_FUZZER"]
let fuzzDriver = Target.executableTarget(
    name: "FuzzDriver", dependencies: ["FuzzTargets"], path: "Tests/FuzzDriver", swiftSettings: strict,
    linkerSettings: [.unsafeFlags([fuzzer ?? "", "-lstdc++"])])

// The arrows between modules point down this list only; Scripts/check.sh compares every import with it.
let package = Package(
    name: "consilium",
    products: [.executable(name: "consilium", targets: ["consilium"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/apple/swift-crypto", exact: "4.5.2"),
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
        .package(url: "https://github.com/apple/swift-system", exact: "1.8.1"),
        .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
    ],
    targets: [
        .target(
            name: "FuzzTargets",
            dependencies: [
                "Configuration", "Bundles", "Images", "Tensors", "Files", "Wire", crypto, systemPackage,
            ], path: "Tests/FuzzTargets", swiftSettings: strict),
        .executableTarget(
            name: "consilium",
            dependencies: [
                "Server", "Client", "Reports", "Configuration", "Mailbox", "Federation", "Bundles", "NeuralNetworks",
                "Images", "Tensors", "Files", "Wire", argumentParser, logging, systemPackage,
            ], swiftSettings: strict),
        .target(
            name: "Server",
            dependencies: [
                "Federation", "Mailbox", "Configuration", "Bundles", "Tensors", "Files", "Wire", logging, systemPackage,
            ], swiftSettings: strict),
        .target(
            name: "Client",
            dependencies: [
                "Federation", "Mailbox", "Configuration", "NeuralNetworks", "Images", "Bundles", "Tensors", "Files",
                "Wire", logging, systemPackage,
            ], swiftSettings: strict),
        .target(name: "Reports", dependencies: ["Federation", "Wire"], swiftSettings: strict),
        .target(
            name: "Mailbox", dependencies: ["Bundles", "Files", "Wire", logging, systemPackage],
            swiftSettings: strict),
        .target(name: "Federation", dependencies: ["Tensors", "Wire"], swiftSettings: strict),
        .target(name: "Configuration", dependencies: ["Wire", yams], swiftSettings: strict),
        .target(
            name: "Bundles", dependencies: ["CArchive", "Files", "Wire", crypto, systemPackage],
            swiftSettings: strict + [.strictMemorySafety()]),
        .target(name: "NeuralNetworks", dependencies: ["Tensors", "Wire"], swiftSettings: strict),
        .target(
            name: "Images", dependencies: ["CImageIO", "Tensors", "Files", "Wire", systemPackage], swiftSettings: strict
        ),
        .target(name: "Tensors", dependencies: ["CKernels", "Wire"], swiftSettings: strict),
        .target(name: "Files", dependencies: ["Wire", systemPackage], swiftSettings: strict),
        .target(name: "Wire", swiftSettings: strict + [.strictMemorySafety()]),

        .target(name: "CKernels"),
        .target(name: "CImageIO", dependencies: ["CPNG", "CJPEG"]),
        .systemLibrary(name: "CArchive", pkgConfig: "libarchive", providers: [.apt(["libarchive-dev"])]),
        .systemLibrary(name: "CPNG", pkgConfig: "libpng", providers: [.apt(["libpng-dev"])]),
        .systemLibrary(name: "CJPEG", pkgConfig: "libjpeg", providers: [.apt(["libjpeg-dev"])]),

        .target(name: "FaultRecords", path: "Tests/FaultRecords", swiftSettings: strict),
        .target(name: "SeededNumbers", path: "Tests/SeededNumbers", swiftSettings: strict),
        .testTarget(name: "WireTests", dependencies: ["Wire", "SeededNumbers"], swiftSettings: strict),
        .testTarget(
            name: "FilesTests", dependencies: ["FaultRecords", "Files", "SupportForTests", systemPackage],
            swiftSettings: strict),
        .testTarget(
            name: "BundlesTests",
            dependencies: [
                "FaultRecords", "Bundles", "Files", "Wire", "SeededNumbers", "SupportForTests", crypto, systemPackage,
            ],
            swiftSettings: strict),
        .testTarget(
            name: "TensorsTests", dependencies: ["FaultRecords", "Tensors", "CKernels", "Wire", "SeededNumbers"],
            swiftSettings: strict),
        .testTarget(
            name: "NeuralNetworksTests", dependencies: ["FaultRecords", "NeuralNetworks", "Tensors", "Wire"],
            exclude: ["Golden"], swiftSettings: strict),
        .testTarget(
            name: "ImagesTests", dependencies: ["FaultRecords", "Images", "Files", "Tensors", "Wire", systemPackage],
            swiftSettings: strict),
        .testTarget(
            name: "FederationTests",
            dependencies: ["FaultRecords", "Federation", "Configuration", "Tensors", "Wire", "SeededNumbers"],
            swiftSettings: strict),
        .testTarget(
            name: "MailboxTests",
            dependencies: [
                "FaultRecords", "Mailbox", "Configuration", "Bundles", "Files", "Wire", "SupportForTests",
                systemPackage,
            ],
            swiftSettings: unoptimized),
        .testTarget(
            name: "FuzzTests",
            dependencies: [
                "FaultRecords", "FuzzTargets", "Federation", "Configuration", "Bundles", "Images", "Tensors", "Files",
                "Wire", "SeededNumbers", systemPackage,
            ], exclude: ["Corpus"], swiftSettings: strict),
        .testTarget(
            name: "ClientTests",
            dependencies: [
                "FaultRecords", "Client", "Federation", "Images", "NeuralNetworks", "Tensors", "Files", "Wire",
                "SupportForTests", systemPackage,
            ], swiftSettings: strict),
        .testTarget(
            name: "CommandTests",
            // The program itself is started as a process; it has to be built, and lies beside the test bundle.
            dependencies: [
                "FaultRecords", "consilium", "Bundles", "Federation", "Tensors", "Files", "Wire", "SupportForTests",
                systemPackage,
            ],
            exclude: ["Support/check_export.py", "Support/faults.c"],
            swiftSettings: unoptimized),
        .testTarget(
            name: "CrashTests",
            dependencies: [
                "FaultRecords",
                "Server", "Client", "Mailbox", "Federation", "Bundles", "NeuralNetworks", "Images", "Tensors", "Files",
                "Wire", systemPackage,
            ], swiftSettings: strict),
        // Real file systems that are made for tests, and one that does not answer; the base of those that misbehave.
        .target(
            name: "SupportForTests", dependencies: ["Files", systemPackage], path: "Tests/SupportForTests",
            swiftSettings: strict),
    ]
)

// Scripts/sanitize.sh and Scripts/fuzz.sh build what they look at and nothing else, with other flags and in folders of
// their own: `address` is for what reads foreign bytes, `thread` for what computes on several threads.
let sanitized: [String: Set<String>] = [
    "address": [
        "FuzzTargets", "Federation", "Configuration", "Bundles", "Images", "Tensors", "Files", "Wire", "CKernels",
        "CImageIO", "CArchive", "CPNG", "CJPEG", "FaultRecords", "SeededNumbers", "SupportForTests", "WireTests",
        "BundlesTests", "ImagesTests", "FuzzTests",
    ],
    "thread": ["Tensors", "Wire", "CKernels", "FaultRecords", "SeededNumbers", "TensorsTests"],
]
if let sanitizer = Context.environment["CONSILIUM_SANITIZE"], let kept = sanitized[sanitizer] {
    package.products = []
    package.dependencies.removeAll { dependency in
        guard case .sourceControl(_, let location, _) = dependency.kind else { return false }
        return sanitizer == "thread" || ["argument-parser", "swift-log"].contains { location.hasSuffix($0) }
    }
    package.targets.removeAll { !kept.contains($0.name) }
    if fuzzer != nil { package.targets.insert(fuzzDriver, at: 0) }
    // What libFuzzer steers by: which edges an input reached, and what it was compared with.
    let coverage = ["-sanitize-coverage=edge,inline-8bit-counters,pc-table,trace-cmp"]
    for target in package.targets where fuzzer != nil && target.type == .regular && target.swiftSettings != nil {
        target.swiftSettings?.append(.unsafeFlags(coverage))
    }
    for target in package.targets where fuzzer != nil && target.name == "CImageIO" {
        target.cSettings = [.unsafeFlags(["-fsanitize-coverage=inline-8bit-counters,pc-table,trace-cmp"])]
    }
}
